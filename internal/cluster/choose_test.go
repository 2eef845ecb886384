package cluster

import (
	"errors"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	noJava := errors.New("no Java")
	for name, c := range map[string]struct {
		want      Kind
		bootstrap []string
		missing   error
		kind      Kind
		why, err  string
	}{
		"auto with an address":           {want: Auto, bootstrap: []string{"h:1"}, kind: External, why: "h:1"},
		"auto with Java":                 {want: Auto, kind: Local, why: "Java"},
		"auto without Java":              {want: Auto, missing: noJava, kind: Embedded, why: "no Java"},
		"local, and it can be":           {want: Local, kind: Local, why: "asked"},
		"local, never a simulation":      {want: Local, missing: noJava, err: "no Java"},
		"embedded, though there is Java": {want: Embedded, kind: Embedded, why: "asked"},
		"external":                       {want: External, bootstrap: []string{"h:1", "i:2"}, kind: External, why: "h:1,i:2"},
		"external without an address":    {want: External, err: "needs its address"},
		"local and an address":           {want: Local, bootstrap: []string{"h:1"}, err: "address of an external one"},
		"embedded and an address":        {want: Embedded, bootstrap: []string{"h:1"}, err: "address of an external one"},
		"unknown":                        {want: "k8s", err: "known are [auto local embedded external]"},
		"unknown with an address":        {want: "k8s", bootstrap: []string{"h:1"}, err: "known are"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, why, err := Choose(c.want, c.bootstrap, func() error { return c.missing })
			if kind != c.kind || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
				t.Errorf("got %q, %q, want %q, %q", kind, why, c.kind, c.why)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

func TestChooseAsksForJavaOnlyWhereItMatters(t *testing.T) {
	ask := func() error { t.Error("asked"); return nil }
	for _, want := range []Kind{Embedded, External} {
		_, _, _ = Choose(want, nil, ask)
	}
	_, _, _ = Choose(Auto, []string{"h:1"}, ask)
}
