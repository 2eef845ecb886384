package cluster

import (
	"errors"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	noJava, noEngine := errors.New("no Java"), errors.New("no engine")
	for name, c := range map[string]struct {
		want          Kind
		bootstrap     []string
		local, docker error // what is missing for each
		kind          Kind
		why, err      string
	}{
		"auto with an address":           {want: Auto, bootstrap: []string{"h:1"}, kind: External, why: "h:1"},
		"auto with Java":                 {want: Auto, kind: Local, why: "Java"},
		"auto with Docker alone":         {want: Auto, local: noJava, kind: Docker, why: "no Java"},
		"auto with neither":              {want: Auto, local: noJava, docker: noEngine, kind: Embedded, why: "not local, no Java; not docker, no engine"},
		"local, and it can be":           {want: Local, docker: noEngine, kind: Local, why: "asked"},
		"local, never another":           {want: Local, local: noJava, err: "no local cluster can be started: no Java"},
		"docker, and it can be":          {want: Docker, local: noJava, kind: Docker, why: "asked"},
		"docker, never another":          {want: Docker, docker: noEngine, err: "no docker cluster can be started: no engine"},
		"embedded, though there is Java": {want: Embedded, kind: Embedded, why: "asked"},
		"external":                       {want: External, bootstrap: []string{"h:1", "i:2"}, kind: External, why: "h:1,i:2"},
		"external without an address":    {want: External, err: "needs its address"},
		"local and an address":           {want: Local, bootstrap: []string{"h:1"}, err: "address of an external one"},
		"docker and an address":          {want: Docker, bootstrap: []string{"h:1"}, err: "address of an external one"},
		"embedded and an address":        {want: Embedded, bootstrap: []string{"h:1"}, err: "address of an external one"},
		"unknown":                        {want: "k8s", err: "known are [auto local docker embedded external]"},
		"unknown with an address":        {want: "k8s", bootstrap: []string{"h:1"}, err: "known are"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, why, err := Choose(c.want, c.bootstrap, func(k Kind) error { return map[Kind]error{Local: c.local, Docker: c.docker}[k] })
			if kind != c.kind || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
				t.Errorf("got %q, %q, want %q, %q", kind, why, c.kind, c.why)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

func TestChooseAsksOnlyWhereItMatters(t *testing.T) {
	none := func(k Kind) error { t.Errorf("asked about %s", k); return nil }
	for _, want := range []Kind{Embedded, External} {
		_, _, _ = Choose(want, nil, none)
	}
	_, _, _ = Choose(Auto, []string{"h:1"}, none)
	for want, about := range map[Kind]Kind{Auto: Local, Local: Local, Docker: Docker} {
		_, _, _ = Choose(want, nil, func(k Kind) error {
			if k != about {
				t.Errorf("%s: asked about %s", want, k)
			}
			return nil
		})
	}
}
