package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/flock"
)

// Lock waits until no other process on this machine has a local cluster with the same cache folder, or ctx ends. Start
// takes it by itself, unless Options.Shared is set. The kernel gives it back when its holder dies.
func Lock(ctx context.Context, cacheDir string, note func(format string, args ...any)) (unlock func(), err error) {
	return lockAs(ctx, cacheDir, "", note)
}

// lockAs is Lock for a cluster that stays, where stays is not "": such ones may be there side by side. Who waits is told stays.
func lockAs(ctx context.Context, cacheDir, stays string, note func(format string, args ...any)) (unlock func(), err error) {
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return nil, err
	}
	how, who := flock.Alone, strconv.Itoa(os.Getpid())
	if stays != "" {
		how, who = flock.Shared, who+", "+stays
	}
	f, err := lockFile(ctx, filepath.Join(cacheDir, "cluster.lock"), how, who, func(holder string) {
		if note != nil {
			note("waiting for another local cluster to end (process %s)", holder)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the one local cluster at a time: %w", err)
	}
	return func() { f.Close() }, nil
}

// lockFile waits for the lock on a file, which is made if need be and says who holds it. Closing the file unlocks.
// busy is told once, when there is something to wait for.
func lockFile(ctx context.Context, path string, how int, who string, busy func(holder string)) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		ok, err := flock.Try(f, how)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if ok {
			break
		}
		if !told {
			holder, _ := os.ReadFile(path) // only for the message
			busy(strings.TrimSpace(string(holder)))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintln(f, who); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
