package stats

import (
	"math"
	"slices"
)

// Column is one sampled figure of a run over time.
type Column struct {
	Of      string    // kind of subject: see Glossary
	Subject string    // whose it is: machine, kbench, broker 1, producers, producers to broker 1, cluster, …
	Figure  string    // what it is, one of Glossary's for the subject
	Unit    string    // of Glossary
	Values  []float64 // one a step; NaN: not known
}

// Word explains a figure of the columns.
type Word struct{ Of, Figure, Unit, Says string }

// Kinds of subject in a Glossary.
const (
	ofMachine = "machine"
	ofProcess = "process"   // kbench, which is all its processes together, each of its workers, each broker and controller
	ofClient  = "producers" // all together; those with a + also for each broker, as "producers to broker 1"
	ofCluster = "cluster"
	ofGroup   = "group"
)

// Glossary says what sampled figures a series can have, in the order in which they stand.
func Glossary() []Word {
	return []Word{
		{ofMachine, "cpu", "cores", "processors at work, of all processes"},
		{ofMachine, "iowait", "cores", "processors idle while a disk was waited for"},
		{ofMachine, "steal", "cores", "processors taken by the machine's host"},
		{ofMachine, "throttled", "cores", "time in which a control group's quota held its processes back, a second"},
		{ofMachine, "memory_available", "bytes", "that could be had without swapping"},
		{ofMachine, "loopback", "bytes/s", "carried by the loopback interface, for every process"},
		{ofMachine, "network_in", "bytes/s", "by all other interfaces, for every process"},
		{ofMachine, "network_out", "bytes/s", "likewise"},
		{ofMachine, "disk_read", "bytes/s", "from all disks"},
		{ofMachine, "disk_written", "bytes/s", "likewise"},
		{ofProcess, "cpu", "cores", "processor time"},
		{ofProcess, "ready", "cores", "threads ready to run that had no processor"},
		{ofProcess, "busiest_thread", "share", "of the time in which the busiest thread ran or was ready to"},
		{ofProcess, "memory", "bytes", "resident, at the end of the step"},
		{ofProcess, "disk_read", "bytes/s", "from storage, past the page cache"},
		{ofProcess, "disk_written", "bytes/s", "to storage, when the kernel took it out of the page cache or the process waited for it"},
		{ofProcess, "network_in", "bytes/s", "over its TCP sockets, as the kernel counts the streams; what one carried between the last look and its end is missing"},
		{ofProcess, "network_out", "bytes/s", "likewise"},
		{ofClient, "queued", "records", "in the client without an acknowledgement, at the end of the step"},
		{ofClient, "queued_bytes", "bytes", "likewise"},
		{ofClient, "room_p50", "us", "a record's wait for room in the client's buffer"},
		{ofClient, "room_p99", "us", "likewise"},
		{ofClient, "queue_p50", "us", "+ a record's time in the client, from the buffer into a request: lingering, batching, waiting for a request to be allowed"},
		{ofClient, "queue_p99", "us", "+ likewise"},
		{ofClient, "outgoing_p50", "us", "+ a request's wait until it was written to the socket"},
		{ofClient, "outgoing_p99", "us", "+ likewise"},
		{ofClient, "round_trip_p50", "us", "+ a request's time from then to its answer"},
		{ofClient, "round_trip_p99", "us", "+ likewise"},
		{ofClient, "in_flight", "requests", "+ unanswered at a time, on average"},
		{ofClient, "throttled", "us", "+ for which an answer held the client back by quota, on average"},
		{ofClient, "batch_records", "records", "in a batch of one partition, on average"},
		{ofClient, "batch_bytes", "bytes", "of a batch, on average"},
		{ofCluster, "under_replicated", "partitions", "with a replica outside the ISR"},
		{ofCluster, "offline", "partitions", "without a leader"},
		{ofGroup, "behind", "records", "acknowledged (of transactions: committed) and not given to the group yet, at the end of the step"},
	}
}

func unit(of, figure string) string {
	words := Glossary()
	return words[slices.IndexFunc(words, func(w Word) bool { return w.Of == of && w.Figure == figure })].Unit
}

// grid collects sampled figures for the steps of a series.
type grid struct {
	from, step int64
	steps      int
	columns    []*filling
	byName     map[[2]string]*filling
}

// filling is a column on its way.
type filling struct {
	Column
	weight []int64 // of a rate: the time that is known of each step
}

func newGrid(s Series) *grid {
	return &grid{from: s.From, step: max(int64(s.Step), 1), steps: len(s.Points), byName: map[[2]string]*filling{}}
}

// column of a subject, made where it is new.
func (g *grid) column(of, subject, figure string) *filling {
	key := [2]string{subject, figure}
	if c := g.byName[key]; c != nil {
		return c
	}
	c := &filling{Column: Column{Of: of, Subject: subject, Figure: figure, Unit: unit(of, figure)}}
	c.Values = make([]float64, g.steps)
	for i := range c.Values {
		c.Values[i] = math.NaN()
	}
	c.weight = make([]int64, g.steps)
	g.columns, g.byName[key] = append(g.columns, c), c
	return c
}

// at is the step of a time, false outside the series.
func (g *grid) at(t int64) (int, bool) {
	i := int((t - g.from) / g.step)
	return i, t >= g.from && i < g.steps
}

// set says what a figure was at a time; the latest in a step stands.
func (g *grid) set(of, subject, figure string, t int64, v float64) {
	c := g.column(of, subject, figure)
	if i, ok := g.at(t); ok {
		c.Values[i] = v
	}
}

// over says what a figure was on average from one time to another. A step has the mean of what is known of it.
func (g *grid) over(of, subject, figure string, from, to int64, v float64) {
	c := g.column(of, subject, figure)
	for i := max(0, int((from-g.from)/g.step)); i < g.steps; i++ {
		start := g.from + int64(i)*g.step
		if start >= to {
			return
		}
		known := min(to, start+g.step) - max(from, start)
		if known <= 0 {
			continue
		}
		if c.weight[i] == 0 {
			c.Values[i] = 0
		}
		before := float64(c.weight[i])
		c.weight[i] += known
		c.Values[i] = (c.Values[i]*before + v*float64(known)) / float64(c.weight[i])
	}
}

// finish is every column, in order of the glossary's kinds, then of the subjects, then of the figures.
func (g *grid) finish() []Column {
	words := Glossary()
	rank := func(c *filling) int {
		return slices.IndexFunc(words, func(w Word) bool { return w.Of == c.Of })
	}
	place := func(c *filling) int {
		return slices.IndexFunc(words, func(w Word) bool { return w.Of == c.Of && w.Figure == c.Figure })
	}
	slices.SortStableFunc(g.columns, func(a, b *filling) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if a.Subject != b.Subject {
			return bySubject(a.Subject, b.Subject)
		}
		return place(a) - place(b)
	})
	var out []Column
	for _, c := range g.columns {
		out = append(out, c.Column)
	}
	return out
}
