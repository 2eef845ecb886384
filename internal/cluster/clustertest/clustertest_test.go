package clustertest

import "testing"

func TestRequired(t *testing.T) {
	for _, c := range []struct {
		ci, require string
		want        bool
	}{
		{"", "", false}, {"true", "", true}, {"", "local", true}, {"", "docker,local", true}, {"false", "docker", false}, {"1", "", false},
	} {
		if got := required("local", c.ci, c.require); got != c.want {
			t.Errorf("CI=%q KBENCH_REQUIRE=%q: %v", c.ci, c.require, got)
		}
	}
}
