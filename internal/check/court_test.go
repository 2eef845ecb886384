package check

import "testing"

func TestAnOperationIsDuringTheFaultThatBeganLast(t *testing.T) {
	c := &court{windows: []window{
		newWindow("kill", "broker 1", 100, 200), newWindow("pause", "broker 2", 150, 170), newWindow("cut-acks", "", 120, 300), newWindow("stop", "broker 3", 120, 140),
	}}
	for _, w := range []struct {
		name     string
		from, to int64
		want     string
	}{
		{"before all", 10, 99, ""},
		{"touches the begin", 10, 100, "kill broker 1"},
		{"covers one whole", 10, 110, "kill broker 1"},
		{"of two that began at once the one listed last", 121, 121, "stop broker 3"},
		{"within several", 155, 156, "pause broker 2"},
		{"touches the end", 170, 400, "pause broker 2"},
		{"past the last begun", 171, 400, "cut-acks"},
		{"touches the last end", 300, 400, "cut-acks"},
		{"after all", 301, 400, ""},
	} {
		if got := c.during(w.from, w.to); got != w.want {
			t.Errorf("%s: during %q, want %q", w.name, got, w.want)
		}
	}
}
