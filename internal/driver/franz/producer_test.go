package franz

import (
	"testing"
	"time"
	"unsafe"

	"github.com/kbench/kbench/internal/driver/count"
)

func TestTheClockIsReadForEachAnswerAndForEach64Records(t *testing.T) {
	var last answered
	answers := []uint64{1, 1, 2, 2, 2}
	want := []bool{false, true, false, true, true}
	for i, n := range answers {
		if got := last.together(n); got != want[i] {
			t.Errorf("record %d: %v", i, got)
		}
	}
	read := 0
	for range 640 {
		if !last.together(7) {
			read++
		}
	}
	if read != 10 {
		t.Errorf("the clock is read %d times for 640 records of one answer", read)
	}
}

// TestAFlightIsThreeLines of the processors' caches, as many as the library's own record takes.
func TestAFlightIsThreeLines(t *testing.T) {
	if size := unsafe.Sizeof(flight{}); size != 3*64 {
		t.Errorf("%d bytes", size)
	}
}

// TestWhoHadToWaitForRoomIsTold: such a record's timestamp, from which franz-go reckons delivery.timeout.ms, is not that of its call.
func TestWhoHadToWaitForRoomIsTold(t *testing.T) {
	b := buffer{size: 100, maxBlock: 10 * time.Second, closing: make(chan struct{}), room: make(chan struct{}, 1), count: new(count.Counts), waited: new(count.Spread)}
	if waited, err := b.take(60); waited || err != nil {
		t.Errorf("with room: waited %v, error %v", waited, err)
	}
	go func() {
		for b.waits.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		b.free(60)
	}()
	if waited, err := b.take(60); !waited || err != nil {
		t.Errorf("without: waited %v, error %v", waited, err)
	}
}
