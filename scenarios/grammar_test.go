package scenarios

import (
	"strings"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	for text, want := range map[string]Target{
		"leader(orders/0)":                  {Kind: Leader, Topic: "orders"},
		" leader( orders/12 ) ":             {Kind: Leader, Topic: "orders", Partition: 12},
		"follower(a.b-c_d/1)":               {Kind: Follower, Topic: "a.b-c_d", Partition: 1},
		"followers(orders/0)":               {Kind: Followers, Topic: "orders"},
		"broker(2)":                         {Kind: Broker, N: 2},
		"broker 2":                          {Kind: Broker, N: 2},
		"broker(random)":                    {Kind: Broker, Random: true},
		"broker random":                     {Kind: Broker, Random: true},
		"brokers":                           {Kind: Brokers},
		"controller":                        {Kind: Controller},
		"coordinator(readers)":              {Kind: GroupCoordinator, Name: "readers"},
		"coordinator(group:readers)":        {Kind: GroupCoordinator, Name: "readers"},
		"coordinator(transaction: bills-1)": {Kind: TransactionCoordinator, Name: "bills-1"},
		"producer(0)":                       {Kind: ProducerWorker},
		"consumer(1)":                       {Kind: ConsumerWorker, N: 1},
		"processor 2":                       {Kind: ProcessorWorker, N: 2},
		"killed":                            {Kind: Killed},
		"paused":                            {Kind: Paused},
		"old":                               {Kind: Named, Name: "old"},
	} {
		got, err := ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q, written %q, is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "(", "leader", "leader()", "leader(orders)", "leader(orders/x)", "leader(orders/-1)", "leader(/0)",
		"leader(orders/0", "leader(orders/0))", "leader(orders/0) x", "broker()", "broker(-1)", "broker(1,2)", "brokers(1)", "killed(1)",
		"controller()", "coordinator()", "coordinator(topic:x)", "coordinator(a b)", "nobody(0)", "producer(x)", "leader(orders/9999999999)"} {
		if got, err := ParseTarget(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestConditions(t *testing.T) {
	orders := Target{Topic: "orders", Partition: 1}
	for text, want := range map[string]Condition{
		"acked(5000)":                       {Func: "acked", Op: ">=", Value: 5000},
		"acked(5_000)":                      {Func: "acked", Op: ">=", Value: 5000},
		"sent >= 10":                        {Func: "sent", Op: ">=", Value: 10},
		"read>10":                           {Func: "read", Op: ">", Value: 10},
		"filtered(1)":                       {Func: "filtered", Op: ">=", Value: 1},
		"isr(orders/1)<3":                   {Func: "isr", Target: orders, Op: "<", Value: 3},
		"isr(orders/1) = 3":                 {Func: "isr", Target: orders, Op: "=", Value: 3},
		"isr(orders/1)==3":                  {Func: "isr", Target: orders, Op: "=", Value: 3},
		"leader(orders/1) != old":           {Func: "leader", Target: orders, Op: "!=", Name: "old"},
		"leader(orders/1) >= 0":             {Func: "leader", Target: orders, Op: ">="},
		"epoch(orders/1) > 2":               {Func: "epoch", Target: orders, Op: ">", Value: 2},
		"end(orders/1) <= 7":                {Func: "end", Target: orders, Op: "<=", Value: 7},
		"committed(readers, orders/1) >= 3": {Func: "committed", Group: "readers", Target: orders, Op: ">=", Value: 3},
		"members(readers) = 2":              {Func: "members", Group: "readers", Op: "=", Value: 2},
		"held(processor(0))":                {Func: "held", Target: Target{Kind: ProcessorWorker}, Op: ">=", Value: 1},
		"held(consumer(1)) > 4":             {Func: "held", Target: Target{Kind: ConsumerWorker, N: 1}, Op: ">", Value: 4},
		"processed(processor(1)) >= 20":     {Func: "processed", Target: Target{Kind: ProcessorWorker, N: 1}, Op: ">=", Value: 20},
	} {
		want.Text = text
		if got, err := ParseCondition(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "isr", "isr(orders/0)", "isr(orders/0) <", "isr(orders/0) ~ 3", "isr(orders/0) < three", "isr(orders/0) < -1",
		"irs(orders/0) < 3", "acked", "acked()", "acked(x)", "acked(1) > 2", "acked(1,2)", "committed(readers) > 1", "committed(readers, orders) > 1",
		"members() = 1", "members(a b) = 1", "held(broker(1))", "held()", "processed(processor(0))", "members(readers) = old", "acked > 99999999999999999999"} {
		if got, err := ParseCondition(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestTriggers(t *testing.T) {
	if got, err := ParseTrigger("1m30s"); err != nil || got.After != 90*time.Second || got.When != nil {
		t.Errorf("1m30s is %+v, %v", got, err)
	}
	if got, err := ParseTrigger("isr(orders/0) < 3"); err != nil || got.When == nil || got.When.Func != "isr" {
		t.Errorf("isr(orders/0) < 3 is %+v, %v", got, err)
	}
	for _, text := range []string{"", "10", "-5s", "soon", ".s"} {
		if got, err := ParseTrigger(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestThresholds(t *testing.T) {
	for text, want := range map[string]Threshold{
		"ack.p99 < 50ms":             {Metric: "ack.p99", Op: "<", Value: 50_000},
		"ack.service.p9999<=1.5s":    {Metric: "ack.service.p9999", Op: "<=", Value: 1_500_000},
		"e2e.response.max > 10us":    {Metric: "e2e.response.max", Op: ">", Value: 10},
		"throughput > 4900/s":        {Metric: "throughput", Op: ">", Value: 4900},
		"throughput >= 10MiB/s":      {Metric: "throughput.mib", Op: ">=", Value: 10},
		"throughput.mib >= 512KiB/s": {Metric: "throughput.mib", Op: ">=", Value: 0.5},
		"unavailable < 8s":           {Metric: "unavailable", Op: "<", Value: 8000},
		"lost <= 0":                  {Metric: "lost", Op: "<="},
	} {
		want.Text = text
		if got, err := ParseThreshold(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "ack.p99", "ack.p99 < 50", "ack.p99 < -50ms", "ack.p99 = 50ms", "ack.p98 < 50ms", "throughput > 4900", "throughput > 10MiB",
		"throughput.mib > 10", "lost < x", "lost < 1s", "lost < NaN", "throughput > Inf/s"} {
		if got, err := ParseThreshold(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{"48": 48, "48B": 48, "16KiB": 16384, "1.5KiB": 1536, "2 MiB": 2 << 20, "1GiB": 1 << 30, "10kB": 10_000} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
		if got, err := parseSize(formatSize(want)); err != nil || got != want {
			t.Errorf("%d, written %s, is %d, %v", want, formatSize(want), got, err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1k", "1,000", "10s", "1KiBs", "99999999999GiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is taken for %d bytes", text, got)
		}
	}
	for text, want := range map[string]float64{"5000/s": 5000, "0.5/s": 0.5, "1_000 /s": 1000} {
		if got, most, err := parseRate(text); err != nil || most || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0/s", "-1/s", "5000", "5000/m", "/s", "NaN/s", "Inf/s", "fast", "1e400/s"} {
		if got, _, err := parseRate(text); err == nil {
			t.Errorf("%q is taken for %v a second", text, got)
		}
	}
	if _, most, err := parseRate("max"); err != nil || !most {
		t.Errorf("max is not: %v", err)
	}
}

func TestProblemsPointWithACaret(t *testing.T) {
	_, err := Parse("f.yaml", []byte("load:\n\trate: 5"))
	if err == nil || !strings.Contains(err.Error(), "f.yaml:2:") {
		t.Errorf("a tab answers %v", err)
	}
	_, err = Parse("f.yaml", []byte("about: 'ä ö'\nload: {rate: 1/s, duration: 5s, rcord: {size: 1}}\n"))
	want := "f.yaml:2:33: load.rcord: unknown key\n" +
		"  2 | load: {rate: 1/s, duration: 5s, rcord: {size: 1}}\n" +
		"    |                                 ^\n" +
		"      hint: did you mean record?"
	if err == nil || err.Error() != want {
		t.Errorf("answers\n%v\nwant\n%s", err, want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"rate", "duration", "record", "linger.ms", "after-processing"}
	for name, want := range map[string]string{"rte": "rate", "durtion": "duration", "reocrd": "record", "linger": "linger.ms", "after": "after-processing", "xyzzy": "", "": ""} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
