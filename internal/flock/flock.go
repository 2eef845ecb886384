// Package flock locks open files. The kernel gives a lock back when the last process that has the file open ends. It is a leaf.
package flock

import (
	"errors"
	"os"
	"syscall"
)

// How a file is locked.
const (
	Alone  = syscall.LOCK_EX
	Shared = syscall.LOCK_SH // beside others that share it
)

// Try takes the lock of an open file, unless somebody else has it.
func Try(f *os.File, how int) (bool, error) {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
