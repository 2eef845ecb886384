package check

import (
	"math/rand/v2"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// TestStatesAreExact: also where there are more different ones than a byte can tell.
func TestStatesAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s, want := newStates(), map[index]state{}
	for range 20_000 {
		i := index(r.IntN(100) * 100)
		s.grow(i)
		if got := s.get(i); got != want[i] {
			t.Fatalf("the state of %d is %x, want %x", i, got, want[i])
		}
		want[i] = state(r.IntN(1 << 12))
		s.set(i, want[i])
	}
	if len(s.rare) == 0 {
		t.Error("nothing was rare")
	}
	for i, w := range want {
		if got := s.get(i); got != w {
			t.Errorf("the state of %d is %x, want %x", i, got, w)
		}
	}
	s.each(func(i index, got state) {
		if got != want[i] {
			t.Errorf("the state of %d is %x, want %x", i, got, want[i])
		}
		delete(want, i)
	})
	for i, w := range want {
		if w != 0 {
			t.Errorf("%d was left out", i)
		}
	}
}

// TestValuesAreNumberedOnce: no two values share a number, whatever the order in which sessions come.
func TestValuesAreNumberedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	v := newValues()
	numbers, taken := map[log.Value]index{}, map[index]log.Value{}
	next := map[[2]int32]int64{}
	for range 100_000 {
		key := [2]int32{int32(r.IntN(3)) * 5000, int32(r.IntN(3)) * 200}
		next[key] += r.Int64N(4)
		value := log.Value{Producer: key[0], Session: key[1], Seq: next[key]}
		if r.IntN(50) == 0 {
			value.Seq = r.Int64() >> r.IntN(60)
		}
		i := v.index(value)
		if known, met := numbers[value]; met && known != i {
			t.Fatalf("%v has the numbers %d and %d", value, known, i)
		}
		if other, used := taken[i]; used && other != value {
			t.Fatalf("%v and %v have the number %d", value, other, i)
		}
		numbers[value], taken[i] = i, value
		if v.value(i) != value || v.nobody(i) || v.of(i).key != (sessionKey{key[0], key[1]}) {
			t.Fatalf("number %d is %v of %v, want %v", i, v.value(i), v.of(i).key, value)
		}
		v.mark(i, sent)
	}
	v.each(func(i index, _ state) { delete(taken, i) })
	if len(taken) > 0 {
		t.Errorf("%d values were left out", len(taken))
	}
	nobody := v.index(log.NoValue)
	if !v.nobody(nobody) || v.value(nobody) != log.NoValue || v.index(log.Value{Producer: 4, Session: 1, Seq: -3}) != nobody {
		t.Errorf("nobody's number is %d, and stands for %v", nobody, v.value(nobody))
	}
}

// TestEffectsAreFourBits: neighbours keep theirs.
func TestEffectsAreFourBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var e effectPages
	want := map[index]uint8{}
	for range 20_000 {
		i := index(r.IntN(50) + r.IntN(3)*100_000)
		if e.get(i) != want[i] {
			t.Fatalf("at %d stands %d, want %d", i, e.get(i), want[i])
		}
		want[i] = uint8(r.IntN(16))
		e.set(i, want[i])
	}
}

func BenchmarkIndex(b *testing.B) {
	v := newValues()
	for i := int64(0); b.Loop(); i++ {
		v.index(log.Value{Producer: int32(i & 3), Session: 1, Seq: i & (1<<24 - 1)})
	}
}

func BenchmarkMark(b *testing.B) {
	v := newValues()
	for i := int64(0); b.Loop(); i++ {
		at := v.index(log.Value{Producer: 0, Session: 1, Seq: i & (1<<24 - 1)})
		v.mark(at, sent)
		v.raise(at, rankOK)
		v.mark(at, placed)
		v.mark(at, polled|proof)
	}
}
