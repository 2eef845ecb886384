package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// Kind of a cluster.
type Kind string

const (
	Auto     Kind = "auto" // a wish only: Choose answers with one of the others
	Local    Kind = "local"
	Docker   Kind = "docker"
	Embedded Kind = "embedded"
	External Kind = "external"
)

// Choose says which kind of cluster to take, and why, in words for the user. Addresses given mean external; auto means
// local, else docker, where missing says that nothing is missing for it, else embedded. A wish that cannot be met is an
// error: nobody who asks for a real cluster gets a simulation. missing is asked only about local and docker, and only where
// it matters.
func Choose(want Kind, bootstrap []string, missing func(Kind) error) (kind Kind, why string, err error) {
	kinds := []Kind{Auto, Local, Docker, Embedded, External}
	switch {
	case !slices.Contains(kinds, want):
		return "", "", fmt.Errorf("unknown kind of cluster %q, known are %v", want, kinds)
	case len(bootstrap) > 0 && want != Auto && want != External:
		return "", "", fmt.Errorf("a cluster %s was asked for, and the address of an external one given", want)
	case len(bootstrap) > 0:
		return External, "the address " + strings.Join(bootstrap, ",") + " was given", nil
	case want == External:
		return "", "", fmt.Errorf("an external cluster needs its address")
	case want == Embedded:
		return Embedded, "it was asked for", nil
	}
	if want != Auto {
		if lacks := missing(want); lacks != nil {
			return "", "", fmt.Errorf("no %s cluster can be started: %w", want, lacks)
		}
		return want, "it was asked for", nil
	}
	noLocal := missing(Local)
	if noLocal == nil {
		return Local, "Java and Kafka are at hand", nil
	}
	noDocker := missing(Docker)
	if noDocker == nil {
		return Docker, "Docker and an image are at hand, and no local cluster can be started: " + noLocal.Error(), nil
	}
	return Embedded, fmt.Sprintf("no real cluster can be started here: not local, %v; not docker, %v", noLocal, noDocker), nil
}
