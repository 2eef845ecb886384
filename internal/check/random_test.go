package check

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// wild writes a small history in which anything may happen, so that anomalies of all kinds meet.
func wild(rng *rand.Rand) string {
	w := &strings.Builder{}
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	maybe := func(percent int) bool { return rng.IntN(100) < percent }
	head := `{"kbench_history":1,"partitions":["orders/0","orders/1","bills/0"]`
	if maybe(30) {
		head += `,"starts":{"orders/0":0}`
	}
	if maybe(20) {
		head += `,"compacted":["bills"]`
	}
	if maybe(30) {
		head += `,"inputs":["orders"],"outputs":["bills"]`
	}
	fmt.Fprintln(w, head+"}")
	now := 0
	// Mostly the first partition, few values, small offsets: so that things meet.
	partition := func() string { return pick("orders/0", "orders/0", "orders/0", "orders/1", "bills/0") }
	value := func() string { return string(rune('a' + rng.IntN(7))) }
	client := func() string { return pick("p0", "p0", "p1", "c0", "c1") }
	outcome := func() string { return pick("ok", "ok", "ok", "ok", "indeterminate", "failed") }
	offset := func() int { return rng.IntN(6) }
	txn := func() string {
		if maybe(25) {
			return `,"txn":"` + pick("t1", "t2") + `"`
		}
		return ""
	}
	group := func() string {
		if maybe(50) {
			return `,"group":"` + pick("g", "h") + `"`
		}
		return ""
	}
	isolation := func() string {
		return pick("", `,"isolation":"read_committed"`, `,"isolation":"read_uncommitted"`)
	}
	records := func() string {
		var list []string
		at := rng.IntN(3)
		for range rng.IntN(5) {
			more := ""
			if maybe(3) {
				more += `,"corrupt":true`
			}
			if maybe(3) {
				more += `,"foreign":true`
			}
			if maybe(30) {
				more += fmt.Sprintf(`,"epoch":%d`, rng.IntN(3))
			}
			list = append(list, fmt.Sprintf(`{"offset":%d,"value":"%s"%s}`, at, value(), more))
			if at += pick2(rng, 1, 1, 1, 2, -1); at < 0 {
				at = 0
			}
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	partitions := func() string { return pick(`[]`, `["orders/0"]`, `["orders/0","orders/1"]`, `["bills/0"]`) }
	for range rng.IntN(16) {
		now += rng.IntN(5)
		times := fmt.Sprintf(`"call":%d,"return":%d`, now, now+rng.IntN(8))
		switch rng.IntN(20) {
		case 0, 1, 2, 3, 4, 5, 6:
			more := txn()
			if maybe(85) {
				more += `,"partition":"` + partition() + `"`
				if maybe(75) {
					more += fmt.Sprintf(`,"offset":%d`, offset())
				}
			}
			if maybe(10) {
				more += `,"attempt":2`
			}
			if maybe(15) {
				more += fmt.Sprintf(`,"from":{"partition":"orders/0","offset":%d}`, offset())
			}
			fmt.Fprintf(w, `{"op":"send","client":"%s",%s,"outcome":"%s","value":"%s"%s}`+"\n", client(), times, outcome(), value(), more)
		case 7, 8:
			fmt.Fprintf(w, `{"op":"txn","client":"%s","txn":"%s",%s,"outcome":"%s"}`+"\n", client(), pick("t1", "t2"), times, outcome())
		case 9, 10, 11, 12:
			fmt.Fprintf(w, `{"op":"poll","client":"%s",%s,"outcome":"ok","partition":"%s","records":%s%s}`+"\n", client(), times, partition(), records(), txn()+group()+isolation())
		case 13:
			fmt.Fprintf(w, `{"op":"%s","client":"%s",%s,"outcome":"%s","partitions":%s%s}`+"\n", pick("assign", "subscribe"), client(), times, outcome(), partitions(), group())
		case 14:
			fmt.Fprintf(w, `{"op":"commit","client":"%s",%s,"outcome":"%s","offsets":{"%s":%d}%s}`+"\n", client(), times, outcome(), partition(), offset(), txn()+group())
		case 15, 16:
			fmt.Fprintf(w, `{"op":"process","client":"%s",%s,"outcome":"%s","partition":"%s","offset":%d,"value":"%s"%s}`+"\n", client(), times, outcome(), partition(), offset(), value(), txn()+group())
		case 17, 18, 19:
			if maybe(60) {
				fmt.Fprintf(w, `{"op":"ends","ends":{"%s":%d}}`+"\n", partition(), offset())
			}
			reached := ""
			if maybe(70) {
				reached = fmt.Sprintf(`,"reached":%d`, offset())
			}
			fmt.Fprintf(w, `{"op":"final-read","partition":"%s","pass":%d,"records":%s%s%s}`+"\n", partition(), 1+rng.IntN(2), records(), reached, isolation())
		}
	}
	if maybe(40) { // a final read of everything, or what is left of it
		for _, p := range []string{"orders/0", "orders/1", "bills/0"} {
			fmt.Fprintf(w, `{"op":"final-read","partition":"%s","pass":1,"records":%s,"reached":9%s}`+"\n", p, records(), isolation())
		}
	}
	return w.String()
}

// woven writes a small history of transactions that cross each other: they send to the same partitions, read each other's
// records, answer inputs, commit offsets, and end in all ways. Most of it is as it should be, so that what is not stands out.
func woven(rng *rand.Rand) string {
	w := &strings.Builder{}
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	maybe := func(percent int) bool { return rng.IntN(100) < percent }
	fmt.Fprintln(w, `{"kbench_history":1,"partitions":["orders/0","orders/1","bills/0"],"inputs":["orders"],"outputs":["bills"]}`)
	type record struct {
		offset int
		value  string
	}
	names := []string{"orders/0", "orders/1", "bills/0"}
	logs := [3][]record{}
	now, next := 0, 0
	times := func() string {
		now += rng.IntN(4)
		return fmt.Sprintf(`"call":%d,"return":%d`, now, now+rng.IntN(6))
	}
	value := func() string {
		if maybe(5) {
			return string(rune('a' + rng.IntN(1+next)))
		}
		next++
		return string(rune('a' + next - 1))
	}
	offset := func(p int) int {
		if n := len(logs[p]); n > 0 && maybe(92) {
			return logs[p][n-1].offset + pick2(rng, 1, 1, 1, 2)
		}
		return rng.IntN(6)
	}
	txn := func() (client, in string) { return pick("p0", "p1", "p2"), fmt.Sprintf(`,"txn":"t%d"`, 1+now/25) }
	isolation := func() string {
		return pick("", `,"isolation":"read_committed"`, `,"isolation":"read_committed"`, `,"isolation":"read_uncommitted"`)
	}
	some := func(p, from, to int) string {
		var list []string
		for _, r := range logs[p] {
			if r.offset >= from && r.offset < to && !maybe(6) {
				list = append(list, fmt.Sprintf(`{"offset":%d,"value":"%s"}`, r.offset, r.value))
			}
		}
		if len(list) > 1 && maybe(5) {
			list[0], list[1] = list[1], list[0]
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	for range 4 + rng.IntN(22) {
		client, in := txn()
		p := pick2(rng, 0, 0, 1, 2)
		switch rng.IntN(16) {
		case 0, 1, 2, 3, 4:
			if maybe(15) {
				in = ""
			}
			v, at := value(), offset(p)
			line := fmt.Sprintf(`{"op":"send","client":"%s"%s,%s,"partition":"%s","value":"%s"`, client, in, times(), names[p], v)
			if maybe(80) {
				line += fmt.Sprintf(`,"offset":%d`, at)
			}
			if maybe(90) {
				logs[p] = append(logs[p], record{at, v})
			}
			fmt.Fprintf(w, `%s,"outcome":"%s"}`+"\n", line, pick("ok", "ok", "ok", "ok", "ok", "indeterminate", "failed"))
		case 5, 6:
			from := pick2(rng, 0, 0, 1)
			v, at := value(), offset(2)
			if n := len(logs[from]); n > 0 {
				fmt.Fprintf(w, `{"op":"send","client":"%s"%s,%s,"outcome":"ok","partition":"bills/0","value":"%s","offset":%d,"from":{"partition":"%s","offset":%d}}`+"\n",
					client, in, times(), v, at, names[from], logs[from][rng.IntN(n)].offset)
				if maybe(85) {
					logs[2] = append(logs[2], record{at, v})
				}
			}
		case 7, 8, 9:
			if maybe(40) {
				in = ""
			}
			from := rng.IntN(6)
			fmt.Fprintf(w, `{"op":"poll","client":"%s"%s,"group":"g",%s,"outcome":"ok","partition":"%s","records":%s%s}`+"\n",
				client, in, times(), names[p], some(p, from, from+1+rng.IntN(4)), isolation())
		case 10, 11:
			fmt.Fprintf(w, `{"op":"txn","client":"%s"%s,%s,"outcome":"%s"}`+"\n", client, in, times(), pick("ok", "ok", "ok", "indeterminate", "failed"))
		case 12, 13:
			if maybe(15) {
				in = ""
			}
			fmt.Fprintf(w, `{"op":"commit","client":"%s"%s,"group":"%s",%s,"outcome":"%s","offsets":{"%s":%d}}`+"\n",
				client, in, pick("g", "g", "g", "h"), times(), pick("ok", "ok", "ok", "indeterminate", "failed"), pick("orders/0", "orders/0", "orders/1"), 1+rng.IntN(5))
		case 14:
			fmt.Fprintf(w, `{"op":"process","client":"%s"%s,"group":"g",%s,"outcome":"ok","partition":"orders/0","offset":%d,"value":"%s"}`+"\n",
				client, pick("", in), times(), rng.IntN(6), string(rune('a'+rng.IntN(1+next))))
		case 15:
			fmt.Fprintf(w, `{"op":"assign","client":"%s","group":"g",%s,"outcome":"ok","partitions":%s}`+"\n", client, times(), pick(`[]`, `["orders/0"]`, `["orders/0","orders/1"]`))
		}
	}
	for range rng.IntN(3) {
		fmt.Fprintf(w, `{"op":"ends","group":"g","ends":{"%s":%d}}`+"\n", pick("orders/0", "orders/1"), rng.IntN(6))
	}
	if maybe(15) {
		return w.String()
	}
	for p, name := range names {
		end := 0
		for _, r := range logs[p] {
			end = max(end, r.offset+1)
		}
		fmt.Fprintf(w, `{"op":"ends","ends":{"%s":%d}}`+"\n", name, end)
		for pass := 1; pass <= 2; pass++ {
			to := end
			if maybe(8) && end > 0 {
				to = rng.IntN(end)
			}
			fmt.Fprintf(w, `{"op":"final-read","partition":"%s","pass":%d,"reached":%d,"records":%s%s}`+"\n", name, pass, to, some(p, 0, to), isolation())
		}
	}
	return w.String()
}

func pick2(rng *rand.Rand, list ...int) int { return list[rng.IntN(len(list))] }

// agree compares the judge with the reference on one history.
func agree(text string) error {
	h, err := log.OpenJSONL(strings.NewReader(text))
	if err != nil {
		return nil // not a history
	}
	_, err = compare(h)
	return err
}

func compare(h *log.History) (Judgement, error) {
	j := judge(h, run{guarantee: h.Header.Guarantee})
	got := map[string]uint64{}
	for _, f := range j.Findings {
		got[f.Anomaly] = f.Count
		if uint64(len(f.Witnesses)) > f.Count || len(f.Witnesses) == 0 {
			return j, fmt.Errorf("%s: %d witnesses for %d", f.Anomaly, len(f.Witnesses), f.Count)
		}
	}
	ref := newReference(h)
	want := ref.judge()
	if !maps.Equal(got, want) {
		return j, fmt.Errorf("the judge found %v, the reference %v", got, want)
	}
	for _, f := range j.Findings {
		if f.Decides != ref.decides(f.Anomaly) {
			return j, fmt.Errorf("the judge says that %s decides: %v", f.Anomaly, f.Decides)
		}
	}
	if sent, read := len(ref.of(log.Send)) > 0, !ref.nothingRead(); (!sent || !read) && j.Verdict != Inconclusive {
		return j, fmt.Errorf("sent %v, read %v, and the verdict is %v", sent, read, j.Verdict)
	}
	return j, nil
}

var (
	smallOnes  = flag.Int("small", 4_000, "small random histories on which the judge and the reference must agree")
	firstSmall = flag.Int("first", 0, "seed of the first of the small random histories")
)

// small writes the history of a seed: every other one of transactions.
func small(rng *rand.Rand, seed uint64) string {
	if seed%2 == 0 {
		return admitted(wild(rng))
	}
	return admitted(woven(rng))
}

// admitted is a history without the lines that contradict the format, of which chance writes a few.
func admitted(text string) string {
	for {
		_, err := log.OpenJSONL(strings.NewReader(text))
		if err == nil {
			return text
		}
		var bad int
		if _, scanned := fmt.Sscanf(err.Error(), "line %d:", &bad); scanned != nil {
			return text
		}
		lines := strings.Split(text, "\n")
		text = strings.Join(slices.Delete(lines, bad-1, bad), "\n")
	}
}

// TestTheJudgeAgreesWithTheReference takes as many histories as asked for (-small 1000000 takes some minutes).
func TestTheJudgeAgreesWithTheReference(t *testing.T) {
	n := *smallOnes
	if testing.Short() {
		n = min(n, 500)
	}
	seen := map[string]int{}
	for seed := *firstSmall; seed < *firstSmall+n; seed++ {
		text := small(rand.New(rand.NewPCG(uint64(seed), 1)), uint64(seed))
		h, err := log.OpenJSONL(strings.NewReader(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		j, err := compare(h)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for _, f := range j.Findings {
			seen[f.Anomaly]++
		}
	}
	for _, anomaly := range []string{
		lostWrite, unseen, duplicate, inconsistentOffset, abortedRead, precommittedRead, pollSkip, nonmonotonicPoll, internalPollSkip,
		internalNonmonoPoll, nonmonotonicSend, internalNonmonoSend, internalSendSkip, tornTransaction, hangingTransaction, g0, g1c,
		foreignRecord, corruptRecord, offsetHole, leaderEpochRegression, reprocessed, unprocessed,
	} {
		if testing.Verbose() {
			t.Logf("%s came up in %d histories", anomaly, seen[anomaly])
		}
		if seen[anomaly] < 2 && !testing.Short() {
			t.Errorf("%s came up in %d of %d histories: too few to say that both judges agree on it", anomaly, seen[anomaly], n)
		}
	}
}

// TestTheJudgeAgreesOnWhatItOnceDidNot keeps the seeds on which it did not, each with what was wrong.
func TestTheJudgeAgreesOnWhatItOnceDidNot(t *testing.T) {
	for seed, what := range map[uint64]string{
		337973: "a transaction of which only commits without an answer are known counted as none at all",
	} {
		if err := agree(small(rand.New(rand.NewPCG(seed, 1)), seed)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzWildHistories lets the fuzzer choose what happens in a history: two bytes a choice.
func FuzzWildHistories(f *testing.F) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 600+seed%2)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := small(rand.New(&tape{b: b}), uint64(len(b)))
		if err := agree(text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}

// tape is a source of chance that plays bytes, two at a time, and a fixed sequence after them.
type tape struct {
	b    []byte
	more rand.PCG
}

func (s *tape) Uint64() uint64 {
	if len(s.b) < 2 {
		return s.more.Uint64()
	}
	n := uint64(s.b[0]) | uint64(s.b[1])<<8
	s.b = s.b[2:]
	return n<<48 | n<<16 // chance is taken from the high bits of 64 or of 32
}

// FuzzHistories lets the fuzzer write the lines themselves.
func FuzzHistories(f *testing.F) {
	for _, s := range stories() {
		text := strings.Join(s.lines, "\n")
		if !strings.HasPrefix(text, `{"kbench_history"`) {
			text = head() + "\n" + text
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 || bytes.Count(b, []byte("\n")) > 60 || farOffsets(b) {
			t.Skip("too much for the slow one")
		}
		if err := agree(string(b)); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
	})
}

// farOffsets tells whether a number has more than four digits: the reference walks through offsets one by one.
func farOffsets(b []byte) bool {
	digits := 0
	for _, c := range b {
		if c >= '0' && c <= '9' {
			if digits++; digits > 4 {
				return true
			}
		} else {
			digits = 0
		}
	}
	return false
}
