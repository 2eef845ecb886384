package reports

import (
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/rundir"
)

// limited is a run as fast as it goes, whose brokers always have as many requests as they may, and one of which falls behind.
func limited(t *testing.T) Summary {
	s := newSynthetic(t, "flat-out")
	s.meta.Guarantee, s.meta.Load.RatePerS, s.meta.Load.Max = "", nil, true
	s.meta.Counters = map[string]uint64{"sent": 11_000, "client.buffer_waits": 9000, "client.buffer_wait_us": 8_000_000}
	s.meta.Client.Effective["max.in.flight.requests.per.connection"] = "5"
	s.meta.Judged.Idempotent = false
	s.load(0, 0)
	for at := int64(1); at <= 12; at++ {
		s.samples = append(s.samples, sampled(at))
	}
	return summarized(t, s, check.Judgement{Verdict: check.Unjudged, AsExpected: true, Scope: scope, Counts: check.Counts{Sent: 11_000, Acked: 11_000, Read: 11_000}})
}

// sampled is how it stood after so many seconds of the run's clock.
func sampled(at int64) rundir.Sample {
	process := func(of, name string, cpuMs, memoryMiB int64, thread string, busyMs int64) rundir.ProcessUse {
		return rundir.ProcessUse{
			Of: of, Name: name, Pid: len(name), CPUUs: cpuMs * 1000 * at, Memory: ptr((memoryMiB + at) << 20), Written: ptr(at << 20),
			In: ptr(at << 20), Out: ptr(at << 21),
			Threads: &rundir.Thread{OverUs: 1_000_000, ReadyUs: 20_000, Name: thread, CPUUs: busyMs * 1000},
		}
	}
	spread := func(count uint64, us float64) *rundir.Spread {
		return &rundir.Spread{Count: count, Sum: us * float64(count), At: [8]float64{us / 2, us, us * 1.2, us * 1.5, us * 1.7, us * 2, us * 3, us * 4}}
	}
	under := 0
	if at >= 5 && at < 8 {
		under = 2
	}
	return rundir.Sample{
		At: at * sec, TookUs: 2000,
		Machine: &rundir.MachineUse{CPUs: 8, BusyUs: 2_500_000 * at, Loopback: ptr(at << 23)},
		Processes: []rundir.ProcessUse{
			process(rundir.OfKbench, "kbench", 600, 90, "rdk:broker1", 400),
			process(rundir.OfBroker, "broker 1", 1400, 700, "data-plane-kafk", 930),
			process(rundir.OfBroker, "broker 2", 300, 650, "data-plane-kafk", 200),
			process(rundir.OfController, "controller 1001", 50, 200, "kafka-1001-raft", 30),
		},
		Replicas: &rundir.Replicas{Partitions: 2, Under: under},
		Clients: []rundir.ClientWindow{{
			Client: "p0", Session: 1, From: (at - 1) * sec, To: at * sec, QueuedRecords: ptr(int64(900)), QueuedBytes: ptr(int64(900 << 10)),
			Room: spread(1000, 200), BatchRecords: spread(60, 16), BatchBytes: spread(60, 16_500),
			Brokers: []rundir.BrokerWindow{
				{Broker: 1, Queue: spread(500, 1500), Outgoing: spread(50, 30), RoundTrip: spread(48, 100_000), Throttle: spread(48, 0), Allowed: 5},
				{Broker: 2, Queue: spread(500, 1200), Outgoing: spread(10, 20), RoundTrip: spread(10, 2_000), Throttle: spread(10, 0), Allowed: 5},
			},
		}},
	}
}
