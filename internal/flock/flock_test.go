package flock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhoGetsALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, c := range []struct {
		name          string
		first, second int
		want          bool
	}{
		{"alone beside alone", Alone, Alone, false},
		{"shared beside alone", Alone, Shared, false},
		{"alone beside shared", Shared, Alone, false},
		{"shared beside shared", Shared, Shared, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, other := open(), open()
			if got, err := Try(one, c.first); !got || err != nil {
				t.Fatalf("a free lock: %v, %v", got, err)
			}
			if got, err := Try(other, c.second); got != c.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
			one.Close()
			if got, err := Try(other, c.second); !got || err != nil {
				t.Errorf("given back: %v, %v", got, err)
			}
			other.Close()
		})
	}
	closed := open()
	closed.Close()
	if got, err := Try(closed, Alone); got || err == nil {
		t.Errorf("a closed file: %v, %v", got, err)
	}
}
