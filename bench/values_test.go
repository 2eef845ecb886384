package bench

import (
	"bytes"
	"compress/gzip"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/payload"
)

func TestARecordTooSmallForItsHeadIsRefusedWithTheMinimum(t *testing.T) {
	_, err := newValues(payloadSpec{}, payload.Size-1, 4, true, rand.New(rand.NewSource(1)))
	if err == nil || !strings.Contains(err.Error(), "at least 48") {
		t.Fatalf("error %v does not say the minimum", err)
	}
}

func TestPayloadsCompressAsAsked(t *testing.T) {
	const size = 10_000
	packed := func(kind string, share float64) float64 {
		v, err := newValues(payloadSpec{Kind: kind, Compressibility: share}, size, 1, false, rand.New(rand.NewSource(1)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(v.of(0)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return float64(out.Len()) / size
	}
	if r := packed("random", 0); r < 0.99 {
		t.Errorf("a random payload shrinks to %.2f of its size", r)
	}
	if r := packed("compressible", 0.7); r < 0.28 || r > 0.33 {
		t.Errorf("a payload that is 0.7 compressible shrinks to %.2f of its size", r)
	}
}

func TestPayloadsFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte("first\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	v, err := newValues(payloadSpec{Kind: "file", File: path}, payload.Size+8, 2, false, rand.New(rand.NewSource(1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(v.of(1)[payload.Size:]); got != "second\ns" {
		t.Fatalf("the second record carries %q", got)
	}
	if _, err := newValues(payloadSpec{Kind: "file", File: path + "x"}, 100, 1, true, rand.New(rand.NewSource(1))); err == nil {
		t.Fatal("a file that is not there was taken")
	}
}

func TestKeysAreSkewedAsAsked(t *testing.T) {
	const draws = 20_000
	top := func(kind string) float64 {
		next := newKeys(keySpec{Kind: kind, Count: 1000}, rand.New(rand.NewSource(1)))
		seen := map[string]int{}
		most := 0
		for range draws {
			k := string(next())
			seen[k]++
			most = max(most, seen[k])
		}
		return float64(most) / draws
	}
	if share := top("uniform"); share > 0.005 {
		t.Errorf("uniform keys: one has a share of %.3f", share)
	}
	if share := top("zipf"); share < 0.1 {
		t.Errorf("zipf keys: the first has a share of only %.3f", share)
	}
	if newKeys(keySpec{Kind: "none"}, nil)() != nil {
		t.Error("keys although none were asked for")
	}
}
