package check

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Where a record was lost, the brokers' own logs say how: some broker had it and cut it off, or none ever had it. The run
// directory keeps what they had on disk (rundir.Look). It decides nothing: what clients were told and saw does.

// crossCheck adds to what is lost what brokers' logs had of it. Where it fails, the findings stand as they are.
func (t *trial) crossCheck(j *Judgement) {
	defer func() {
		if p := recover(); p != nil {
			j.Warnings = append(j.Warnings, fmt.Sprintf("the brokers' logs could not be searched: %v%s", p, where(debug.Stack())))
		}
	}()
	lost := slices.ContainsFunc(j.Findings, func(f Finding) bool { return isLoss(f.Anomaly) })
	if !lost || len(t.run.meta.Looks) == 0 {
		return
	}
	a, err := newArchive(t, j)
	if err != nil {
		j.Warnings = append(j.Warnings, fmt.Sprintf("the brokers' logs could not be searched: %v", err))
		return
	}
	for i := range j.Findings {
		f := &j.Findings[i]
		if !isLoss(f.Anomaly) {
			continue
		}
		if f.Anomaly == lostWrite && f.Count > 1 {
			f.Brokers = a.inAll(t.counts.Lost)
		}
		for k := range f.Witnesses {
			f.Witnesses[k].Brokers = a.of(f.Witnesses[k])
		}
	}
	j.Warnings = append(j.Warnings, a.problems()...)
}

func isLoss(anomaly string) bool { return anomaly == lostWrite || anomaly == unseen }

// archive is what was kept of the brokers' logs, as far as it concerns lost records.
type archive struct {
	head   *history.Header
	meta   *rundir.Meta
	looks  []rundir.Look // by time
	seen   map[history.Value]map[int]glimpse
	counts []uint64 // lost records in each look
	union  map[index]bool
	tears  []history.Tear
}

// glimpse is where a look showed a record.
type glimpse struct {
	partition int32
	offset    int64
	epoch     int32
}

const maxUnion = 1 << 20 // lost records up to which those in no log at all are counted

func newArchive(t *trial, j *Judgement) (*archive, error) {
	a := &archive{head: &t.h.Header, meta: &t.run.meta, looks: slices.Clone(t.run.meta.Looks), seen: map[history.Value]map[int]glimpse{}}
	slices.SortStableFunc(a.looks, func(x, y rundir.Look) int { return cmp.Compare(x.At, y.At) })
	a.counts = make([]uint64, len(a.looks))
	if t.counts.Lost <= maxUnion {
		a.union = map[index]bool{}
	}
	for _, f := range j.Findings {
		for _, w := range f.Witnesses {
			a.seen[w.about.values[0]] = map[int]glimpse{}
		}
	}
	kept, err := history.Open(filepath.Join(t.run.dir, rundir.BrokersDir))
	if err != nil {
		return nil, err
	}
	if kept.Header.Run != t.h.Header.Run {
		return nil, fmt.Errorf("they are of run %016x", kept.Header.Run)
	}
	a.tears = kept.Tears
	looks := make([]int, len(kept.Header.Clients))
	for i := range kept.Header.Clients {
		looks[i] = slices.IndexFunc(a.looks, func(l rundir.Look) bool { return l.Log.File == kept.Sessions[i].File })
	}
	if err := a.unchanged(filepath.Join(t.run.dir, rundir.BrokersDir)); err != nil {
		return nil, err
	}
	return a, kept.Each(func(op *history.Op) error {
		if at := looks[op.Client]; at >= 0 {
			a.search(t, at, op)
		}
		return nil
	})
}

// unchanged tells whether the looks' logs are as they were written.
func (a *archive) unchanged(dir string) error {
	for _, l := range a.looks {
		if l.Log.File == "" {
			continue // it found nothing to write down
		}
		size, sum, err := history.Digest(filepath.Join(dir, l.Log.File))
		if err != nil {
			return err
		}
		if size != l.Log.Bytes || sum != l.Log.Sum {
			return fmt.Errorf("%s is not as it was written", l.Log.File)
		}
	}
	return nil
}

// search notes what a look shows of lost records.
func (a *archive) search(t *trial, look int, op *history.Op) {
	for k := range op.Records {
		r := &op.Records[k]
		v := identity(r)
		i := t.ledger.values.index(v)
		if t.ledger.values.state(i)&missed == 0 {
			continue
		}
		a.counts[look]++
		if a.union != nil {
			a.union[i] = true
		}
		if seen := a.seen[v]; seen != nil {
			seen[look] = glimpse{op.Partition, r.Offset, r.Epoch}
		}
	}
}

// brokers that were looked into, in order.
func (a *archive) brokers() []int32 {
	var list []int32
	for _, l := range a.looks {
		list = append(list, l.Broker)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// of one lost record: a line for each broker that had it, then those that had not.
func (a *archive) of(w Witness) []string {
	seen := a.seen[w.about.values[0]]
	offset := int64(history.Unknown)
	if w.Offset != nil {
		offset = *w.Offset
	}
	var had, not []string
	var never []int32
	for _, b := range a.brokers() {
		switch line, sort := a.inOne(b, seen, w.Partition, offset); sort {
		case hadIt:
			had = append(had, line)
		case hadItNot:
			not = append(not, line)
		case neverHadIt:
			never = append(never, b)
		}
	}
	if len(never) > 0 {
		line := named(never) + " never had it"
		if len(had)+len(not) == 0 && a.everywhere() {
			line += ": it reached no log"
		}
		not = append(not, line)
	}
	return append(had, not...)
}

// everywhere tells whether each broker was looked into at the end, and nothing was left out: one that could not be looked
// into shows no replica either.
func (a *archive) everywhere() bool {
	ends := 0
	for _, l := range a.looks {
		if l.AfterAll && len(l.Problems) == 0 {
			ends++
		}
	}
	return ends >= a.meta.Cluster.Brokers
}

// What became of a record at one broker.
type lot uint8

const (
	noReplica lot = iota
	hadIt
	hadItNot
	neverHadIt
)

// inOne is what the looks into one broker show of one record.
func (a *archive) inOne(broker int32, seen map[int]glimpse, partition string, offset int64) (string, lot) {
	last, found := -1, glimpse{}
	var without, short []int // looks that would show it, and those that do not go back so far
	var end *rundir.Look
	for i := range a.looks {
		l := &a.looks[i]
		if l.Broker != broker {
			continue
		}
		if s, is := seen[i]; is {
			last, found = i, s
			without = nil
			partition, offset = a.head.PartitionName(s.partition), s.offset
		} else if covered, replica := covers(l, partition, offset); covered {
			without = append(without, i)
		} else if replica {
			short = append(short, i)
		}
		if l.AfterAll {
			end = l
		}
	}
	who := "broker " + strconv.Itoa(int(broker))
	switch {
	case last >= 0 && a.looks[last].AfterAll:
		return fmt.Sprintf("%s still has it, at offset %d (epoch %d)", who, found.offset, found.epoch), hadIt
	case last >= 0:
		line := fmt.Sprintf("%s had it at offset %d (epoch %d) %s", who, found.offset, found.epoch, a.moment(last))
		return line + a.afterwards(broker, partition, found.offset, a.looks[last].At, without), hadIt
	case len(without) == 0 && len(short) == 0:
		return "", noReplica
	case len(without) == 0:
		return fmt.Sprintf("%s: only offsets from %d on were looked at", who, a.looks[short[len(short)-1]].Partitions[partition].From), hadItNot
	case end != nil && end.ToldAll && len(end.Problems) == 0 && a.looks[without[len(without)-1]].AfterAll && a.truncated(broker, partition, offset, math.MinInt64) == nil:
		return "", neverHadIt
	}
	var moments []string
	for _, i := range without {
		moments = append(moments, a.moment(i))
	}
	return fmt.Sprintf("%s did not have it %s", who, strings.Join(moments, ", nor ")), hadItNot
}

// covers tells whether a look would show a record: at its offset, or where that is unknown, anywhere in the partition. A
// run's topics are its own, and begin at 0.
func covers(l *rundir.Look, partition string, offset int64) (covered, replica bool) {
	e, replica := l.Partitions[partition]
	return replica && e.From <= max(offset, 0), replica
}

// moment of a look.
func (a *archive) moment(i int) string {
	l := &a.looks[i]
	state := map[string]string{"dead": "when it was down", "paused": "when it was paused", "isolated": "when it was cut off"}[l.State]
	switch {
	case l.AfterAll:
		return "at the end"
	case state == "":
		state = "while it ran"
	}
	return state + ", at " + a.time(l.At)
}

func (a *archive) time(ns int64) string {
	return fmt.Sprintf("%.3fs", float64(ns-a.meta.Clock.MeasureStart)/1e9)
}

// afterwards is how a record went that a broker had.
func (a *archive) afterwards(broker int32, partition string, offset, since int64, without []int) string {
	if t := a.truncated(broker, partition, offset, since-clockSlack); t != nil {
		return fmt.Sprintf(", until it truncated %s to offset %d at %s", partition, t.Offset, a.time(t.At))
	}
	if len(without) > 0 {
		return ", and no more " + a.moment(without[0])
	}
	return ""
}

// Brokers tell times by the wall clock, to the millisecond.
const clockSlack = 5_000_000

// truncated is the first truncation that took an offset away, since a time.
func (a *archive) truncated(broker int32, partition string, offset, since int64) *rundir.Truncation {
	var first *rundir.Truncation
	for i := range a.meta.Truncated {
		t := &a.meta.Truncated[i]
		took := t.Broker == broker && t.Partition == partition && (offset < 0 || t.Offset <= offset) && t.At >= since
		if took && (first == nil || t.At < first.At) {
			first = t
		}
	}
	return first
}

// inAll is what the looks show of all lost records together.
func (a *archive) inAll(lost uint64) []string {
	var list []string
	var none []int32
	for _, b := range a.brokers() {
		most, end := -1, -1
		for i := range a.looks {
			if a.looks[i].Broker != b {
				continue
			}
			if most < 0 || a.counts[i] >= a.counts[most] { // of two that show as many the later: they were still there
				most = i
			}
			if a.looks[i].AfterAll {
				end = i
			}
		}
		switch {
		case a.counts[most] == 0:
			none = append(none, b)
			continue
		case most == end:
			list = append(list, fmt.Sprintf("broker %d has %d of the lost records at the end", b, a.counts[end]))
			continue
		}
		line := fmt.Sprintf("broker %d had %d of the lost records %s", b, a.counts[most], a.moment(most))
		if end >= 0 {
			line += fmt.Sprintf(", and %d at the end", a.counts[end])
		}
		list = append(list, line+a.truncations(b, a.looks[most].At))
	}
	if len(list) == 0 {
		return []string{"no broker's log had any of the lost records, whenever it was looked into"}
	}
	if len(none) > 0 {
		list = append(list, named(none)+" had none of them whenever looked into")
	}
	if nowhere := lost - min(lost, uint64(len(a.union))); a.union != nil && nowhere > 0 {
		list = append(list, fmt.Sprintf("%d of the lost records were in no log that was looked into", nowhere))
	}
	return list
}

// truncations of a broker since a time.
func (a *archive) truncations(broker int32, since int64) string {
	const shown = 2
	var list []string
	for _, t := range a.meta.Truncated {
		if t.Broker == broker && t.At >= since-clockSlack {
			list = append(list, fmt.Sprintf("%s to offset %d at %s", t.Partition, t.Offset, a.time(t.At)))
		}
	}
	switch {
	case len(list) == 0:
		return ""
	case len(list) > shown:
		list = append(list[:shown], fmt.Sprintf("%d more", len(list)-shown))
	}
	return "; it truncated " + strings.Join(list, ", ")
}

// named brokers: "broker 1", "brokers 1 and 2".
func named(ids []int32) string {
	var list []string
	for _, id := range ids {
		list = append(list, strconv.Itoa(int(id)))
	}
	if len(list) == 1 {
		return "broker " + list[0]
	}
	return "brokers " + strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// problems that looks met.
func (a *archive) problems() []string {
	var list []string
	for _, l := range a.looks {
		for _, problem := range l.Problems {
			list = append(list, fmt.Sprintf("look %d into broker %d's logs: %s", l.Number, l.Broker, problem))
		}
	}
	for _, tear := range a.tears {
		list = append(list, fmt.Sprintf("%s of the brokers' logs is torn at byte %d: %s", tear.File, tear.Offset, tear.Reason))
	}
	return list
}
