package drivertest

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
)

// timestamps sends records with a timestamp and without, in turn, so that none may inherit another's.
func timestamps(t *testing.T, d client.Driver) {
	given := time.Now().Add(-time.Minute).UnixMilli()
	r := newRig(t, d, 1, "orders")
	p, _ := r.producer(nil)
	began := time.Now()
	for i := range 6 {
		record := client.Record{Topic: "orders", Value: []byte(numbered(i))}
		if i%2 == 0 {
			record.Stamp = given + int64(i)
		}
		must(t, p.Send(&record, client.Slot(0)))
		must(t, p.Flush(r.context()))
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.bootstrap...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {0: kgo.NewOffset().AtStart()}}))
	must(t, err)
	defer cl.Close()
	var stored []*kgo.Record
	for len(stored) < 6 {
		fetches := cl.PollFetches(r.context())
		must(t, fetches.Err())
		stored = append(stored, fetches.Records()...)
	}
	for i, record := range stored {
		at := record.Timestamp
		switch {
		case i%2 == 0 && at.UnixMilli() != given+int64(i):
			t.Errorf("record %d was given %d and has %d", i, given+int64(i), at.UnixMilli())
		case i%2 == 1 && (at.Before(began.Add(-10*time.Second)) || at.After(time.Now().Add(10*time.Second))):
			t.Errorf("record %d was given no time and has %v", i, at)
		}
	}
}

// together sends records of which each is answered before the next is sent: no two of them can have come together, though in their
// partition each is the next. Of many that are sent at once some do, where the library tells of
// one record at a time.
func together(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, got := r.producer(map[string]string{"linger.ms": "0"})
	const rounds, many = 50, 2000
	for i := range rounds {
		send(t, p, "orders", 0, client.Slot(i), numbered(i))
		must(t, p.Flush(r.context()))
		if ack := got.one(t, client.Slot(i)); ack.Err != nil || ack.Together {
			t.Fatalf("record %d, which was sent alone: %+v", i, ack)
		}
	}
	for i := range many {
		send(t, p, "orders", 0, client.Slot(rounds+i), numbered(rounds+i))
	}
	must(t, p.Flush(r.context()))
	alone := 0
	for i := range many {
		if !got.one(t, client.Slot(rounds+i)).Together {
			alone++
		}
	}
	t.Logf("of %d records at once %d ask for a reading of the clock", many, alone)
	if alone == 0 {
		t.Error("no record says that the clock is to be read")
	}
	if r.d.Name() == "franz" && alone == many {
		t.Error("no two came together")
	}
}
