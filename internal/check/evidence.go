package check

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// run is what the judge knows of a run besides its history; of a hand-written history there is only the guarantee.
type run struct {
	recorded  bool
	guarantee string
	meta      rundir.Meta
	dir       string // the run directory
	windows   []window

	group         string         // of the consumers, the first where there are several
	groups        []rundir.Group // of the consumers, each judged by itself
	input         string         // topic of a read–process–write
	transactional bool
	drained       bool // every group, the processors' too

	finalTorn bool     // the final reader's log is not whole
	logs      []string // what is wrong with the logs
	readers   string   // what is wrong with the logs of those who read, "" for nothing
	writers   string   // likewise of those who send
}

// The wall clock may move by so much against the monotonic one: time servers slew it by less in a run.
const maxWallStepMs = 200

func recordedRun(meta rundir.Meta, h *history.History) run {
	r := run{
		recorded: true, guarantee: meta.Guarantee, meta: meta,
		group: meta.Judged.Group, groups: meta.Judged.Consumers(), input: meta.Judged.InputTopic,
		transactional: meta.Judged.Transactions, drained: meta.Judged.Drained,
	}
	for _, f := range meta.Faults {
		r.windows = append(r.windows, faultWindow(f, meta.Clock))
	}
	r.examine(h)
	return r
}

// another says why run.json and a history do not tell of one run, "" where they do. Nothing can be judged by the two.
func another(meta rundir.Meta, head *history.Header) string {
	var partitions []string
	for _, t := range meta.Topics {
		for p := range t.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s/%d", t.Name, p))
		}
	}
	switch id := fmt.Sprintf("%016x", head.Run); {
	case id != meta.RunID:
		return fmt.Sprintf("run.json tells of run %s, the history of run %s", meta.RunID, id)
	case !slices.Equal(partitions, head.Partitions):
		return fmt.Sprintf("run.json has the partitions %v, the history %v", partitions, head.Partitions)
	case head.Guarantee != "" && head.Guarantee != meta.Guarantee:
		return fmt.Sprintf("run.json claims %q, the history %q", meta.Guarantee, head.Guarantee)
	}
	return ""
}

// groupOf is the group of a reader's session.
func (r run) groupOf(w rundir.Worker) string {
	if w.Group == "" && w.Role == "processor" {
		return r.processors()
	}
	return cmp.Or(w.Group, r.group)
}

// processors is their group; early runs have one group, in one place.
func (r run) processors() string { return cmp.Or(r.meta.Judged.Processors, r.group) }

// consumers is the group of that name; the zero one where it is not the consumers'.
func (r run) consumers(name string) rundir.Group {
	if i := slices.IndexFunc(r.groups, func(g rundir.Group) bool { return g.Name == name }); i >= 0 {
		return r.groups[i]
	}
	return rundir.Group{}
}

func (r run) keepsTombstones(topic string) bool {
	return slices.ContainsFunc(r.meta.Topics, func(t rundir.Topic) bool { return t.Name == topic && t.KeepsTombstones })
}

func (r run) compacted(topic string) bool {
	return slices.ContainsFunc(r.meta.Topics, func(t rundir.Topic) bool { return t.Name == topic && t.Compacted })
}

// worker is the session of a client, nil where run.json has none.
func (r *run) worker(c history.Client) *rundir.Worker {
	at := slices.IndexFunc(r.meta.Workers, func(w rundir.Worker) bool { return w.Name == c.Name && w.Session == int(c.Session) })
	if at < 0 {
		return nil
	}
	return &r.meta.Workers[at]
}

// examine finds logs that are missing, damaged, or end too early without the session having been killed, and logs of
// nobody.
func (r *run) examine(h *history.History) {
	for i, c := range h.Header.Clients {
		w, file := r.worker(c), h.Sessions[i].File
		killed := w != nil && w.Killed
		problem := ""
		if !h.Sessions[i].Closed && !killed {
			problem = "its session did not close it, and was not killed"
		}
		for _, t := range h.Tears {
			if int(t.Client) == i && !(t.Tail && killed) {
				problem = fmt.Sprintf("byte %d: %s", t.Offset, t.Reason)
			}
		}
		switch {
		case problem != "":
			r.blame(w, c.Name, file+" is not whole: "+problem)
		case file != filepath.Base(rundir.Log("", c.Name, int(c.Session))):
			r.blame(w, c.Name, fmt.Sprintf("%s is a log of %s's session %d", file, c.Name, c.Session))
		case w == nil && c.Name != finalReader && r.meta.Stage == rundir.Complete:
			r.blame(w, c.Name, file+" is of no session that the run had")
		}
	}
	for i := range r.meta.Workers {
		w := &r.meta.Workers[i]
		if !slices.Contains(h.Header.Clients, history.Client{Name: w.Name, Session: int32(w.Session)}) {
			r.blame(w, w.Name, fmt.Sprintf("there is no log of %s's session %d", w.Name, w.Session))
		}
	}
}

// compare finds logs that are not as the run left them: more of a killed session's log may have been lost since.
func (r *run) compare(dir string, h *history.History) {
	known := map[string]bool{}
	for _, l := range r.meta.Logs {
		known[l.File] = true
		c := history.ClientOf(l.File)
		size, sum, err := history.Digest(filepath.Join(rundir.History(dir), l.File))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.blame(r.worker(c), c.Name, l.File+" is not there any more")
		case err != nil:
			r.blame(r.worker(c), c.Name, err.Error())
		case size != l.Bytes || sum != l.Sum:
			r.blame(r.worker(c), c.Name, l.File+" is not what the run left")
		}
	}
	for i, s := range h.Sessions {
		if c := h.Header.Clients[i]; len(r.meta.Logs) > 0 && !known[s.File] {
			r.blame(r.worker(c), c.Name, s.File+" came after the run's end")
		}
	}
}

// finalReader is the name of the session that reads for the judge.
const finalReader = rundir.FinalReader

// blame notes what is wrong with a log, and whose it is. A run that was cut off does not list its workers: then the log
// may be anybody's but the final reader's, which goes by its name.
func (r *run) blame(w *rundir.Worker, name, problem string) {
	r.logs = append(r.logs, problem)
	switch {
	case w == nil && name == finalReader, w != nil && w.Role == "reader":
		r.finalTorn = true
	case w == nil:
		r.writers, r.readers = problem, problem
	case w.Role == "producer":
		r.writers = problem
	case w.Role == "processor":
		r.writers, r.readers = problem, problem
	default:
		r.readers = problem
	}
}

// doubts are anomalies that may only seem so because evidence is missing, with the reason.
func (t *trial) doubts() map[string]string {
	r, d := t.run, map[string]string{}
	doubt := func(reason string, anomalies ...string) {
		for _, a := range anomalies {
			if d[a] == "" {
				d[a] = reason
			}
		}
	}
	if !r.recorded {
		return d
	}
	if r.finalTorn {
		doubt("the final reader's log is not whole", lostWrite, unseen, unprocessed, tornTransaction, pollSkip)
	}
	doubt("no final read covers it", unseen)
	if r.meta.Stage != rundir.Complete {
		doubt("the run was cut off", unprocessed)
	}
	if r.readers != "" {
		doubt(r.readers, unprocessed, pollSkip)
	}
	if r.readers != "" && !t.ledger.allComplete() {
		doubt(r.readers, lostWrite)
	}
	if r.writers != "" {
		doubt(r.writers, foreignRecord, unprocessed, duplicate, tornTransaction)
	}
	return d
}

// nothing tells what was not exercised at all, "" if all was.
func (t *trial) nothing() string {
	switch {
	case t.ledger.sends == 0:
		return "nothing was sent"
	case t.ledger.nothingRead():
		return "nothing was read"
	}
	return ""
}

// missing lists everything that stands against 'holds', besides anomalies.
func (t *trial) missing() []string {
	var list []string
	list = append(list, t.crashes...)
	if nothing := t.nothing(); nothing != "" {
		list = append(list, nothing)
	}
	if !t.run.recorded {
		list = append(list, t.unread()...)
		if t.run.guarantee == ExactlyOnceTransactions {
			list = append(list, t.outputReasons()...)
		}
		return list
	}
	list = append(list, recordReasons(t.run.meta)...)
	list = append(list, t.run.logs...)
	list = append(list, t.censusReasons()...)
	if step := t.run.meta.Clock.WallStepMs; step > maxWallStepMs || step < -maxWallStepMs {
		list = append(list, fmt.Sprintf("the wall clock was moved by %d ms during the run", step))
	}
	if t.run.guarantee == "" {
		return list
	}
	if t.counts.Acked == 0 {
		list = append(list, "no record was acknowledged")
	}
	list = append(list, t.finalReasons()...)
	list = append(list, t.groupReasons()...)
	return append(list, t.faultReasons()...)
}

// recordReasons are why run.json itself proves nothing.
func recordReasons(meta rundir.Meta) []string {
	var list []string
	if meta.Altered != "" {
		list = append(list, meta.Altered)
	}
	switch {
	case meta.Stage != rundir.Complete && meta.Error != "":
		list = append(list, fmt.Sprintf("the run did not come to its end: it stopped at %q: %s", meta.Stage, meta.Error))
	case meta.Stage != rundir.Complete:
		list = append(list, fmt.Sprintf("the run did not come to its end: it stopped at %q", meta.Stage))
	case meta.Error != "":
		list = append(list, "the run failed: "+meta.Error)
	}
	return list
}

// censusReasons are where the history does not have what the sessions counted.
func (t *trial) censusReasons() []string {
	if t.census == nil {
		return nil
	}
	return t.census.reasons()
}

func (t *trial) finalReasons() []string {
	f := t.run.meta.FinalRead
	var list []string
	if !f.Done {
		list = append(list, "the final read was not done")
	}
	list = append(list, f.Problems...)
	list = append(list, t.unread()...)
	if t.run.guarantee == ExactlyOnceTransactions && f.Passes < 2 {
		list = append(list, "the final read made one pass; transactions need two that agree")
	}
	for i := range t.ledger.parts {
		p := &t.ledger.parts[i]
		if f.Passes > 1 && p.reached[1] < 0 {
			list = append(list, fmt.Sprintf("the second pass of the final read left %s out", p.name))
		}
	}
	return list
}

// unread lists partitions that the final read did not read to their ends. A hand-written history without any final
// read is judged by its polls.
func (t *trial) unread() []string {
	var list []string
	for i := range t.ledger.parts {
		p := &t.ledger.parts[i]
		if t.run.recorded && p.end >= 0 && p.highest >= p.end {
			list = append(list, fmt.Sprintf("offset %d of %s was read, and its recorded end is %d", p.highest, p.name, p.end))
		}
		wanted := t.run.recorded || p.end >= 0 || p.pass() >= 0
		if !wanted || t.ledger.complete(p) {
			continue
		}
		switch {
		case p.pass() < 0 && p.end == 0 && !t.run.recorded:
		case p.pass() < 0:
			list = append(list, fmt.Sprintf("the final read did not read %s", p.name))
		case p.end < 0 && t.run.recorded:
			list = append(list, fmt.Sprintf("no end is recorded for %s", p.name))
		case p.end < 0:
			list = append(list, fmt.Sprintf("the final read of %s reached %d, though offset %d had been read before", p.name, p.reached[p.pass()], p.highest))
		default:
			list = append(list, fmt.Sprintf("the final read of %s reached %d of %d", p.name, slices.Min(reachedBy(p)), p.end))
		}
	}
	if t.agree != nil && t.agree.differ > 0 {
		list = append(list, fmt.Sprintf("the final read's passes differ in %d records, the first at %s", t.agree.differ, t.agree.first))
	}
	return list
}

func reachedBy(p *partition) []int64 {
	return slices.DeleteFunc([]int64{p.reached[0], p.reached[1]}, func(n int64) bool { return n < 0 })
}

// groupReasons tell where the consumers or the processors did not come to the end.
func (t *trial) groupReasons() []string {
	var list []string
	for _, own := range t.run.groups {
		if !own.Processed {
			continue
		}
		who := "the group"
		if len(t.run.groups) > 1 {
			who += " " + own.Name
		}
		switch g := t.ledger.groups[own.Name]; {
		case g == nil || !g.any:
			list = append(list, who+" handled nothing")
		case g.open > 0:
			list = append(list, fmt.Sprintf("%s did not arrive at the end: it has not handled %d acknowledged records", who, g.open))
		case !own.Drained && slices.Contains([]string{AtLeastOnce, ExactlyOnce}, t.run.guarantee):
			list = append(list, who+" did not arrive at the end")
		}
	}
	return append(list, t.outputReasons()...)
}

// outputReasons tell where what was read, processed and written did not come to the end.
func (t *trial) outputReasons() []string {
	if t.outputs == nil || !slices.Contains(t.outputs.inputs, true) {
		return nil
	}
	var list []string
	if t.outputs.double.checked == 0 {
		list = append(list, "the processors wrote nothing")
	}
	switch {
	case t.run.guarantee == AtMostOnce:
	case len(t.outputs.behind) > 0:
		list = append(list, "the processors did not cover their input to its end: "+strings.Join(t.outputs.behind, ", "))
	case t.run.recorded && !t.run.drained:
		// They committed all of it and were told so, and yet the cluster did not show it when it was asked.
		list = append(list, "the processors' group did not arrive at the end, though they have committed it")
	}
	return list
}

// agreement compares the passes of the final read.
type agreement struct {
	*court
	differ uint64
	first  string
}

func (c *agreement) kinds() []history.Kind { return []history.Kind{history.FinalRead} }

func (c *agreement) add(v *view) {
	p := c.part(v.Partition)
	if p == nil || p.reached[0] < 0 || p.reached[1] < 0 || !c.complete(p) {
		return
	}
	other := inSecond
	if v.Pass > 1 {
		other = inFirst
	}
	for k, i := range v.values {
		if c.values.state(i)&other != 0 {
			continue
		}
		if c.differ++; c.differ == 1 {
			c.first = fmt.Sprintf("%s@%d", p.name, v.Records[k].Offset)
		}
	}
}

func (c *agreement) found() []tally { return nil }
