package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// say puts an operation into words, without what it read.
func (e *explainer) say(op *history.Op) Operation {
	o := Operation{Op: opWord(op.Kind), Client: e.h.Header.ClientName(op.Client)}
	if op.Return != history.Unknown {
		call, at := op.Call, op.Return
		o.Call, o.At = &call, &at
	}
	partition := e.h.Header.PartitionName(op.Partition)
	switch op.Kind {
	case history.Send:
		o.Text, o.Result = e.sending(op, partition), answer(op)
	case history.Txn:
		o.Text = fmt.Sprintf("%s ends transaction %s", o.Client, e.h.Header.TxnName(op.Txn))
		o.Result = [...]string{history.OK: "committed", history.Failed: "aborted", history.Indeterminate: "outcome unknown"}[op.Outcome]
	case history.Poll:
		o.Text = fmt.Sprintf("%s polls %s", o.Client, partition) + row(op.Records)
		if op.Isolation == history.ReadUncommitted {
			o.Text += ", uncommitted"
		}
	case history.Process:
		o.Text = fmt.Sprintf("%s handles %s", o.Client, partition) + row(op.Records)
	case history.Commit:
		o.Text = fmt.Sprintf("%s commits %s", o.Client, e.positions(op))
		if op.Txn != 0 {
			o.Text += " in transaction " + e.h.Header.TxnName(op.Txn)
		}
	case history.Assign:
		o.Text, o.Result = fmt.Sprintf("%s is assigned", o.Client), e.partitions(op.Partitions)
	}
	if op.Outcome != history.OK && op.Kind != history.Send && op.Kind != history.Txn {
		o.Result = [...]string{history.Failed: "failed", history.Indeterminate: "outcome unknown"}[op.Outcome]
	}
	return o
}

func opWord(k history.Kind) string {
	return [...]string{history.Send: "send", history.Txn: "txn", history.Poll: "poll", history.Assign: "assign", history.Subscribe: "subscribe",
		history.Commit: "commit", history.Process: "process", history.Fault: "fault", history.Ends: "ends", history.FinalRead: "final-read"}[k]
}

func (e *explainer) sending(op *history.Op, partition string) string {
	text := fmt.Sprintf("%s sends %s", e.h.Header.ClientName(op.Client), e.value(op.Value))
	if op.Attempt > 1 {
		text += " again"
	}
	if partition != "" {
		text += " to " + partition
	}
	if op.Txn != 0 {
		text += " in transaction " + e.h.Header.TxnName(op.Txn)
	}
	if op.FromPartition >= 0 {
		text += fmt.Sprintf(", for %s@%d", e.h.Header.PartitionName(op.FromPartition), op.FromOffset)
	}
	return text
}

// answer to a send.
func answer(op *history.Op) string {
	took := " after " + round(op.Return-op.Call).String()
	if op.Return-op.Call < int64(100*time.Microsecond) {
		took = " after " + time.Duration(op.Return-op.Call).String()
	}
	switch {
	case op.Outcome == history.Failed:
		return "refused" + took
	case op.Outcome == history.Indeterminate:
		return "no answer" + took
	case op.Offset < 0:
		return "ok" + took + ", offset not told"
	default:
		return fmt.Sprintf("ok%s, offset %d", took, op.Offset)
	}
}

// row of offsets that an operation got.
func row(records []history.Record) string {
	if len(records) == 0 {
		return ""
	}
	first, last := records[0].Offset, records[len(records)-1].Offset
	if len(records) == 1 {
		return fmt.Sprintf(", offset %d", first)
	}
	return fmt.Sprintf(", offsets %d to %d", first, last)
}

func (e *explainer) positions(op *history.Op) string {
	var list []string
	for _, o := range op.Offsets {
		list = append(list, fmt.Sprintf("%s to %d", e.h.Header.PartitionName(o.Partition), o.Offset))
	}
	return some(list)
}

func (e *explainer) partitions(of []int32) string {
	var list []string
	for _, p := range of {
		list = append(list, e.h.Header.PartitionName(p))
	}
	if len(list) == 0 {
		return "nothing"
	}
	return some(list)
}

// some of a list, and how many more there are.
func some(list []string) string {
	if len(list) <= maxShown+1 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxShown], ", "), len(list)-maxShown)
}

func (e *explainer) value(v history.Value) string {
	if name := e.h.Header.ValueName(v); name != "" {
		return name
	}
	return "a record of nobody"
}

// record that was read, with what is odd about it.
func (e *explainer) record(r *history.Record, epochs bool) string {
	text := e.value(identity(r))
	if r.Flags&history.Corrupt != 0 {
		text += " with a wrong checksum"
	}
	if epochs && r.Epoch >= 0 {
		text += fmt.Sprintf(" of epoch %d", r.Epoch)
	}
	return text
}

func (e *explainer) recordAt(r *history.Record) string {
	return fmt.Sprintf("%s at %d", e.record(r, false), r.Offset)
}

// tell puts a story together: its scenes, what the final read shows, and the faults that lasted meanwhile.
func (e *explainer) tell(s *tale) []Operation {
	scenes := map[uint64]*scene{}
	for _, m := range s.mentions {
		for _, list := range m.scenes {
			for _, each := range list {
				scenes[each.number] = each
			}
		}
	}
	var list []Operation
	for _, each := range scenes {
		if hits := some(each.hits); hits != "" && each.Result == "" {
			each.Result = hits
		} else if hits != "" {
			each.Result = hits + ", " + each.Result
		}
		list = append(list, each.Operation)
	}
	slices.SortFunc(list, func(a, b Operation) int { return cmp.Compare(a.Text, b.Text) }) // ties in time come out alike each time
	for pass := range s.finals {
		if o, made := e.finalScene(s, pass); made {
			list = append(list, o)
		}
	}
	list = append(list, e.meanwhile(s, list)...)
	slices.SortStableFunc(list, func(a, b Operation) int { return cmp.Compare(a.order(), b.order()) })
	return list
}

// order of an operation in its story: what is of unknown time comes last.
func (o Operation) order() int64 {
	if when := o.When(); when != nil {
		return *when
	}
	return math.MaxInt64
}

// When is the time at which an operation stands in its story: a send when it was made, anything else when it was done.
func (o Operation) When() *int64 {
	if o.Op == "send" {
		return o.Call
	}
	return o.At
}

// finalScene is one pass of the final read as far as it concerns a story.
func (e *explainer) finalScene(s *tale, pass int) (Operation, bool) {
	partitions := slices.Clone(s.sentTo)
	for _, at := range s.places {
		partitions = append(partitions, at.partition)
	}
	partitions = distinctOf(slices.DeleteFunc(partitions, func(p int32) bool {
		return p < 0 || int(p) >= len(e.parts) || e.parts[p].reached[pass] < 0
	}))
	if len(partitions) == 0 && len(s.finals[pass].values) == 0 {
		return Operation{}, false
	}
	o := Operation{Op: opWord(history.FinalRead), Text: fmt.Sprintf("final read, pass %d", pass+1), Result: e.finally(s, pass, partitions)}
	call, at := int64(history.Unknown), int64(history.Unknown)
	for _, p := range partitions {
		if times := e.finals[p]; times != nil && times[pass].at > at {
			call, at = times[pass].call, times[pass].at
		}
	}
	if at != history.Unknown {
		o.Call, o.At = &call, &at
	}
	return o, o.Result != ""
}

// finally says where a story's records stand in a pass of the final read, and what stands at its offsets.
func (e *explainer) finally(s *tale, pass int, partitions []int32) string {
	var list []string
	named := map[place]bool{}
	name := func(at place) string {
		if len(partitions) == 1 {
			return fmt.Sprint(at.offset)
		}
		return fmt.Sprintf("%s@%d", e.h.Header.PartitionName(at.partition), at.offset)
	}
	offset := func(at place) string {
		if len(partitions) == 1 {
			return fmt.Sprintf("offset %d", at.offset)
		}
		return name(at)
	}
	for _, v := range s.values {
		found := s.finals[pass].values[v]
		if v == history.NoValue || s.epochs { // then the offsets tell more
			continue
		}
		text := e.value(v)
		var places []string
		for _, at := range found {
			named[at] = len(s.finals[pass].places[at]) <= 1
			places = append(places, name(at))
		}
		if as := s.finals[pass].as[v]; as != "" {
			text = as
		}
		if len(found) == 0 {
			list = append(list, text+" is not there")
			continue
		}
		list = append(list, fmt.Sprintf("%s at %s", text, some(places)))
	}
	for _, at := range s.places {
		if named[at] || !slices.Contains(partitions, at.partition) {
			continue
		}
		content := s.finals[pass].places[at]
		switch reached := e.parts[at.partition].reached[pass]; {
		case len(content) > 0:
			list = append(list, fmt.Sprintf("%s holds %s", offset(at), some(content)))
		case at.offset >= reached:
			list = append(list, fmt.Sprintf("the log ends at %d", reached))
		default:
			list = append(list, fmt.Sprintf("%s holds nothing", offset(at)))
		}
	}
	list = distinctOf(list)
	return strings.Join(list[:min(len(list), maxRecordLine)], ", ")
}

// faultStory is a fault as stories tell it.
type faultStory struct {
	window
	label    string
	healed   bool
	evidence []string
	seen     []int64 // when, as far as known
}

func faultStories(recorded []rundir.Fault, windows []window) []faultStory {
	list := make([]faultStory, len(windows))
	for i, w := range windows {
		list[i] = faultStory{window: w, label: w.label, healed: w.to != math.MaxInt64}
		if i < len(recorded) {
			f := recorded[i]
			list[i].healed, list[i].evidence, list[i].seen = f.Healed != nil, f.Evidence, f.EvidenceAt
		}
	}
	return list
}

// meanwhile are the faults that lasted while a story went on, or began before it was over, with what they showed of its
// partitions.
func (e *explainer) meanwhile(s *tale, scenes []Operation) []Operation {
	from, to := extent(scenes)
	if from > to {
		return nil
	}
	var told []int
	more := 0
	for i, f := range e.faults {
		switch {
		case !f.overlaps(from, to):
		case len(told) == maxTold:
			more++
		default:
			told = append(told, i)
		}
	}
	var list []Operation
	for _, i := range told {
		for _, o := range e.faultScenes(s, i) {
			again := func(other Operation) bool { return o.Op == "evidence" && other.Text == o.Text && *other.At == *o.At }
			if !slices.ContainsFunc(list, again) { // one change may be evidence of two faults
				list = append(list, o)
			}
		}
	}
	if more > 0 {
		list = append(list, Operation{Op: opWord(history.Fault), Text: fmt.Sprintf("%d more faults meanwhile", more)})
	}
	return list
}

// extent is the time that operations take.
func extent(list []Operation) (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	for _, o := range list {
		if o.Call != nil {
			from, to = min(from, *o.Call), max(to, *o.At)
		}
	}
	return from, to
}

func (e *explainer) faultScenes(s *tale, i int) []Operation {
	f := e.faults[i]
	begun := Operation{Op: opWord(history.Fault), Call: &f.from, At: &f.from, Fault: &i, Text: f.label}
	list := []Operation{begun}
	for k, line := range f.evidence {
		if len(list) > maxEvidence || !e.concerns(s, line) {
			continue
		}
		at := f.from
		if k < len(f.seen) && f.seen[k] >= f.from {
			at = f.seen[k]
		}
		list = append(list, Operation{Op: "evidence", Call: &at, At: &at, Fault: &i, Text: line})
	}
	if f.healed {
		list = append(list, Operation{Op: "healed", Call: &f.to, At: &f.to, Fault: &i, Text: "healed: " + f.label})
	}
	return list
}

// concerns tells whether a line of evidence names one of a story's partitions.
func (e *explainer) concerns(s *tale, line string) bool {
	partitions := slices.Clone(s.sentTo)
	for _, at := range s.places {
		partitions = append(partitions, at.partition)
	}
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" ,;:", r) }) {
		if slices.ContainsFunc(partitions, func(p int32) bool { return word == e.h.Header.PartitionName(p) }) {
			return true
		}
	}
	return false
}
