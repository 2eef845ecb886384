package check

import (
	"bytes"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// evidenceOf are the files of a run that its verdict is decided from.
func evidenceOf(t testing.TB, dir string) map[string][]byte {
	files := map[string][]byte{}
	logs, err := filepath.Glob(filepath.Join(rundir.History(dir), "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, path := range append(logs, filepath.Join(dir, rundir.MetaFile)) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = b
	}
	return files
}

// victim is a run that holds, and whose files are damaged one at a time.
type victim struct {
	testing.TB
	dir   string
	files map[string][]byte
	paths []string
}

// holdingRun is a run with a killed consumer, whose torn log is as it should be.
func holdingRun(t testing.TB) *victim {
	r := goodRun()
	r.killConsumer()
	return newVictim(t, r.write(t))
}

func newVictim(t testing.TB, dir string) *victim {
	v := &victim{TB: t, dir: dir, files: evidenceOf(t, dir)}
	for path := range v.files {
		v.paths = append(v.paths, path)
	}
	slices.Sort(v.paths)
	if j, err := Dir(dir); err != nil || j.Verdict != Holds {
		t.Fatalf("before any damage: %v %q, %v", j.Verdict, j.Reasons, err)
	}
	return v
}

// suffers puts content into a file, nil: removes it, judges, and heals. Whatever the judge says, it is not 'holds'; nor
// is it 'violated', since the cluster did not break its promise.
func (v *victim) suffers(what, path string, content []byte) {
	v.Helper()
	if content != nil && bytes.Equal(content, v.files[path]) {
		return
	}
	var err error
	if content == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		v.Fatal(err)
	}
	j, judged := Dir(v.dir)
	if j.Verdict != Inconclusive || j.AsExpected || judged == nil && len(j.Reasons) == 0 {
		v.Errorf("%s of %s: %v, as expected %v, %q", what, filepath.Base(path), j.Verdict, j.AsExpected, j.Reasons)
	}
	if err := os.WriteFile(path, v.files[path], 0o644); err != nil {
		v.Fatal(err)
	}
}

func TestARunWithADamagedFileIsInconclusive(t *testing.T) {
	v := holdingRun(t)
	for _, path := range v.paths {
		b := v.files[path]
		v.suffers("removal", path, nil)
		v.suffers("emptying", path, []byte{})
		v.suffers("a byte more", path, append(slices.Clone(b), 0))
		v.suffers("doubling", path, append(slices.Clone(b), b...))
		for at := 0; at < len(b); at += 1 + len(b)/60 {
			v.suffers("cutting", path, b[:at])
			flipped := slices.Clone(b)
			flipped[at] ^= 1 << (at % 8)
			v.suffers("flipping a bit", path, flipped)
		}
	}
}

// A log that ends exactly between two chunks looks like that of a session that was killed then.
func TestALogCutBetweenChunksIsInconclusive(t *testing.T) {
	r := goodRun()
	r.killConsumer()
	r.flushEach = 20
	v := newVictim(t, r.write(t))
	for _, path := range v.paths {
		b := v.files[path]
		if filepath.Ext(path) != ".log" {
			continue
		}
		ends := boundaries(b)
		if len(ends) < 4 && filepath.Base(path) != "final.1.log" {
			t.Fatalf("%s has %d chunks", path, len(ends))
		}
		for i, end := range ends[:len(ends)-1] {
			v.suffers("cutting between chunks", path, b[:end])
			v.suffers("leaving out a chunk", path, slices.Concat(b[:end], b[ends[i+1]:]))
			v.suffers("a chunk twice", path, slices.Concat(b[:ends[i+1]], b[end:]))
			if i+2 < len(ends) {
				v.suffers("two chunks in the other order", path, slices.Concat(b[:end], b[ends[i+1]:ends[i+2]], b[end:ends[i+1]], b[ends[i+2]:]))
			}
		}
	}
}

// boundaries between the chunks of a log: each head tells how long its chunk is, see docs/history.md.
func boundaries(b []byte) (ends []int) {
	const magic, head = 8, 32
	for at := magic; at+head <= len(b); {
		ends = append(ends, at)
		at += head + int(uint32(b[at+4])|uint32(b[at+5])<<8|uint32(b[at+6])<<16|uint32(b[at+7])<<24)
	}
	return append(ends, len(b))
}

func TestAFileOfAnotherRunIsInconclusive(t *testing.T) {
	v := holdingRun(t)
	other := goodRun()
	other.killConsumer()
	other.run, other.meta.RunID = 8, "0000000000000008"
	strangers := evidenceOf(t, other.write(t))
	earlier := goodRun() // the same run, as it might have been
	earlier.killConsumer()
	earlier.set("c0", (*earlier.of("c0"))[:50])
	past := evidenceOf(t, earlier.write(t))
	for _, path := range v.paths {
		for _, from := range []map[string][]byte{strangers, past} {
			for name, b := range from {
				if filepath.Base(name) == filepath.Base(path) {
					v.suffers("replacement", path, b)
				}
			}
		}
	}
}

// damage does one of several things to a copy of b.
func damage(b []byte, how byte, at, n uint32, with byte) []byte {
	from := int(at) % len(b)
	to := min(len(b), from+1+int(n)%64)
	switch c := slices.Clone(b); how % 7 {
	case 0:
		c[from] ^= with
		return c
	case 1:
		return c[:from]
	case 2:
		return slices.Delete(c, from, to)
	case 3:
		return slices.Insert(c, from, b[from:to]...)
	case 4:
		for i := from; i < to; i++ {
			c[i] = with
		}
		return c
	case 5:
		return append(c, bytes.Repeat([]byte{with}, to-from)...)
	default:
		slices.Reverse(c[from:to])
		return c
	}
}

func TestRandomDamageIsInconclusive(t *testing.T) {
	v := holdingRun(t)
	rng := rand.New(rand.NewSource(1))
	for range 500 {
		path := v.paths[rng.Intn(len(v.paths))]
		v.suffers("random damage", path, damage(v.files[path], byte(rng.Uint32()), rng.Uint32(), rng.Uint32(), byte(rng.Uint32())))
	}
}

func FuzzDamageIsInconclusive(f *testing.F) {
	for how := range byte(7) {
		f.Add(uint8(how), how, uint32(100)*uint32(how), uint32(9), byte(1)<<how)
	}
	v := holdingRun(f)
	f.Fuzz(func(t *testing.T, file uint8, how byte, at, n uint32, with byte) {
		v.TB = t
		path := v.paths[int(file)%len(v.paths)]
		v.suffers("damage", path, damage(v.files[path], how, at, n, with))
	})
}

// A history whose logs are all as they were left, and none of whose sessions closed its log: kbench itself was killed.
func TestARunNobodyEndedIsInconclusive(t *testing.T) {
	r := goodRun()
	r.meta.Stage, r.meta.FinalRead.Done = rundir.Measuring, false
	for c := range r.logs {
		r.open = append(r.open, c)
	}
	delete(r.logs, log.Client{Name: finalReader, Session: 1})
	if j := r.judge(t); j.Verdict != Inconclusive {
		t.Errorf("%v %q", j.Verdict, j.Reasons)
	}
}
