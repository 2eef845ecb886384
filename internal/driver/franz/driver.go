// Package franz drives Kafka through franz-go, a client in pure Go: the second driver, the administrator and the
// reader that judges. It is the only importer of that library.
package franz

import (
	"runtime/debug"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
)

// New returns the driver. The library's log lines go to log, one a call and from several goroutines; nil drops them.
func New(log func(line string)) client.Driver {
	if log == nil {
		log = func(string) {}
	}
	return driver{log: log}
}

type driver struct{ log func(string) }

func (driver) Name() string    { return "franz" }
func (driver) Version() string { return Version() }

const module = "github.com/twmb/franz-go"

// Version of the library; a test binary does not know it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return "franz-go " + strings.TrimPrefix(dep.Version, "v")
			}
		}
	}
	return "franz-go unknown"
}

// seeds are the bootstrap servers as an option.
func seeds(bootstrap []string) kgo.Opt { return kgo.SeedBrokers(bootstrap...) }
