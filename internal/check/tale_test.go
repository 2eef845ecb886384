package check

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

func TestTheWordsOfAStory(t *testing.T) {
	e := newExplainer(&trial{h: book(run{}).h, ledger: book(run{})})
	at := func(offsets ...int64) (list []log.Record) {
		for _, o := range offsets {
			list = append(list, log.Record{Offset: o})
		}
		return list
	}
	sent := func(took time.Duration, outcome log.Outcome, offset int64) string {
		return answer(&log.Op{Call: 5_000_000, Return: 5_000_000 + took.Nanoseconds(), Outcome: outcome, Offset: offset})
	}
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint(i))
		}
		return list
	}
	for _, c := range []struct{ got, want string }{
		{row(nil), ""}, {row(at(0)), ", offset 0"}, {row(at(7)), ", offset 7"}, {row(at(7, 8, 9)), ", offsets 7 to 9"},
		{e.partitions(nil), "nothing"}, {e.partitions([]int32{1}), "orders/1"}, {e.partitions([]int32{1, 0}), "orders/1, orders/0"},
		{some(nil), ""}, {some(many(maxShown + 1)), strings.Join(many(maxShown+1), ", ")},
		{some(many(maxShown + 2)), strings.Join(many(maxShown), ", ") + " and 2 more"},
		{sent(99*time.Microsecond, log.OK, 3), "ok after 99µs, offset 3"}, {sent(1234567, log.OK, 0), "ok after 1.2ms, offset 0"},
		{sent(30*time.Second, log.Indeterminate, -1), "no answer after 30s"}, {sent(2*time.Millisecond, log.Failed, -1), "refused after 2ms"},
		{sent(2*time.Millisecond, log.OK, -1), "ok after 2ms, offset not told"},
		{e.record(&log.Record{Value: log.NoValue, Epoch: 0}, true), "a record of nobody of epoch 0"},
		{e.record(&log.Record{Value: log.NoValue, Epoch: -1}, true), "a record of nobody"},
		{e.record(&log.Record{Value: log.NoValue, Epoch: 3, Flags: log.Corrupt}, false), "a record of nobody with a wrong checksum"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}

// An explanation that cannot be had is told, and takes nothing away.
func TestAnExplanationThatCannotBeReadIsAWarning(t *testing.T) {
	h, r, path := opened(t)
	tr := &trial{h: h, run: r, ledger: newLedger(h, r)}
	j := Judgement{Findings: []Finding{{Anomaly: lostWrite, Witnesses: []Witness{{about: about{values: []log.Value{{Session: 1, Seq: 5}}}}}}}}
	unreadableLog(t, path)
	tr.explain(&j)
	if len(j.Warnings) != 1 || !strings.HasPrefix(j.Warnings[0], "the findings could not be explained: ") || !strings.Contains(j.Warnings[0], "directory") {
		t.Errorf("warnings %q", j.Warnings)
	}
	if len(j.Findings[0].Witnesses[0].Operations) != 0 {
		t.Errorf("half a story: %+v", j.Findings[0].Witnesses[0].Operations)
	}
}

// A fault is part of a story if it lasted while the story went on, with what it showed of the story's partitions.
func TestTheFaultsOfAStory(t *testing.T) {
	healed := int64(200)
	fault := func(name string, evidence ...string) rundir.Fault {
		f := rundir.Fault{Name: name, Target: "broker 1", At: 100, Healed: &healed, Evidence: evidence}
		for i := range evidence {
			f.EvidenceAt = append(f.EvidenceAt, 110+int64(i))
		}
		return f
	}
	scene := func(call, at int64) []Operation { return []Operation{{Op: "poll", Call: &call, At: &at}} }
	texts := func(list []Operation) (all []string) {
		for _, o := range list {
			all = append(all, strings.TrimSpace(fmt.Sprint(o.Op, " ", o.Text)))
		}
		return all
	}
	early := fault("kill", "leader of orders/0 moved 1→2")
	early.EvidenceAt[0] = 99
	undated := fault("kill", "leader of orders/0 moved 1→2")
	undated.EvidenceAt = nil
	open := fault("kill")
	open.Healed = nil
	var crowd []rundir.Fault
	for i := range maxTold + 2 {
		crowd = append(crowd, fault(fmt.Sprintf("f%d", i)))
	}
	var crowded []string
	for i := range maxTold {
		crowded = append(crowded, fmt.Sprintf("fault f%d broker 1", i), fmt.Sprintf("healed healed: f%d broker 1", i))
	}
	for _, c := range []struct {
		name   string
		faults []rundir.Fault
		scenes []Operation
		want   []string
		at     int64 // of the evidence
	}{
		{"no fault", nil, scene(10, 20), nil, 0},
		{"no time", []rundir.Fault{fault("kill")}, []Operation{{Op: "final-read"}}, nil, 0},
		{"no scene", []rundir.Fault{fault("kill")}, nil, nil, 0},
		{"before", []rundir.Fault{fault("kill")}, scene(10, 99), nil, 0},
		{"as it begins", []rundir.Fault{fault("kill")}, scene(10, 100), []string{"fault kill broker 1", "healed healed: kill broker 1"}, 0},
		{"an instant", []rundir.Fault{fault("kill")}, scene(150, 150), []string{"fault kill broker 1", "healed healed: kill broker 1"}, 0},
		{"after", []rundir.Fault{fault("kill")}, scene(201, 250), nil, 0},
		{"never healed", []rundir.Fault{open}, scene(150, 250), []string{"fault kill broker 1"}, 0},
		{"what it showed of the partition", []rundir.Fault{fault("kill", "leader of orders/0 moved 1→2")}, scene(150, 160),
			[]string{"fault kill broker 1", "evidence leader of orders/0 moved 1→2", "healed healed: kill broker 1"}, 110},
		{"what it showed of another", []rundir.Fault{fault("kill", "leader of orders/1 moved 1→2")}, scene(150, 160), []string{"fault kill broker 1", "healed healed: kill broker 1"}, 0},
		{"what it showed before it began", []rundir.Fault{early}, scene(150, 160),
			[]string{"fault kill broker 1", "evidence leader of orders/0 moved 1→2", "healed healed: kill broker 1"}, 100},
		{"what it showed nobody knows when", []rundir.Fault{undated}, scene(150, 160),
			[]string{"fault kill broker 1", "evidence leader of orders/0 moved 1→2", "healed healed: kill broker 1"}, 100},
		{"two that showed the same", []rundir.Fault{fault("kill", "leader of orders/0 moved 1→2"), fault("pause", "leader of orders/0 moved 1→2")}, scene(150, 160),
			[]string{"fault kill broker 1", "evidence leader of orders/0 moved 1→2", "healed healed: kill broker 1", "fault pause broker 1", "healed healed: pause broker 1"}, 110},
		{"more than can be told", crowd, scene(150, 160), append(crowded, "fault 2 more faults meanwhile"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run{recorded: true, meta: rundir.Meta{Faults: c.faults}}
			for _, f := range c.faults {
				r.windows = append(r.windows, faultWindow(f, rundir.Clock{}))
			}
			e := newExplainer(&trial{h: book(r).h, run: r, ledger: book(r)})
			list := e.meanwhile(&tale{about: about{places: []place{{0, 7}}}}, c.scenes)
			if !slices.Equal(texts(list), c.want) {
				t.Errorf("%q, not %q", texts(list), c.want)
			}
			for _, o := range list {
				if o.Op == "evidence" && *o.At != c.at {
					t.Errorf("evidence at %d, not %d", *o.At, c.at)
				}
			}
		})
	}
	if from, to := extent(nil); from != math.MaxInt64 || to != math.MinInt64 {
		t.Errorf("nothing lasts from %d to %d", from, to)
	}
}

// Who last had a partition is told, up to the moment of the finding.
func TestTheLastHoldersOfAPartitionAreTold(t *testing.T) {
	e := newExplainer(&trial{h: book(run{}).h, ledger: book(run{})})
	until := int64(1000)
	w := &Witness{At: &until, about: about{shared: []int32{0, 0}}}
	e.begin(w)
	var last []int64
	for i := range int64(2*maxMoves + 3) {
		has := []int32{0}
		if i%4 > 1 {
			has = nil
		}
		e.hear(&log.Op{Kind: log.Assign, Client: int32(i % 2), Partitions: has, Call: 10 * i, Return: 10 * i, Outcome: log.OK})
		e.hear(&log.Op{Kind: log.Assign, Client: int32(i % 2), Partitions: has, Call: 10*i + 1, Return: 10*i + 1, Outcome: log.OK}) // nothing new
		last = append(last, 10*i)
	}
	e.hear(&log.Op{Kind: log.Assign, Client: 0, Partitions: []int32{0}, Call: 1000, Return: 1001, Outcome: log.OK}) // too late
	var got []int64
	for _, o := range e.tell(e.stories[0]) {
		got = append(got, *o.At)
	}
	if want := last[len(last)-maxMoves:]; !slices.Equal(got, want) {
		t.Errorf("told are the moves at %v, not at %v", got, want)
	}
}
