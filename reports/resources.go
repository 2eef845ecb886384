package reports

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// Stage is one part of a record's way from its intended time to its acknowledgement.
type Stage struct {
	Stage   string   `json:"stage"` // schedule, room, queue, outgoing, round_trip, rest; service and response are sums
	Records uint64   `json:"records"`
	MeanUs  *float64 `json:"mean_us"`
	P50Us   *float64 `json:"p50_us"`
	P99Us   *float64 `json:"p99_us"`
}

// Resources that machine and processes used in the measured part, and how the replicas stood.
type Resources struct {
	Machine       MachineUse   `json:"machine"`
	Processes     []ProcessUse `json:"processes"`
	Replicas      Replicas     `json:"replicas"`
	SamplingShare *float64     `json:"sampling_share"` // of one processor's time that the looking took
}

// Level is a figure's mean over the measured part and its highest between two looks.
type Level struct {
	Mean *float64 `json:"mean"`
	Peak *float64 `json:"peak"`
}

// MachineUse is the whole machine's, or that of the container that kbench ran in. Cores are processors' worth of time.
type MachineUse struct {
	Processors *float64 `json:"processors"` // that may be used
	CPU        Level    `json:"cpu_cores"`
	IOWait     Level    `json:"iowait_cores"`
	Steal      Level    `json:"steal_cores"`
	Throttled  Level    `json:"throttled_cores"`
	Loopback   Level    `json:"loopback_bytes_per_s"`
	NetworkIn  Level    `json:"network_in_bytes_per_s"`
	NetworkOut Level    `json:"network_out_bytes_per_s"`
	DiskRead   Level    `json:"disk_read_bytes_per_s"`
	DiskWrite  Level    `json:"disk_written_bytes_per_s"`
}

// ProcessUse is one process's, or those of kbench together.
type ProcessUse struct {
	Kind       string   `json:"kind"` // kbench: all its processes; worker: one of them; broker, controller
	Name       string   `json:"name"`
	CPU        Level    `json:"cpu_cores"`
	Ready      Level    `json:"ready_cores"` // threads that were ready to run and had no processor
	Busiest    Level    `json:"busiest_thread_share"`
	Thread     *string  `json:"busiest_thread"`
	Memory     *float64 `json:"memory_bytes"` // resident, at most
	DiskRead   Level    `json:"disk_read_bytes_per_s"`
	DiskWrite  Level    `json:"disk_written_bytes_per_s"`
	NetworkIn  Level    `json:"network_in_bytes_per_s"`
	NetworkOut Level    `json:"network_out_bytes_per_s"`
}

// Replicas is how many partitions at most lacked a replica in the ISR, how many a leader, and for how long any did.
type Replicas struct {
	Under     *int   `json:"under_replicated"`
	UnderMs   *int64 `json:"under_replicated_ms"`
	Offline   *int   `json:"offline"`
	OfflineMs *int64 `json:"offline_ms"`
}

func stages(all []stats.Stage) []Stage {
	out := []Stage{}
	for _, s := range all {
		out = append(out, Stage{Stage: s.Name, Records: s.Records, MeanUs: rounded(s.Mean), P50Us: rounded(s.P50), P99Us: rounded(s.P99)})
	}
	return out
}

func resources(r *stats.Resources) *Resources {
	if r == nil {
		return nil
	}
	m := r.Machine
	out := Resources{
		Machine: MachineUse{
			Processors: m.CPUs, CPU: level(m.CPU), IOWait: level(m.IOWait), Steal: level(m.Steal), Throttled: level(m.Throttled),
			Loopback: level(m.Loopback), NetworkIn: level(m.NetworkIn), NetworkOut: level(m.NetworkOut),
			DiskRead: level(m.DiskRead), DiskWrite: level(m.DiskWrite),
		},
		Processes:     []ProcessUse{},
		Replicas:      Replicas{r.Replicas.Under, r.Replicas.UnderMs, r.Replicas.Offline, r.Replicas.OfflineMs},
		SamplingShare: r.Sampling,
	}
	for _, p := range r.Processes {
		out.Processes = append(out.Processes, ProcessUse{
			Kind: p.Of, Name: p.Name, CPU: level(p.CPU), Ready: level(p.Ready), Busiest: level(p.Busiest), Thread: known(p.Thread), Memory: p.Memory,
			DiskRead: level(p.DiskRead), DiskWrite: level(p.DiskWrite), NetworkIn: level(p.NetworkIn), NetworkOut: level(p.NetworkOut),
		})
	}
	return &out
}

func level(l stats.Level) Level { return Level{rounded(l.Mean), rounded(l.Peak)} }

// stages shows where a record waited, where the client's library told.
func (s Summary) stages(p *page) {
	words := map[string]string{
		stats.StageSchedule: "behind schedule", stats.StageRoom: "for room in the client's buffer", stats.StageQueue: "in the client's queue",
		stats.StageOutgoing: "in the outgoing buffer", stats.StageRoundTrip: "for the broker's answer", stats.StageRest: "on its way back to kbench",
		stats.StageResponse: "in all",
	}
	rows := [][]string{{"where a record waited", "mean", "p50", "p99"}}
	for _, stage := range s.Document.Stages {
		if word := words[stage.Stage]; word != "" {
			rows = append(rows, []string{word, fraction(stage.MeanUs), fraction(stage.P50Us), fraction(stage.P99Us)})
		}
	}
	if len(rows) > 1 {
		p.WriteString("\n")
		p.table(rows)
	}
}

// fraction of a microsecond is not worth showing.
func fraction(us *float64) string {
	if us == nil {
		return unknown
	}
	return micros(ptrTo(int64(*us + 0.5)))
}

// resources shows kbench, the busiest broker and the machine.
func (s Summary) resources(p *page) {
	r := s.Document.Resources
	if r == nil || r.Machine.CPU.Mean == nil {
		return
	}
	rows := [][]string{{"", "processors", "busiest second", "memory"}}
	brokers, busiest := 0, -1
	for i, one := range r.Processes {
		switch one.Kind {
		case rundir.OfKbench:
			name := one.Name
			if s.Document.Cluster.Simulated {
				name += ", simulated brokers included"
			}
			rows = append(rows, []string{name, cores(one.CPU.Mean), cores(one.CPU.Peak), memory(one.Memory)})
		case rundir.OfBroker:
			if brokers++; busiest < 0 || deref(one.CPU.Mean) > deref(r.Processes[busiest].CPU.Mean) {
				busiest = i
			}
		}
	}
	if busiest >= 0 {
		one := r.Processes[busiest]
		rows = append(rows, []string{fmt.Sprintf("%s, the busiest of %d", one.Name, brokers), cores(one.CPU.Mean), cores(one.CPU.Peak), memory(one.Memory)})
	}
	machine := "machine"
	if n := r.Machine.Processors; n != nil {
		machine += fmt.Sprintf(", of %.4g", *n)
	}
	rows = append(rows, []string{machine, cores(r.Machine.CPU.Mean), cores(r.Machine.CPU.Peak), unknown})
	p.section("Resources")
	p.table(rows)
	if n := r.Replicas.Under; n != nil && *n > 0 {
		p.line("  ", fmt.Sprintf("%d partitions were under-replicated at most, for %s in all", *n, millis(r.Replicas.UnderMs)))
	}
}

func cores(n *float64) string {
	if n == nil {
		return unknown
	}
	return decimal(*n, 2)
}

func memory(bytes *float64) string {
	if bytes == nil {
		return unknown
	}
	return humanize.IBytes(uint64(*bytes))
}
