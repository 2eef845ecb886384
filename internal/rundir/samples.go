package rundir

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// SamplesFile is what was seen of processes, the machine, the clients' libraries and the partitions' replicas while the
// run went on: JSON Lines, the first of which is {"kbench_samples":1}, each further one a Sample. A torn last line, as a
// run that was killed may leave it, is as if it were not there.
const SamplesFile = "samples.jsonl"

const samplesVersion = 1

// Sample is what was seen at one moment. Amounts of machine and processes grow from the start of what they belong to, so
// that two samples tell what was used between them. What cannot be known is nil or left out.
type Sample struct {
	At        int64          `json:"at_ns"`   // on the run's clock
	TookUs    int64          `json:"took_us"` // of one processor's time that it took to look
	Machine   *MachineUse    `json:"machine,omitempty"`
	Processes []ProcessUse   `json:"processes,omitempty"`
	Replicas  *Replicas      `json:"replicas,omitempty"`
	Clients   []ClientWindow `json:"clients,omitempty"` // of the windows that have ended since the sample before
}

// MachineUse is what the whole machine, or the container that kbench runs in, has used.
type MachineUse struct {
	CPUs         int     `json:"cpus"`         // processors online
	Quota        float64 `json:"quota_cores"`  // that the control group allows; 0: no limit, or none known
	BusyUs       int64   `json:"busy_us"`      // of all processors together; so are the next
	IdleUs       int64   `json:"idle_us"`      // without anything to do, waiting for disks not included
	WaitUs       int64   `json:"iowait_us"`    // idle while a disk was waited for
	StealUs      int64   `json:"steal_us"`     // taken by the machine's host
	ThrottledUs  *int64  `json:"throttled_us"` // in which the control group's quota held its processes back
	Available    *int64  `json:"available_bytes"`
	Loopback     *int64  `json:"loopback_bytes"` // carried by the loopback interface: one way, each byte is received once
	NetworkIn    *int64  `json:"network_in_bytes"`
	NetworkOut   *int64  `json:"network_out_bytes"` // of all other interfaces, the traffic of every process
	DiskReadB    *int64  `json:"disk_read_bytes"`   // of all disks
	DiskWrittenB *int64  `json:"disk_written_bytes"`
}

// Kinds of process.
const (
	OfKbench     = "kbench"
	OfWorker     = "worker" // a session of kbench's in a process of its own
	OfBroker     = "broker"
	OfController = "controller"
)

// ProcessUse is what a process has used since it began. Another Pid or Began is another process.
type ProcessUse struct {
	Of      string  `json:"of"`
	Name    string  `json:"name"` // kbench, p0, broker 1, controller 100
	Pid     int     `json:"pid"`
	Began   uint64  `json:"began"`  // clock ticks since boot
	CPUUs   int64   `json:"cpu_us"` // user and system time of all its threads
	Memory  *int64  `json:"memory_bytes"`
	Read    *int64  `json:"disk_read_bytes"` // from the storage itself; what the page cache answered is not among it
	Written *int64  `json:"disk_written_bytes"`
	In      *int64  `json:"network_in_bytes,omitempty"` // over its TCP sockets since they were first looked at
	Out     *int64  `json:"network_out_bytes,omitempty"`
	Threads *Thread `json:"threads,omitempty"`
}

// Thread tells of a process's threads since the sample before: how long all of them stood ready to run without a
// processor, and which one was at work or ready for it longest.
type Thread struct {
	OverUs   int64  `json:"over_us"`
	ReadyUs  int64  `json:"ready_us"` // of all threads
	Name     string `json:"busiest"`
	CPUUs    int64  `json:"busiest_cpu_us"`
	WaitedUs int64  `json:"busiest_ready_us"`
}

// Replicas is how the run's partitions stood in the cluster's metadata.
type Replicas struct {
	Partitions int `json:"partitions"`
	Under      int `json:"under_replicated"` // with a replica outside the ISR
	Offline    int `json:"offline"`          // without a leader
}

// ClientWindow is what one producer's library says of one span of time.
type ClientWindow struct {
	Client  string `json:"client"` // p0
	Session int    `json:"session"`
	From    int64  `json:"from_ns"` // on the run's clock
	To      int64  `json:"to_ns"`

	QueuedRecords *int64  `json:"queued_records"` // at its end, those without an acknowledgement
	QueuedBytes   *int64  `json:"queued_bytes"`
	Room          *Spread `json:"room,omitempty"`          // a record: how long Send waited for room in the buffer, 0 for most, µs
	BatchRecords  *Spread `json:"batch_records,omitempty"` // a batch of one partition
	BatchBytes    *Spread `json:"batch_bytes,omitempty"`

	Brokers []BrokerWindow `json:"brokers,omitempty"`
}

// BrokerWindow is a producer's connection to one broker in a window. Times are µs.
type BrokerWindow struct {
	Broker    int32   `json:"broker"`
	Queue     *Spread `json:"queue,omitempty"`      // a record: from the buffer into a request
	Outgoing  *Spread `json:"outgoing,omitempty"`   // a request: until it is written to the socket
	RoundTrip *Spread `json:"round_trip,omitempty"` // a request: from then to its answer
	Throttle  *Spread `json:"throttle,omitempty"`   // an answer: for how long the broker holds the client back by quota
	Out       *int64  `json:"out_bytes,omitempty"`
	In        *int64  `json:"in_bytes,omitempty"`
	Allowed   int     `json:"allowed,omitempty"` // requests that may be unanswered at a time; 0: not known
}

// Spread is how many values there were in a window and how they were spread. It stands as a list of numbers: count, sum,
// least, p50, p75, p90, p95, p99, p99.99, most.
type Spread struct {
	Count uint64
	Sum   float64
	At    [8]float64 // the values at SpreadQuantiles
}

// SpreadQuantiles are those of Spread.At.
func SpreadQuantiles() [8]float64 { return [8]float64{0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.9999, 1} }

// MarshalJSON writes the list.
func (s Spread) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]float64{float64(s.Count), s.Sum}, s.At[:]...))
}

// UnmarshalJSON reads it.
func (s *Spread) UnmarshalJSON(b []byte) error {
	var list []float64
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 2+len(s.At) {
		return fmt.Errorf("a spread has %d numbers, not %d", 2+len(s.At), len(list))
	}
	if list[0] < 0 || list[0] != float64(uint64(list[0])) {
		return fmt.Errorf("a spread counts %v", list[0])
	}
	s.Count, s.Sum = uint64(list[0]), list[1]
	copy(s.At[:], list[2:])
	return nil
}

// SampleWriter appends samples to a run directory. It is safe for concurrent use.
type SampleWriter struct {
	mu sync.Mutex
	f  *os.File
	w  *bufio.Writer
}

// CreateSamples begins the samples of a run directory.
func CreateSamples(dir string) (*SampleWriter, error) {
	f, err := os.Create(filepath.Join(dir, SamplesFile))
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	w := &SampleWriter{f: f, w: bufio.NewWriter(f)}
	if _, err := fmt.Fprintf(w.w, "{\"kbench_samples\":%d}\n", samplesVersion); err != nil {
		return nil, errors.Join(fmt.Errorf("samples: %w", err), f.Close())
	}
	return w, nil
}

// Add appends a sample, and has it on the way to the disk when it returns.
func (w *SampleWriter) Add(s Sample) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.w.Write(append(b, '\n')) // Flush says what went wrong
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	return nil
}

// Close ends the file.
func (w *SampleWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.w.Flush(), w.f.Close()); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	return nil
}

// Samples reads a run directory's samples in order, none where it has none. With an error come those before it.
func Samples(dir string) ([]Sample, error) {
	f, err := os.Open(filepath.Join(dir, SamplesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	defer f.Close()
	return readSamples(f)
}

func readSamples(r io.Reader) ([]Sample, error) {
	lines := bufio.NewReader(r)
	var list []Sample
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return list, nil // what follows the last line's end is torn
		}
		if err == nil && n == 1 {
			err = samplesHead(line)
		} else if err == nil {
			var s Sample
			if err = json.Unmarshal(line, &s); err == nil {
				list = append(list, s)
			}
		}
		if err != nil {
			return list, fmt.Errorf("%s, line %d: %w", SamplesFile, n, err)
		}
	}
}

func samplesHead(line []byte) error {
	var head struct {
		Version int `json:"kbench_samples"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	if head.Version != samplesVersion {
		return fmt.Errorf("version %d, this kbench reads %d", head.Version, samplesVersion)
	}
	return nil
}
