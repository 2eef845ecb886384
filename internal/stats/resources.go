package stats

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/rundir"
)

// Resources is what machine and processes used in the measured part of a run. What is not known is nil.
type Resources struct {
	Machine   Machine
	Processes []Process // kbench, which is all its processes together; brokers; controllers; kbench's workers
	Replicas  Replicas
	Sampling  *float64 // share of one processor's time that the looking took
}

// Machine is all of it, or the container that kbench runs in. Cores are processors' worth of time.
type Machine struct {
	CPUs       *float64 // that may be used: the machine's, or what the control group allows
	All        *float64 // the machine's, whatever a control group allows
	CPU        Level    // cores
	IOWait     Level    // cores idle while a disk was waited for
	Steal      Level    // cores that the host took
	Throttled  Level    // seconds a second in which a control group's quota held its processes back
	Loopback   Level    // bytes a second
	NetworkIn  Level    // likewise, of all other interfaces
	NetworkOut Level
	DiskRead   Level
	DiskWrite  Level
}

// Process is one, or kbench's together.
type Process struct {
	Of, Name   string
	CPU        Level    // cores
	Ready      Level    // threads that were ready to run and had no processor
	Busiest    Level    // share of the time in which the busiest thread ran or was ready to
	Thread     string   // the busiest one's name where it was busiest, "" where not known
	Memory     *float64 // bytes resident, at most
	DiskRead   Level    // bytes a second
	DiskWrite  Level
	NetworkIn  Level
	NetworkOut Level
}

// Level is a rate: its mean over the measured part, as far as it is known, and its highest between two samples.
type Level struct{ Mean, Peak *float64 }

// Replicas is how many of the run's partitions lacked a replica in the ISR, and how many a leader: at most, and for how
// long any did. Nil where nobody looked.
type Replicas struct {
	Under, Offline     *int
	UnderMs, OfflineMs *int64
}

// meter takes the mean and the peak of a rate within a window.
type meter struct {
	within Window
	amount float64
	span   int64
	peak   float64
}

// add what was used from one time to another.
func (m *meter) add(amount float64, from, to int64) {
	known := min(to, m.within.To) - max(from, m.within.From)
	if known <= 0 || to <= from {
		return
	}
	m.amount += amount * float64(known) / float64(to-from)
	m.span += known
	m.peak = max(m.peak, amount/float64(to-from))
}

// level in units a second; amounts of ns and spans in ns give cores.
func (m *meter) level(perSecond float64) Level {
	if m == nil || m.span == 0 {
		return Level{}
	}
	mean, peak := m.amount/float64(m.span)*perSecond, m.peak*perSecond
	return Level{&mean, &peak}
}

// usage works samples off in order.
type usage struct {
	grid   *grid
	within Window
	meters map[[2]string]*meter
	procs  map[string]*Process
	last   *rundir.Sample
	cpus   *float64
	all    *float64
	looked int64 // ns
	rep    Replicas
}

const second = 1e9

// resources tells what was used within a window, and fills the grid.
func resources(samples []rundir.Sample, within Window, g *grid) *Resources {
	if len(samples) == 0 {
		return nil
	}
	u := &usage{grid: g, within: within, meters: map[[2]string]*meter{}, procs: map[string]*Process{}}
	for i := range samples {
		u.add(&samples[i])
	}
	return u.summary()
}

func (u *usage) add(s *rundir.Sample) {
	if within := u.within.Has(s.At); within {
		u.looked += s.TookUs * 1000
	}
	u.replicas(s)
	for _, p := range s.Processes {
		u.moment(s.At, p)
	}
	if u.last != nil && s.At > u.last.At {
		u.machine(u.last, s)
		u.processes(u.last, s)
	}
	u.last = s
}

func (u *usage) replicas(s *rundir.Sample) {
	r := s.Replicas
	if r == nil {
		return
	}
	u.grid.set(ofCluster, ofCluster, "under_replicated", s.At, float64(r.Under))
	u.grid.set(ofCluster, ofCluster, "offline", s.At, float64(r.Offline))
	if !u.within.Has(s.At) {
		return
	}
	if u.rep.Under == nil {
		u.rep = Replicas{new(int), new(int), new(int64), new(int64)}
	}
	*u.rep.Under, *u.rep.Offline = max(*u.rep.Under, r.Under), max(*u.rep.Offline, r.Offline)
	if u.last == nil {
		return
	}
	millis := (s.At - max(u.last.At, u.within.From)) / 1e6
	if r.Under > 0 {
		*u.rep.UnderMs += millis
	}
	if r.Offline > 0 {
		*u.rep.OfflineMs += millis
	}
}

// moment is what a process is at one time.
func (u *usage) moment(at int64, p rundir.ProcessUse) {
	known := u.procs[p.Name]
	if known == nil {
		known = &Process{Of: p.Of, Name: p.Name}
		u.procs[p.Name] = known
	}
	if p.Memory != nil && p.Of != rundir.OfWorker && p.Of != rundir.OfKbench {
		u.memory(p.Name, at, float64(*p.Memory))
	}
}

func (u *usage) memory(name string, at int64, bytes float64) {
	u.grid.set(ofProcess, name, "memory", at, bytes)
	if p := u.procs[name]; u.within.Has(at) && (p.Memory == nil || *p.Memory < bytes) {
		p.Memory = &bytes
	}
}

// used counts a rate: in the grid, and for the summary.
func (u *usage) used(of, subject, figure string, from, to int64, amount, perSecond float64) {
	u.grid.over(of, subject, figure, from, to, amount/float64(to-from)*perSecond)
	key := [2]string{subject, figure}
	m := u.meters[key]
	if m == nil {
		m = &meter{within: u.within}
		u.meters[key] = m
	}
	m.add(amount, from, to)
}

func (u *usage) machine(a, b *rundir.Sample) {
	if a.Machine == nil || b.Machine == nil {
		return
	}
	from, to := a.Machine, b.Machine
	cpus, all := float64(to.CPUs), float64(to.CPUs)
	if to.Quota > 0 {
		cpus = min(cpus, to.Quota)
	}
	u.cpus, u.all = &cpus, &all
	for figure, us := range map[string]int64{"cpu": to.BusyUs - from.BusyUs, "iowait": to.WaitUs - from.WaitUs, "steal": to.StealUs - from.StealUs} {
		u.used(ofMachine, ofMachine, figure, a.At, b.At, float64(max(0, us))*1000, 1)
	}
	u.grown(ofMachine, ofMachine, "throttled", a.At, b.At, from.ThrottledUs, to.ThrottledUs, 1000, 1)
	for figure, n := range map[string][2]*int64{
		"loopback": {from.Loopback, to.Loopback}, "network_in": {from.NetworkIn, to.NetworkIn}, "network_out": {from.NetworkOut, to.NetworkOut},
		"disk_read": {from.DiskReadB, to.DiskReadB}, "disk_written": {from.DiskWrittenB, to.DiskWrittenB},
	} {
		u.grown(ofMachine, ofMachine, figure, a.At, b.At, n[0], n[1], 1, second)
	}
	if to.Available != nil {
		u.grid.set(ofMachine, ofMachine, "memory_available", b.At, float64(*to.Available))
	}
}

// grown counts an amount that is known at both ends; one that shrank is another counter.
func (u *usage) grown(of, subject, figure string, from, to int64, before, after *int64, scale, perSecond float64) {
	if before != nil && after != nil && *after >= *before {
		u.used(of, subject, figure, from, to, float64(*after-*before)*scale, perSecond)
	}
}

// processes counts each process by itself, and kbench's together.
func (u *usage) processes(a, b *rundir.Sample) {
	var all together
	for _, after := range b.Processes {
		before := rundir.ProcessUse{Read: new(int64), Written: new(int64), In: new(int64), Out: new(int64)} // one that began meanwhile began at 0
		if i := slices.IndexFunc(a.Processes, func(p rundir.ProcessUse) bool { return p.Name == after.Name }); i >= 0 && same(a.Processes[i], after) {
			before = a.Processes[i]
		}
		if after.Of == rundir.OfKbench || after.Of == rundir.OfWorker {
			all.add(before, after)
		}
		if after.Of != rundir.OfKbench {
			u.process(after.Name, a.At, b.At, before, after)
		}
	}
	if !all.any {
		return
	}
	u.process(rundir.OfKbench, a.At, b.At, all.before, all.after)
	if all.after.Memory != nil {
		u.memory(rundir.OfKbench, b.At, float64(*all.after.Memory))
	}
}

func same(a, b rundir.ProcessUse) bool { return a.Pid == b.Pid && a.Began == b.Began }

func (u *usage) process(name string, from, to int64, before, after rundir.ProcessUse) {
	u.used(ofProcess, name, "cpu", from, to, float64(max(0, after.CPUUs-before.CPUUs))*1000, 1)
	u.grown(ofProcess, name, "disk_read", from, to, before.Read, after.Read, 1, second)
	u.grown(ofProcess, name, "disk_written", from, to, before.Written, after.Written, 1, second)
	u.grown(ofProcess, name, "network_in", from, to, before.In, after.In, 1, second)
	u.grown(ofProcess, name, "network_out", from, to, before.Out, after.Out, 1, second)
	t := after.Threads
	if t == nil || t.OverUs <= 0 {
		return
	}
	over := float64(t.OverUs) * 1000
	u.used(ofProcess, name, "ready", from, to, float64(t.ReadyUs)*1000/over*float64(to-from), 1)
	busy := min(1, float64(t.CPUUs+t.WaitedUs)*1000/over)
	key := [2]string{name, "busiest_thread"}
	if m := u.meters[key]; u.within.Has(to) && (m == nil || busy >= m.peak) {
		u.procs[name].Thread = t.Name
	}
	u.used(ofProcess, name, "busiest_thread", from, to, busy*float64(to-from), 1)
}

// together adds processes up. What one of them does not know nobody knows.
type together struct {
	any           bool
	before, after rundir.ProcessUse
}

func (t *together) add(before, after rundir.ProcessUse) {
	if !t.any {
		t.any, t.before, t.after = true, before, after
		return
	}
	for _, side := range []struct{ sum, one *rundir.ProcessUse }{{&t.before, &before}, {&t.after, &after}} {
		side.sum.CPUUs += side.one.CPUUs
		for _, n := range []struct {
			sum **int64
			one *int64
		}{
			{&side.sum.Memory, side.one.Memory}, {&side.sum.Read, side.one.Read}, {&side.sum.Written, side.one.Written},
			{&side.sum.In, side.one.In}, {&side.sum.Out, side.one.Out},
		} {
			*n.sum = plus(*n.sum, n.one)
		}
	}
	if x, y := t.after.Threads, after.Threads; x != nil && y != nil {
		sum := *x
		sum.ReadyUs += y.ReadyUs
		if y.CPUUs+y.WaitedUs > x.CPUUs+x.WaitedUs {
			sum.Name, sum.CPUUs, sum.WaitedUs = y.Name, y.CPUUs, y.WaitedUs
		}
		t.after.Threads = &sum
	}
}

func plus(a, b *int64) *int64 {
	if a == nil || b == nil {
		return nil
	}
	sum := *a + *b
	return &sum
}

func (u *usage) summary() *Resources {
	level := func(subject, figure string, perSecond float64) Level {
		return u.meters[[2]string{subject, figure}].level(perSecond)
	}
	r := &Resources{Replicas: u.rep}
	r.Machine = Machine{
		CPUs: u.cpus, All: u.all, CPU: level(ofMachine, "cpu", 1), IOWait: level(ofMachine, "iowait", 1), Steal: level(ofMachine, "steal", 1),
		Throttled: level(ofMachine, "throttled", 1), Loopback: level(ofMachine, "loopback", second),
		NetworkIn: level(ofMachine, "network_in", second), NetworkOut: level(ofMachine, "network_out", second),
		DiskRead: level(ofMachine, "disk_read", second), DiskWrite: level(ofMachine, "disk_written", second),
	}
	for name, p := range u.procs {
		p.CPU, p.Ready, p.Busiest = level(name, "cpu", 1), level(name, "ready", 1), level(name, "busiest_thread", 1)
		p.DiskRead, p.DiskWrite = level(name, "disk_read", second), level(name, "disk_written", second)
		p.NetworkIn, p.NetworkOut = level(name, "network_in", second), level(name, "network_out", second)
		if p.CPU.Mean != nil {
			r.Processes = append(r.Processes, *p)
		}
	}
	slices.SortFunc(r.Processes, func(a, b Process) int {
		return cmp.Or(slices.Index(kinds(), a.Of)-slices.Index(kinds(), b.Of), bySubject(a.Name, b.Name))
	})
	if span := u.within.To - u.within.From; span > 0 && u.looked > 0 {
		share := float64(u.looked) / float64(span)
		r.Sampling = &share
	}
	return r
}

func kinds() []string {
	return []string{rundir.OfKbench, rundir.OfBroker, rundir.OfController, rundir.OfWorker}
}

// bySubject puts broker 2 before broker 10, and kbench before everyone.
func bySubject(a, b string) int {
	return cmp.Or(rank(a)-rank(b), len(a)-len(b), strings.Compare(a, b))
}

func rank(subject string) int {
	for i, prefix := range []string{rundir.OfKbench, rundir.OfBroker, rundir.OfController} {
		if strings.HasPrefix(subject, prefix) {
			return i
		}
	}
	return len(kinds())
}
