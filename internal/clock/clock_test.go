package clock

import (
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
