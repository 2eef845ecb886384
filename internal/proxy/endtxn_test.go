package proxy

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// transactional makes a transactional client, and a function that runs one transaction of so many records.
func transactional(t *testing.T, addrs []string, id string, opts ...kgo.Opt) func(commit bool, records int) {
	t.Helper()
	c := newClient(t, addrs, append(opts, kgo.TransactionalID(id))...)
	return func(commit bool, records int) {
		t.Helper()
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range records {
			if err := c.ProduceSync(within(t), kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.EndTransaction(within(t), kgo.TransactionEndTry(commit)); err != nil {
			t.Logf("end: %v", err)
		}
	}
}

func answered(g *Gate) func() bool {
	return func() bool {
		list := g.Late()
		return len(list) > 0 && list[len(list)-1].Answered
	}
}

// committed counts what a reader of committed records gets of orders, which has one partition, up to now.
func committed(t *testing.T, addrs []string) (n int) {
	t.Helper()
	if err := newClient(t, addrs).ProduceSync(within(t), kgo.StringRecord("end")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, addrs, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for ctx := within(t); ctx.Err() == nil; {
		end := false
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if end = end || string(r.Value) == "end"; !end {
				n++
			}
		})
		if end {
			return n
		}
	}
	t.Fatal("the reader did not arrive")
	return 0
}

func TestALateEndEndsTheNextTransactionUnlessEpochsTellThemApart(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  []kgo.Opt
		taken bool
		shows string
		reads int // records of the first transaction, and of the second that was to be aborted
	}{
		{"before KIP-890's second part", []kgo.Opt{kgo.MaxVersions(kversion.V3_9_0())}, true, "commit of p0 (producer ", 2},
		{"with KIP-890's second part", nil, false, "delivered after 1 records of the next transaction, refused: ", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			gate, addrs := behind(t, 3)
			run := transactional(t, addrs, "p0", c.opts...)
			if err := gate.DelayEndTxn("p0", 1, 1); err != nil {
				t.Fatal(err)
			}
			run(true, 1)
			if list := gate.Late(); len(list) != 1 || list[0].Delivered || !strings.Contains(list[0].String(), "held back and not delivered") {
				t.Fatalf("after the commit, which was answered on another connection: %v", list)
			}
			run(false, 1)
			eventually(t, "answered", answered(gate))
			list := gate.Late()
			if len(list) != 1 || !list[0].Commit || list[0].TransactionalID != "p0" || list[0].Records != 1 || list[0].Taken() != c.taken || !strings.Contains(list[0].String(), c.shows) {
				t.Errorf("evidence %v", list)
			}
			if n := gate.Filtered(); n != 1 {
				t.Errorf("%d requests treated, want the late one", n)
			}
			if n := committed(t, addrs); n != c.reads {
				t.Errorf("a reader of committed records gets %d, want %d", n, c.reads)
			}
		})
	}
}

func TestALateEndWaitsForAsManyRecordsAsAsked(t *testing.T) {
	gate, addrs := behind(t, 3)
	run := transactional(t, addrs, "p0")
	other := transactional(t, addrs, "p1")
	if err := gate.DelayEndTxn("p0", 3, 1); err != nil {
		t.Fatal(err)
	}
	other(true, 1) // is another producer: neither held back nor counted
	run(true, 1)
	run(true, 2) // ends before three records, and is not held back: one is under way already
	other(true, 5)
	if list := gate.Late(); len(list) != 1 || list[0].Delivered {
		t.Fatalf("delivered too early: %v", list)
	}
	run(true, 1)
	eventually(t, "answered", answered(gate))
	if list := gate.Late(); len(list) != 1 || list[0].Records != 3 {
		t.Errorf("evidence %v, want one late end after 3 records", list)
	}
}

func TestEveryEndIsLateUntilUnfilter(t *testing.T) {
	gate, addrs := behind(t, 3)
	run := transactional(t, addrs, "p0")
	if err := gate.DelayEndTxn("p0", 1, -1); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		run(true, 1)
		if n := len(gate.Late()); n != i+1 {
			t.Fatalf("%d ends held back after %d transactions", n, i+1)
		}
	}
	eventually(t, "four answered", func() bool { return gate.Filtered() == 4 })
	if err := gate.Unfilter(); err != nil {
		t.Fatal(err)
	}
	run(true, 1)
	run(true, 1)
	list := gate.Late()
	if len(list) != 5 || list[4].Delivered || gate.Filtered() != 4 {
		t.Errorf("after Unfilter nothing is held back or delivered any more: %v", list)
	}
	if n := committed(t, addrs); n != 7 {
		t.Errorf("%d records committed, want 7", n)
	}
	if gate.watching.Load() {
		t.Error("requests are still read")
	}
}

func TestAnEndWhoseConnectionBreaksMakesRoomForAnother(t *testing.T) {
	gate, addrs := behind(t, 1)
	run := transactional(t, addrs, "p0")
	if err := gate.DelayEndTxn("p0", 1, 1); err != nil {
		t.Fatal(err)
	}
	run(true, 1)
	for p := range gate.proxies { // the broker's side of the connection breaks
		p.closeCut()
	}
	eventually(t, "it was forgotten", func() bool {
		gate.mu.Lock()
		defer gate.mu.Unlock()
		return len(gate.held) == 0
	})
	run(true, 1)
	run(true, 1)
	eventually(t, "answered", answered(gate))
	if list := gate.Late(); len(list) != 2 || list[0].Delivered || !list[1].Delivered {
		t.Errorf("evidence %v, want the second delivered", list)
	}
}

func TestDelaysThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		name     string
		id       string
		after, n int
	}{{"no id", "", 1, 1}, {"no record of the next transaction", "p0", 0, 1}, {"no request", "p0", 1, 0}} {
		if err := NewGate().DelayEndTxn(c.id, c.after, c.n); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func TestProxiesCloseWhileAnEndIsHeldBack(t *testing.T) {
	gate, addrs := behind(t, 1)
	run := transactional(t, addrs, "p0")
	if err := gate.DelayEndTxn("p0", 1, 1); err != nil {
		t.Fatal(err)
	}
	run(true, 1)
	for p := range gate.proxies { // which Close changes, as a map may be while it is walked; there is one
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
