package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/kbench/kbench/internal/proc"
)

func TestVariable(t *testing.T) {
	for setting, want := range map[string]string{
		"node.id": "KAFKA_NODE_ID", "min.insync.replicas": "KAFKA_MIN_INSYNC_REPLICAS",
		"a_b": "KAFKA_A__B", "listener.name.x-y.z": "KAFKA_LISTENER_NAME_X___Y_Z",
	} {
		if got := variable(setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}

func TestSettingsOfNodes(t *testing.T) {
	p, err := newPlan(Options{Brokers: 2, Controllers: 1, Config: map[string]string{"min.insync.replicas": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	p.settle(netip.MustParsePrefix("172.30.0.0/16"))
	at := p.Places[2]
	at.Client, at.Direct, at.Public = 20001, 20002, "127.0.0.1:30003" // proxied
	p.Places[2] = at
	broker, controller := p.settings(2), p.settings(1001)
	for name, want := range map[string]string{
		"node.id": "2", "process.roles": "broker", "min.insync.replicas": "2", "controller.quorum.voters": "1001@172.30.0.12:9093",
		"listeners":            "CLIENT://0.0.0.0:9092,DIRECT://0.0.0.0:9094,INTERNAL://0.0.0.0:9095",
		"advertised.listeners": "CLIENT://127.0.0.1:30003,DIRECT://127.0.0.1:20002,INTERNAL://172.30.0.11:9095",
	} {
		if broker[name] != want {
			t.Errorf("broker: %s is %q, want %q", name, broker[name], want)
		}
	}
	if controller["listeners"] != "CONTROLLER://172.30.0.12:9093" || controller["advertised.listeners"] != "" || controller["min.insync.replicas"] != "2" {
		t.Errorf("controller: %v", controller)
	}
	label, err := p.label()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := planOf(map[string]string{planLabel: label}); err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("kept %+v, found %+v, %v", p, again, err)
	}
	if _, err := planOf(map[string]string{planLabel: "{"}); err == nil {
		t.Error("a plan that is none was read")
	}
}

func TestOptionsRefuse(t *testing.T) {
	good := Options{Dir: "d"}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"a setting that ties nodes together": {func(o *Options) { o.Config = map[string]string{"node.id": "7"} }, "node.id"},
		"no folder for logs":                 {func(o *Options) { o.Dir = "" }, "logs"},
		"fewer than no brokers":              {func(o *Options) { o.Brokers = -1 }, "-1 brokers"},
		"less than no memory":                {func(o *Options) { o.Memory = -1 }, "memory"},
		"proxies that would be left":         {func(o *Options) { o.Keep, o.ProxyClients = true, true }, "proxies"},
	} {
		o := good
		c.change(&o)
		if _, err := o.withDefaults(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
	}
	if o, err := good.withDefaults(); err != nil || o.Image != DefaultImage || o.Brokers != 3 || !filepath.IsAbs(o.Dir) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestCrashed(t *testing.T) {
	me, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	_, boot, namespace := here()
	gone := ownerName(proc.ID{Pid: me.Pid, Began: me.Began + 1})
	for name, c := range map[string]struct {
		owner string
		want  bool
	}{
		"this process":              {self(), false},
		"one that had its id":       {gone, true},
		"one of other ids":          {strings.Replace(gone, namespace, "pid:[1]", 1), false},
		"one before the last boot":  {strings.Replace(strings.Replace(gone, namespace, "pid:[1]", 1), boot, "0-0", 1), true},
		"one of another machine":    {strings.Replace(gone, hostname(t), "elsewhere", 1), false},
		"somebody who does not say": {"", false},
	} {
		if got := crashed(c.owner); got != c.want {
			t.Errorf("%s (%s): crashed is %v", name, c.owner, got)
		}
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestStateOf(t *testing.T) {
	for status, want := range map[container.ContainerState]string{
		container.StateRunning: stateRunning, container.StatePaused: statePaused, container.StateExited: stateDead, container.StateCreated: stateDead,
	} {
		got, err := stateOf(&container.State{Status: status, Paused: status == container.StatePaused, Pid: 7, StartedAt: "2026-01-02T03:04:05.6Z"})
		if err != nil || got.State != want || (got.Pid == 7) != (want != stateDead) {
			t.Errorf("%s is %+v, %v, want %s", status, got, err, want)
		}
	}
}

func TestTimezone(t *testing.T) {
	for offset, want := range map[int]string{0: "GMT+00:00", 7200: "GMT+02:00", -12600: "GMT-03:30"} {
		if got := timezone(time.Now().In(time.FixedZone("", offset))); got != want {
			t.Errorf("%d s: %s, want %s", offset, got, want)
		}
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	archive := func(name, text string) *bytes.Buffer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []*tar.Header{{Name: "t-0/", Typeflag: tar.TypeDir}, {Name: name, Typeflag: tar.TypeReg, Size: int64(len(text))}} {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := unpack(archive("t-0/0.log", "records"), dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "t-0", "0.log")); string(got) != "records" {
		t.Errorf("%q, %v", got, err)
	}
	if err := unpack(archive("../outside", "x"), dir); err == nil {
		t.Error("a file was written outside")
	}
}

func TestRestPassesOnWhatComesAfter(t *testing.T) {
	for skip, want := range map[int64]string{0: "abcdefgh", 2: "cdefgh", 3: "defgh", 5: "fgh", 8: "", 9: ""} {
		var got strings.Builder
		r := &rest{&got, skip}
		for _, part := range []string{"abc", "", "de", "fgh"} {
			if n, err := r.Write([]byte(part)); n != len(part) || err != nil {
				t.Errorf("skipping %d: wrote %d of %q, %v", skip, n, part, err)
			}
		}
		if got.String() != want {
			t.Errorf("skipping %d: %q, want %q", skip, got.String(), want)
		}
	}
}

func TestAnEngineOfAnotherMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"unix:///var/run/docker.sock": false, "npipe:////./pipe/docker_engine": false, "tcp://127.0.0.1:2375": false, "tcp://localhost:2375": false, "tcp://[::1]:2375": false,
		"tcp://docker:2375": true, "tcp://192.0.2.7:2376": true, "ssh://somebody@there": true, "https://there": true, "": false,
	} {
		if got := elsewhere(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestWhatTakesNoContextIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	never := make(chan struct{})
	defer close(never)
	if _, err := within(ctx, func() (int, error) { <-never; return 1, nil }); !errors.Is(err, over) {
		t.Errorf("it is %v", err)
	}
	if n, err := within(t.Context(), func() (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAFreezeIsTriedAgainWhereTheKernelCouldNot(t *testing.T) {
	busy := errors.New("Error response from daemon: OCI runtime pause failed: unable to freeze: unknown")
	gone := errors.New("No such container")
	for name, c := range map[string]struct {
		answers []error
		want    error
		asked   int
	}{
		"at once":              {[]error{nil}, nil, 1},
		"the third time":       {[]error{busy, busy, nil}, nil, 3},
		"never":                {[]error{busy, busy, busy, busy, busy, nil}, busy, freezeTries},
		"for another reason":   {[]error{gone, nil}, gone, 1},
		"one reason, then two": {[]error{busy, gone, nil}, gone, 2},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			err := frozen(func() error { asked++; return c.answers[asked-1] })
			if !errors.Is(err, c.want) || asked != c.asked {
				t.Errorf("asked %d times, %v", asked, err)
			}
		})
	}
}
