package reports

import (
	"math"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

func cluster(c rundir.ClusterInfo) Cluster {
	d := Cluster{
		Kind: c.Kind, Simulated: c.Simulated, Software: known(c.Software), Version: known(c.Version), Mode: known(c.Mode),
		Brokers: known(c.Brokers), Effective: orEmptyMap(c.Effective),
	}
	if made := c.Containers; made != nil {
		d.Containers = &Containers{Image: made.Image, ImageID: known(made.ImageID), BrokerCPUs: known(made.BrokerCPUs), BrokerMemory: known(made.BrokerMemory)}
	}
	return d
}

func libraries(c rundir.ClientInfo) Client {
	return Client{
		Driver: c.Driver, Version: known(c.Version), Asked: orEmptyMap(c.Asked), Effective: orEmptyMap(c.Effective), Reader: known(c.Reader),
	}
}

func machine(m rundir.Machine) Machine {
	return Machine{CPUs: known(m.CPUs), MemoryMiB: known(m.MemoryMiB), Kernel: known(m.Kernel)}
}

// fault is what is known of a fault without its judgement.
func fault(f rundir.Fault, start int64, cost stats.Outage) Fault {
	out := Fault{
		Name: f.Name, Target: f.Target, AtMs: toMs(f.At - start), Bit: f.Bit, Evidence: orEmpty(f.Evidence),
		UnavailableMs: durationMs(cost.Unavailable), RecoveredMs: durationMs(cost.Recovered),
		Protection: orEmpty(f.Protection), Problem: f.Error, Outage: cost,
	}
	if f.Healed != nil {
		out.HealedMs = ptrTo(toMs(*f.Healed - start))
	}
	return out
}

func latencies(f stats.Figures) Latencies {
	l := Latencies{
		Ack:      Latency{Response: QuantilesOf(&f.Ack.Response), Service: QuantilesOf(&f.Ack.Service)},
		EndToEnd: Latency{Response: QuantilesOf(&f.EndToEnd.Response), Service: QuantilesOf(&f.EndToEnd.Service)},
		Phases:   []Phase{},
	}
	names := [...]string{stats.Before: "before", stats.During: "during", stats.After: "after"}
	for i := range f.Faults {
		for p, name := range names {
			of := &f.Faults[i].Phases[p]
			if len(f.Faults) > stats.FewFaults && p != stats.During && of.Ack.Response.Count()+of.EndToEnd.Response.Count() == 0 {
				continue // not kept
			}
			l.Phases = append(l.Phases, Phase{
				Phase: name, Fault: i,
				Ack:      Latency{Response: QuantilesOf(&of.Ack.Response), Service: QuantilesOf(&of.Ack.Service)},
				EndToEnd: Latency{Response: QuantilesOf(&of.EndToEnd.Response), Service: QuantilesOf(&of.EndToEnd.Service)},
			})
		}
	}
	return l
}

// lag is known where there was a schedule to keep, and a record that was sent by it.
func lag(l *stats.Lag, scheduled bool) Lag {
	out := Lag{LateAfterUs: stats.LateAfter.Microseconds()}
	if !scheduled || l.All.Count() == 0 {
		return out
	}
	out.All, out.Held, out.Own = QuantilesOf(&l.All), QuantilesOf(&l.Held), QuantilesOf(&l.Own)
	out.Late, out.LateHeld, out.LateOwn = &l.Late, &l.LateHeld, &l.LateOwn
	out.GeneratorLate, out.ResponseWithoutOwn = ptrTo(len(l.Shifts) > 0), QuantilesOf(&l.WithoutOwn)
	return out
}

// QuantilesOf are the published quantiles of a distribution.
func QuantilesOf(h *stats.Histogram) Quantiles {
	at := func(q float64) *int64 {
		d, ok := h.Quantile(q)
		if !ok {
			return nil
		}
		return ptrTo(d.Microseconds())
	}
	q := Quantiles{P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999), P9999: at(0.9999), Count: h.Count()}
	if most, ok := h.Max(); ok {
		q.Max = ptrTo(most.Microseconds())
	}
	return q
}

func throughput(t stats.Throughput) Throughput {
	return Throughput{
		OfferedPerS: rounded(t.OfferedPerS), AckedPerS: rounded(t.AckedPerS), AckedMiBPerS: rounded(t.AckedMiBPerS),
		Compression: rounded(t.Compression), ReadPerS: rounded(t.ReadPerS), LimitedBy: known(string(t.LimitedBy)), Evidence: orEmpty(t.Evidence),
	}
}

// rounded leaves three decimals: what is behind them was not measured.
func rounded(f *float64) *float64 {
	if f == nil {
		return nil
	}
	return ptrTo(math.Round(*f*1000) / 1000)
}

func toMs(ns int64) int64 { return int64(math.Round(float64(ns) / float64(time.Millisecond))) }

func durationMs(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	return ptrTo(toMs(d.Nanoseconds()))
}

func ptrTo[T any](v T) *T { return &v }
