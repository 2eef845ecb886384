// Package usage reads from /proc what processes and the machine have used: processors, memory, disks, network. It is a leaf.
// What the system does not tell, or not to this user, is nil, never 0.
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// tick is the kernel's unit of processor time in /proc: USER_HZ is 100 on every architecture that Go runs on.
const tick = 10_000 // µs

// Process is what a process has used since it began.
type Process struct {
	Began         uint64 // clock ticks since boot; with the id it names one process for ever
	CPU           int64  // µs of user and system time, of threads that have ended too
	Memory        *int64 // bytes resident
	Read, Written *int64 // bytes from and to storage
}

// Of reads a process. An error says that it is gone.
func Of(pid int) (Process, error) {
	root := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(root + "/stat")
	if err != nil {
		return Process{}, err
	}
	p, err := parseStat(stat)
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	if text, err := os.ReadFile(root + "/statm"); err == nil {
		p.Memory = resident(text)
	}
	if text, err := os.ReadFile(root + "/io"); err == nil {
		p.Read, p.Written = field(text, "read_bytes:"), field(text, "write_bytes:")
	}
	return p, nil
}

// parseStat reads /proc/PID/stat. The command's name, in parentheses, may contain any character.
func parseStat(text []byte) (Process, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return Process{}, fmt.Errorf("no command in %q", text)
	}
	fields := bytes.Fields(text[end+1:])
	const state, utime, stime, starttime = 3, 14, 15, 22 // as proc(5) counts
	if len(fields) <= starttime-state {
		return Process{}, fmt.Errorf("%d fields in %q", len(fields), text)
	}
	var numbers [3]uint64
	for i, n := range []int{utime, stime, starttime} {
		v, err := strconv.ParseUint(string(fields[n-state]), 10, 63)
		if err != nil {
			return Process{}, fmt.Errorf("field %d of %q: %w", n, text, err)
		}
		numbers[i] = v
	}
	return Process{CPU: int64(numbers[0]+numbers[1]) * tick, Began: numbers[2]}, nil
}

// resident memory out of statm, which counts pages.
func resident(text []byte) *int64 {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return nil
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return nil
	}
	n := pages * int64(os.Getpagesize())
	return &n
}

// field is the number behind a name at the beginning of a line.
func field(text []byte, name string) *int64 {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		words := bytes.Fields(rest)
		if len(words) == 0 {
			return nil
		}
		n, err := strconv.ParseInt(string(words[0]), 10, 64)
		if err != nil {
			return nil
		}
		return &n
	}
	return nil
}

// Threads watches the threads of one process. It keeps what each had used when it was last looked at.
type Threads struct {
	pid    int
	before map[string]thread
	at     int64
	buffer []byte
}

// thread is what one has used, ns.
type thread struct{ ran, waited int64 }

// NewThreads watches a process.
func NewThreads(pid int) *Threads { return &Threads{pid: pid, buffer: make([]byte, 128)} }

// Busy is what threads did since the look before. Times are ns.
type Busy struct {
	Over   int64 // the time since then
	Waited int64 // ready to run without a processor, of all threads
	Name   string
	Ran    int64 // of the thread that ran or was ready to for longest
	Ready  int64 // likewise: ready without a processor
}

// Look at a time in ns of any clock. The first look, and one that finds nothing, tell nothing. A thread that came and went
// between two looks is not seen.
func (t *Threads) Look(now int64) *Busy {
	root := "/proc/" + strconv.Itoa(t.pid) + "/task"
	dir, err := os.Open(root)
	if err != nil {
		return nil
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil
	}
	current := make(map[string]thread, len(names))
	b := Busy{Over: now - t.at}
	busiest, most := "", int64(-1)
	for _, name := range names {
		after, ok := t.read(root + "/" + name + "/schedstat")
		if !ok {
			continue
		}
		current[name] = after
		before := t.before[name] // one that began meanwhile began at 0
		ran, waited := after.ran-before.ran, after.waited-before.waited
		b.Waited += waited
		if ran+waited > most {
			busiest, most, b.Ran, b.Ready = name, ran+waited, ran, waited
		}
	}
	first := t.before == nil
	t.before, t.at = current, now
	if first || busiest == "" || b.Over <= 0 {
		return nil
	}
	if comm, err := os.ReadFile(root + "/" + busiest + "/comm"); err == nil {
		b.Name = string(bytes.TrimSpace(comm))
	}
	return &b
}

// read a thread's schedstat: time that it ran, time that it was ready and did not, both ns.
func (t *Threads) read(path string) (thread, bool) {
	f, err := os.Open(path)
	if err != nil {
		return thread{}, false
	}
	n, err := f.Read(t.buffer)
	f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return thread{}, false
	}
	return parseSchedstat(t.buffer[:n])
}

func parseSchedstat(text []byte) (thread, bool) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return thread{}, false
	}
	ran, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return thread{}, false
	}
	waited, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return thread{ran, waited}, err == nil
}

// cgroup is the folder of this process's control group below root, "" where there is none with a processor quota.
func cgroup(root, self string) string {
	text, err := os.ReadFile(self)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		parts := bytes.SplitN(bytes.TrimSpace(line), []byte(":"), 3)
		if len(parts) != 3 {
			continue
		}
		var folder string
		switch {
		case len(parts[1]) == 0:
			folder = filepath.Join(root, string(parts[2])) // version 2
		case bytes.Contains(parts[1], []byte("cpu")) && !bytes.Contains(parts[1], []byte("cpuset")):
			folder = filepath.Join(root, string(parts[1]), string(parts[2])) // version 1
		default:
			continue
		}
		for _, folder := range []string{folder, root} { // a container sees its own group as the root
			if _, err := os.Stat(filepath.Join(folder, "cpu.stat")); err == nil {
				return folder
			}
		}
	}
	return ""
}
