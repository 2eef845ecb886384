package stats

import (
	"math"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
)

// lookedAt is a sample with one broker, which has used so much processor time.
func lookedAt(at, pid int, cpuMs, busyMs int64) rundir.Sample {
	memory := int64(100)
	return rundir.Sample{At: int64(at) * ms, TookUs: 1000, Machine: &rundir.MachineUse{CPUs: 4, BusyUs: busyMs * 1000}, Processes: []rundir.ProcessUse{
		{Of: rundir.OfBroker, Name: "broker 1", Pid: pid, Began: uint64(pid), CPUUs: cpuMs * 1000, Memory: &memory},
	}}
}

func columnOf(t *testing.T, s Series, subject, figure string) []float64 {
	t.Helper()
	for _, c := range s.Sampled {
		if c.Subject == subject && c.Figure == figure {
			return c.Values
		}
	}
	t.Fatalf("no column %s %s", subject, figure)
	return nil
}

func wantValues(t *testing.T, what string, got []float64, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		if math.IsNaN(want[i]) != math.IsNaN(got[i]) || math.Abs(got[i]-want[i]) > 1e-3 {
			t.Errorf("%s, step %d: %v, want %v", what, i, got[i], want[i])
		}
	}
}

// figuresWith has four seconds of sends from the start, and what was sampled meanwhile.
func figuresWith(t *testing.T, samples ...rundir.Sample) Figures {
	t.Helper()
	var o ops
	for n := range 40 {
		o = append(o, send(n, 0, float64(n*100), float64(n*100), float64(n*100+1), 1))
	}
	f, err := take(whole{o, o}, header("orders/0"), measuring(0, 4000), samples, OverTime)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUseBetweenSamplesIsSpreadOverTheSteps(t *testing.T) {
	f := figuresWith(t, lookedAt(500, 7, 1000, 2000), lookedAt(1500, 7, 1800, 3500), lookedAt(2500, 7, 1800, 3500))
	wantValues(t, "broker", columnOf(t, f.Series, "broker 1", "cpu"), 0.8, 0.4, 0, math.NaN())
	wantValues(t, "machine", columnOf(t, f.Series, "machine", "cpu"), 1.5, 0.75, 0, math.NaN())
	wantValues(t, "memory", columnOf(t, f.Series, "broker 1", "memory"), 100, 100, 100, math.NaN())
	p := f.Resources.Processes
	if len(p) != 1 || p[0].Name != "broker 1" || *p[0].CPU.Mean != 0.4 || *p[0].CPU.Peak != 0.8 || *p[0].Memory != 100 {
		t.Errorf("%+v", p)
	}
	if p[0].DiskRead.Mean != nil || f.Resources.Machine.Throttled.Mean != nil {
		t.Error("what nobody told is known")
	}
}

func TestABrokerThatIsStartedAgainBeginsAnew(t *testing.T) {
	dead := lookedAt(2000, 7, 0, 5000)
	dead.Processes = nil
	f := figuresWith(t, lookedAt(0, 7, 90_000, 2000), lookedAt(1000, 7, 90_500, 3000), dead, lookedAt(3000, 8, 700, 6000), lookedAt(4000, 8, 900, 7000))
	wantValues(t, "broker", columnOf(t, f.Series, "broker 1", "cpu"), 0.5, math.NaN(), 0.7, 0.2)
}

func TestKbenchIsAllOfItsProcesses(t *testing.T) {
	of := func(at int64, own, child int64) rundir.Sample {
		return rundir.Sample{At: at * ms, Processes: []rundir.ProcessUse{
			{Of: rundir.OfKbench, Name: "kbench", Pid: 1, CPUUs: own * 1000, Memory: ptr(int64(10)), Read: ptr(int64(1)),
				Threads: &rundir.Thread{OverUs: 1e6, ReadyUs: 1e5, Name: "kbench", CPUUs: 3e5}},
			{Of: rundir.OfWorker, Name: "p0", Pid: 2, CPUUs: child * 1000, Memory: ptr(int64(5)), // what it read is not known
				Threads: &rundir.Thread{OverUs: 1e6, ReadyUs: 2e5, Name: "rdk:broker1", CPUUs: 8e5, WaitedUs: 1e5}},
		}}
	}
	f := figuresWith(t, of(0, 0, 0), of(1000, 300, 900), of(2000, 600, 1800))
	wantValues(t, "cpu of all", columnOf(t, f.Series, "kbench", "cpu"), 1.2, 1.2, math.NaN(), math.NaN())
	wantValues(t, "cpu of one", columnOf(t, f.Series, "p0", "cpu"), 0.9, 0.9, math.NaN(), math.NaN())
	wantValues(t, "ready", columnOf(t, f.Series, "kbench", "ready"), 0.3, 0.3, math.NaN(), math.NaN())
	k := f.Resources.Processes[0]
	if k.Name != "kbench" || *k.Memory != 15 || k.Thread != "rdk:broker1" || math.Abs(*k.Busiest.Mean-0.9) > 1e-9 || k.DiskRead.Mean != nil {
		t.Errorf("%+v", k)
	}
}

func TestReplicasOutsideTheISRAreCountedOverTime(t *testing.T) {
	at := func(ms, under, offline int) rundir.Sample {
		return rundir.Sample{At: int64(ms) * 1e6, Replicas: &rundir.Replicas{Partitions: 6, Under: under, Offline: offline}}
	}
	f := figuresWith(t, at(0, 0, 0), at(1000, 4, 1), at(2000, 2, 0), rundir.Sample{At: 3000 * ms})
	wantValues(t, "under-replicated", columnOf(t, f.Series, "cluster", "under_replicated"), 0, 4, 2, math.NaN())
	r := f.Resources.Replicas
	if *r.Under != 4 || *r.Offline != 1 || *r.UnderMs != 2000 || *r.OfflineMs != 1000 {
		t.Errorf("%d under for %d ms, %d offline for %d ms", *r.Under, *r.UnderMs, *r.Offline, *r.OfflineMs)
	}
}

func TestARunWithoutSamplesKnowsNothingOfResources(t *testing.T) {
	f := figuresWith(t)
	if f.Resources != nil || f.Stages != nil || len(f.Series.Sampled) != 0 {
		t.Errorf("%+v %+v %+v", f.Resources, f.Stages, f.Series.Sampled)
	}
}
