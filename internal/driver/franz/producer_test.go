package franz

import (
	"testing"
	"unsafe"
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
