package history

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// Digest is the size of a log and the XXH64, in 16 hex digits, over its magic, the heads of its chunks and whatever
// follows the last whole one. Each head holds the checksum of its chunk's payload, which Open compares, so that together
// they tell a log from any other at the cost of reading one part in a few hundred of it.
func Digest(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", fmt.Errorf("digest: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, "", fmt.Errorf("digest: %w", err)
	}
	size = info.Size()
	d := xxhash.New()
	at := min(int64(len(magic)), size)
	_, err = io.Copy(d, io.NewSectionReader(f, 0, at))
	for err == nil && size-at >= headSize {
		var b [headSize]byte
		if err = readAt(f, b[:], at); err != nil {
			break
		}
		h, broken := parseHead(b[:])
		if broken != nil || size-at-headSize < int64(h.stored) {
			break
		}
		_, _ = d.Write(b[:]) // never fails: see hash.Hash
		at += headSize + int64(h.stored)
	}
	if err == nil {
		_, err = io.Copy(d, io.NewSectionReader(f, at, size-at))
	}
	if err != nil {
		return 0, "", fmt.Errorf("digest %s: %w", filepath.Base(path), err)
	}
	return size, fmt.Sprintf("%016x", d.Sum64()), nil
}
