package rundir

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sample() Sample {
	n := int64(7)
	return Sample{
		At: 5, TookUs: 3,
		Machine: &MachineUse{CPUs: 2, BusyUs: 9, Loopback: &n},
		Processes: []ProcessUse{
			{Of: OfBroker, Name: "broker 1", Pid: 17, Began: 4, CPUUs: 8, Memory: &n, Threads: &Thread{OverUs: 1, Name: "kafka"}},
			{Of: OfKbench, Name: "kbench", Pid: 16, Began: 3},
		},
		Replicas: &Replicas{Partitions: 3, Under: 1},
		Clients: []ClientWindow{{
			Client: "p0", Session: 1, From: 1, To: 5, QueuedRecords: &n, Room: &Spread{Count: 2},
			Brokers: []BrokerWindow{{Broker: 1, RoundTrip: &Spread{Count: 3, Sum: 12, At: [8]float64{1, 2, 3, 4, 5, 6, 7, 8.5}}}},
		}},
	}
}

func TestSamplesComeBackAsTheyWereWritten(t *testing.T) {
	dir := t.TempDir()
	if got, err := Samples(dir); got != nil || err != nil {
		t.Errorf("a run without samples: %v, %v", got, err)
	}
	w, err := CreateSamples(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Sample{sample(), {At: 6}}
	for _, s := range want {
		if err := w.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Samples(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("while it is written: %+v, %v, want %+v", got, err, want)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SamplesFile)
	whole, _ := os.ReadFile(path)
	if err := os.WriteFile(path, whole[:len(whole)-4], 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Samples(dir); err != nil || len(got) != 1 {
		t.Errorf("with a torn last line: %d samples, %v, want the one that is whole", len(got), err)
	}
}

func TestSamplesSayWhichLineIsWrong(t *testing.T) {
	const head = `{"kbench_samples":1}` + "\n"
	for name, c := range map[string]struct{ text, says string }{
		"another version":      {`{"kbench_samples":2}` + "\n", "line 1: version 2, this kbench reads 1"},
		"no head":              {`{"at_ns":1}` + "\n", "line 1: version 0"},
		"no JSON":              {head + "{}\nno\n", "line 3"},
		"a spread cut short":   {head + `{"clients":[{"room":[1,2]}]}` + "\n", "line 2: a spread has 10 numbers, not 2"},
		"a spread that is not": {head + `{"clients":[{"room":[-1,2,3,4,5,6,7,8,9,10]}]}` + "\n", "a spread counts -1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readSamples(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func FuzzSamples(f *testing.F) {
	f.Add([]byte("{\"kbench_samples\":1}\n{\"at_ns\":1,\"clients\":[{\"room\":[1,2,3,4,5,6,7,8,9,10]}]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := readSamples(bytes.NewReader(text))
		if err == nil && len(list) > bytes.Count(text, []byte("\n")) {
			t.Errorf("%d samples out of %d lines", len(list), bytes.Count(text, []byte("\n")))
		}
	})
}
