package reports

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// Group is what one group of consumers or processors came to.
type Group struct {
	Name       string   `json:"name"`
	Read       uint64   `json:"read"` // first deliveries of measured records
	ReadPerS   *float64 `json:"read_per_s"`
	EndToEnd   Latency  `json:"end_to_end"`
	MostBehind *uint64  `json:"most_behind"` // records in the log that it had not been given
	EndBehind  *uint64  `json:"end_behind"`
	Drain      *Drain   `json:"drain"` // null without a backlog
}

// Drain is how a group worked the backlog off. Times count from the start of its readers.
type Drain struct {
	FirstMs    *int64   `json:"first_ms"`
	DrainedMs  *int64   `json:"drained_ms"`   // the last record of the backlog came
	CaughtUpMs *int64   `json:"caught_up_ms"` // from when on it was behind by no more than what falls due in 100 ms
	PerS       *float64 `json:"per_s"`
	During     Latency  `json:"during"` // end to end, of measured records due until it had caught up
	After      Latency  `json:"after"`
}

// Backlog as it was built.
type Backlog struct {
	Records      int64    `json:"records"` // asked for
	Acked        uint64   `json:"acked"`
	TookMs       *int64   `json:"took_ms"`
	AckedPerS    *float64 `json:"acked_per_s"`
	AckedMiBPerS *float64 `json:"acked_mib_per_s"`
}

// Topic is what one of the load's topics had of it.
type Topic struct {
	Name         string   `json:"name"`
	Partitions   int      `json:"partitions"`
	Sent         uint64   `json:"sent"`
	Acked        uint64   `json:"acked"`
	AckedPerS    *float64 `json:"acked_per_s"`
	AckedMiBPerS *float64 `json:"acked_mib_per_s"`
	Ack          Latency  `json:"ack"`
	Hottest      *string  `json:"hottest_partition"`
	HottestShare *float64 `json:"hottest_share"` // of the topic's acknowledged records
}

func groupsOf(f stats.Figures, l rundir.LoadInfo) []Group {
	out := []Group{}
	for i := range f.Groups {
		g := &f.Groups[i]
		one := Group{
			Name: g.Name, Read: g.Read, ReadPerS: rounded(g.ReadPerS), EndToEnd: latencyOf(&g.EndToEnd),
			MostBehind: g.Behind.Most, EndBehind: g.Behind.End,
		}
		if d := g.Drain; d != nil && l.Backlog != nil {
			since := func(ns *int64) *int64 {
				if ns == nil {
					return nil
				}
				return ptrTo(toMs(*ns - l.Backlog.Read))
			}
			one.Drain = &Drain{
				FirstMs: since(d.First), DrainedMs: since(d.Drained), CaughtUpMs: since(d.CaughtUp), PerS: rounded(d.PerS),
				During: latencyOf(&d.During), After: latencyOf(&d.After),
			}
		}
		out = append(out, one)
	}
	return out
}

func backlogOf(f stats.Figures, l rundir.LoadInfo) *Backlog {
	if f.Backlog == nil || l.Backlog == nil {
		return nil
	}
	b := &Backlog{Records: l.Backlog.Records, Acked: f.Backlog.Acked, AckedPerS: rounded(f.Backlog.AckedPerS), AckedMiBPerS: rounded(f.Backlog.MiBPerS)}
	if l.Backlog.Built > 0 {
		b.TookMs = ptrTo(toMs(l.Backlog.Built - l.Backlog.Start))
	}
	return b
}

func topicsOf(f stats.Figures) []Topic {
	out := []Topic{}
	for i := range f.Topics {
		t := &f.Topics[i]
		one := Topic{
			Name: t.Name, Partitions: t.Partitions, Sent: t.Sent, Acked: t.Acked, AckedPerS: rounded(t.AckedPerS), AckedMiBPerS: rounded(t.MiBPerS),
			Ack: latencyOf(&t.Ack), Hottest: known(t.Hottest),
		}
		if t.Hottest != "" {
			one.HottestShare = rounded(&t.Share)
		}
		out = append(out, one)
	}
	return out
}

func latencyOf(l *stats.Latency) Latency {
	return Latency{Response: QuantilesOf(&l.Response), Service: QuantilesOf(&l.Service)}
}

// readers are the rows of several groups, each with its own end-to-end latency.
func (s Summary) readers() [][]string {
	var rows [][]string
	if len(s.Document.Groups) < 2 {
		return nil
	}
	for _, g := range s.Document.Groups {
		rows = append(rows, latencyRow("  group "+g.Name, g.EndToEnd.Response))
	}
	return rows
}

// topics tells them apart where there are several, and how skewed the load was where one partition had much more than its part.
func (s Summary) topics(p *page) {
	if len(s.Document.Topics) > 1 {
		rows := [][]string{{"", "acked", "ack p50", "p99", "hottest partition"}}
		for _, t := range s.Document.Topics {
			rows = append(rows, []string{t.Name, rate(t.AckedPerS) + "/s", micros(t.Ack.Response.P50), micros(t.Ack.Response.P99), t.skew()})
		}
		p.table(rows)
		return
	}
	for _, t := range s.Document.Topics {
		if t.skewed() {
			p.line("  ", fmt.Sprintf("skew: %s of %d partitions; an even share is %.0f%%", t.skew(), t.Partitions, 100/float64(t.Partitions)))
		}
	}
}

// skewed tells whether a partition had half as much again as an even share.
func (t Topic) skewed() bool {
	return t.HottestShare != nil && t.Partitions > 1 && *t.HottestShare*float64(t.Partitions) > 1.5
}

func (t Topic) skew() string {
	if t.Hottest == nil || t.HottestShare == nil {
		return unknown
	}
	return fmt.Sprintf("%s had %.0f%%", *t.Hottest, 100**t.HottestShare)
}

// backlog is a section of its own: how it was built, and how each group worked it off.
func (s Summary) backlog(p *page) {
	b := s.Document.Backlog
	if b == nil {
		return
	}
	p.section("Backlog")
	text := fmt.Sprintf("built %s records in %s: %s/s", humanize.Comma(int64(b.Acked)), millis(b.TookMs), rate(b.AckedPerS))
	if b.AckedMiBPerS != nil {
		text += fmt.Sprintf(" (%s MiB/s)", rate(b.AckedMiBPerS))
	}
	p.line("  ", text)
	for _, g := range s.Document.Groups {
		if g.Drain != nil {
			p.line("  ", "group "+g.Name+": "+g.drained())
		}
	}
	rows := [][]string{{"end to end, of the load beside it", "p50", "p99", "p99.9", "max", "records"}}
	for _, g := range s.Document.Groups {
		if d := g.Drain; d != nil && d.During.Response.Count+d.After.Response.Count > 0 {
			rows = append(rows, latencyRow(g.Name+" while it caught up", d.During.Response), latencyRow(g.Name+" afterwards", d.After.Response))
		}
	}
	if len(rows) > 1 {
		p.table(rows)
	}
}

func (g Group) drained() string {
	d := g.Drain
	if d.FirstMs == nil {
		return "it was given nothing"
	}
	text := fmt.Sprintf("first record after %s", millis(d.FirstMs))
	switch {
	case d.CaughtUpMs != nil:
		text += fmt.Sprintf(", backlog done after %s, caught up after %s: %s/s", millis(d.DrainedMs), millis(d.CaughtUpMs), rate(d.PerS))
	case d.DrainedMs != nil:
		text += fmt.Sprintf(", backlog done after %s, NEVER CAUGHT UP with the load", millis(d.DrainedMs))
	default:
		text += ", backlog NOT DONE"
	}
	if g.MostBehind != nil {
		text += fmt.Sprintf("; at most %s records behind, %s at the end", humanize.Comma(int64(*g.MostBehind)), humanize.Comma(int64(*g.EndBehind)))
	}
	return text
}
