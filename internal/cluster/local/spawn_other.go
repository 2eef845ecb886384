//go:build !linux

package local

import "syscall"

func childAttr() (*syscall.SysProcAttr, error) { return nil, errNotLinux }
