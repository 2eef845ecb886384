package drivertest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/client"
)

// headers sends records with none, one and several headers, of one name twice and without a value, and tombstones; what comes back
// must be just that, in the consumer's hands and in those of the judge's reader.
func headers(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	sent := []client.Record{
		{Value: []byte("none")},
		{Value: []byte("one"), Headers: []client.Header{{Key: "h0", Value: []byte("a")}}},
		{Value: nil, Headers: []client.Header{{Key: "why", Value: []byte("a tombstone")}}},
		{Value: []byte("several"), Headers: []client.Header{{Key: "h0", Value: []byte("a")}, {Key: "h0", Value: []byte("b")}, {Key: "empty", Value: []byte{}}}},
		{Value: nil},
		{Value: []byte{}},
	}
	p, got := r.producer(nil)
	for i := range sent {
		one := sent[i]
		one.Topic, one.Key = "orders", []byte("k")
		one.Headers = slices.Clone(one.Headers)
		must(t, p.Send(&one, client.Slot(i)))
		clear(one.Headers) // the list is the caller's again
	}
	must(t, p.Flush(r.context()))
	for i := range sent {
		if ack := got.one(t, client.Slot(i)); ack.Err != nil {
			t.Fatalf("record %d: %v", i, ack.Err)
		}
	}
	c := r.consumer(map[string]string{"group.id": r.group(), "auto.offset.reset": "earliest"})
	must(t, c.Assign([]client.PartitionOffset{at("orders", 0, 0)}))
	read := 0
	until(t, c, "all records", func(e client.Event) bool {
		for _, f := range e.Records {
			if read < len(sent) {
				same(t, read, sent[read], f)
			}
			read++
		}
		return read >= len(sent)
	})
	if read != len(sent) {
		t.Errorf("%d records read, %d sent", read, len(sent))
	}
}

func same(t *testing.T, n int, sent client.Record, got client.Fetched) {
	t.Helper()
	if (sent.Value == nil) != (got.Value == nil) || !bytes.Equal(sent.Value, got.Value) {
		t.Errorf("record %d has the value %#v, sent was %#v", n, got.Value, sent.Value)
	}
	equal := func(a, b client.Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }
	if !slices.EqualFunc(sent.Headers, got.Headers, equal) {
		t.Errorf("record %d has the headers %q, sent were %q", n, got.Headers, sent.Headers)
	}
}
