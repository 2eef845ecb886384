package usage

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what all of it has used since it booted, or, of what control groups bound, the container that kbench runs in.
// Processor times are µs of all processors together.
type Machine struct {
	CPUs                    int
	Quota                   float64 // processors that the control group allows; 0: no limit, or none known
	Busy, Idle, Wait, Steal int64   // Wait: idle while a disk was waited for; Steal: taken by the host
	Throttled               *int64  // in which the quota held processes back
	Available               *int64  // bytes of memory
	Loopback                *int64  // bytes that the loopback interface received
	NetworkIn, NetworkOut   *int64  // bytes of all other interfaces
	DiskRead, DiskWritten   *int64  // bytes of all disks
}

// Reader reads the machine.
type Reader struct{ group string }

// NewReader finds this process's control group.
func NewReader() *Reader { return &Reader{group: cgroup("/sys/fs/cgroup", "/proc/self/cgroup")} }

// Machine reads it. An error says that /proc/stat is not there.
func (r *Reader) Machine() (Machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, err
	}
	m := processors(text)
	m.CPUs = runtime.NumCPU()
	m.Quota, m.Throttled = r.quota()
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kib := field(text, "MemAvailable:"); kib != nil {
			bytes := *kib << 10
			m.Available = &bytes
		}
	}
	if text, err := os.ReadFile("/proc/net/dev"); err == nil {
		m.Loopback, m.NetworkIn, m.NetworkOut = interfaces(text)
	}
	if text, err := os.ReadFile("/proc/diskstats"); err == nil {
		m.DiskRead, m.DiskWritten = disks(text)
	}
	return m, nil
}

// processors reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. Time of guests is
// part of user's.
func processors(text []byte) Machine {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	at := func(i int) int64 {
		if i >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
		return n * tick
	}
	return Machine{Busy: at(1) + at(2) + at(3) + at(6) + at(7), Idle: at(4), Wait: at(5), Steal: at(8)}
}

// quota reads how much of the processors the control group allows, and for how long it held its processes back.
func (r *Reader) quota() (cores float64, throttled *int64) {
	if r.group == "" {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(r.group, "cpu.stat"))
	if err != nil {
		return 0, nil
	}
	if throttled = field(text, "throttled_usec"); throttled == nil {
		if ns := field(text, "throttled_time"); ns != nil { // version 1
			us := *ns / 1000
			throttled = &us
		}
	}
	if text, err := os.ReadFile(filepath.Join(r.group, "cpu.max")); err == nil {
		return allowed(strings.Fields(string(text))), throttled
	}
	limit, err1 := os.ReadFile(filepath.Join(r.group, "cpu.cfs_quota_us"))
	period, err2 := os.ReadFile(filepath.Join(r.group, "cpu.cfs_period_us"))
	if err1 != nil || err2 != nil {
		return 0, throttled
	}
	return allowed([]string{strings.TrimSpace(string(limit)), strings.TrimSpace(string(period))}), throttled
}

// allowed processors by a quota and its period; 0 for "max" and -1.
func allowed(fields []string) float64 {
	if len(fields) != 2 {
		return 0
	}
	quota, err1 := strconv.ParseFloat(fields[0], 64)
	period, err2 := strconv.ParseFloat(fields[1], 64)
	if err1 != nil || err2 != nil || quota <= 0 || period <= 0 {
		return 0
	}
	return quota / period
}

// interfaces reads /proc/net/dev. What the loopback interface sends it receives, so that one side counts each byte once.
func interfaces(text []byte) (loopback, in, out *int64) {
	for line := range bytes.Lines(text) {
		name, rest, found := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if !found || len(fields) < 9 {
			continue
		}
		received, err1 := strconv.ParseInt(string(fields[0]), 10, 64)
		sent, err2 := strconv.ParseInt(string(fields[8]), 10, 64)
		switch {
		case err1 != nil || err2 != nil:
		case string(bytes.TrimSpace(name)) == "lo":
			loopback = &received
		default:
			in, out = sum(in, received), sum(out, sent)
		}
	}
	return loopback, in, out
}

func sum(so *int64, more int64) *int64 {
	if so != nil {
		more += *so
	}
	return &more
}

// disks reads /proc/diskstats, whose sectors have 512 bytes whatever the disk's have. Partitions and what is made of other
// devices would count twice.
func disks(text []byte) (read, written *int64) {
	const sector = 512
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 10 || !whole(string(fields[2])) {
			continue
		}
		r, err1 := strconv.ParseInt(string(fields[5]), 10, 64)
		w, err2 := strconv.ParseInt(string(fields[9]), 10, 64)
		if err1 == nil && err2 == nil {
			read, written = sum(read, r*sector), sum(written, w*sector)
		}
	}
	return read, written
}

// whole tells a disk from a partition, a loop device, or one that stands on other devices.
func whole(device string) bool {
	for _, made := range []string{"loop", "ram", "zram", "dm-", "md", "sr"} {
		if strings.HasPrefix(device, made) {
			return false
		}
	}
	_, err := os.Stat("/sys/block/" + device)
	return err == nil
}
