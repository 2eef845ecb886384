package clock

import (
	"context"
	"testing"
	"time"
)

func TestTwoClocksOfOneBaseAgree(t *testing.T) {
	first, err := New()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	second, err := At(first.Base())
	if err != nil {
		t.Fatal(err)
	}
	before := first.Now()
	between := second.Now()
	after := first.Now()
	const apart = int64(time.Millisecond) // two readings of one clock, taken by two system calls
	if between < before-apart || between > after+apart {
		t.Fatalf("second clock reads %d ns, first %d before and %d after", between, before, after)
	}
}

func TestSleepUntilIsNeverEarlyAndEndsWhenDone(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	until := c.Now() + int64(5*time.Millisecond)
	if !c.SleepUntil(until, nil) || c.Now() < until {
		t.Fatalf("woke at %d, before %d", c.Now(), until)
	}
	done := make(chan struct{})
	close(done)
	if c.SleepUntil(c.Now()+int64(time.Hour), done) {
		t.Fatal("slept although done was closed")
	}
}

func TestSleeperIsNeverEarlyAndEndsWithItsContext(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := c.NewSleeper(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, pause := range []time.Duration{-time.Second, 0, 50 * time.Microsecond, 3 * time.Millisecond} {
		until := c.Now() + int64(pause)
		if !s.Until(until) || c.Now() < until {
			t.Fatalf("after %v: woke at %d, before %d", pause, c.Now(), until)
		}
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if s.Until(c.Now() + int64(time.Hour)) {
		t.Fatal("slept although the context had ended")
	}
}

// BenchmarkSleeper tells how late a sleeper wakes: half a millisecond's sleep, ns/op over 500,000.
func BenchmarkSleeper(b *testing.B) {
	c, err := New()
	if err != nil {
		b.Fatal(err)
	}
	s, err := c.NewSleeper(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		s.Until(c.Now() + 500_000)
	}
}
