package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Lines of hand-written histories, short. Values are a, b, c, …; partitions 0 and 1 of orders, 0 of bills.

var clockReading int

func times() string {
	clockReading += 10
	return fmt.Sprintf(`"call":%d,"return":%d`, clockReading, clockReading+5)
}

func part(n int) string {
	if n == 2 {
		return "bills/0"
	}
	return fmt.Sprintf("orders/%d", n)
}

// send of a value by p0 to orders/0, at an offset (negative: unknown); more: other members.
func send(outcome, value string, offset int, more ...string) string {
	at := ""
	if offset >= 0 {
		at = fmt.Sprintf(`,"offset":%d`, offset)
	}
	line := fmt.Sprintf(`{"op":"send","client":"p0",%s,"outcome":"%s","partition":"orders/0","value":"%s"%s}`, times(), outcome, value, at)
	return with(line, more...)
}

// with replaces or adds members of a line: `"client":"p1"`.
func with(line string, more ...string) string {
	for _, m := range more {
		name, _, _ := strings.Cut(m, ":")
		old := regexp.MustCompile(regexp.QuoteMeta(name) + `:("[^"]*"|[0-9]+)`)
		if old.MatchString(line) {
			line = old.ReplaceAllLiteralString(line, m)
			continue
		}
		line = strings.TrimSuffix(line, "}") + "," + m + "}"
	}
	return line
}

// records "0a 1b 2c" stand at these offsets.
func records(text string) string {
	var list []string
	for _, r := range strings.Fields(text) {
		offset := strings.TrimRight(r, "abcdefghijklmnopqrstuvwxyz")
		list = append(list, fmt.Sprintf(`{"offset":%s,"value":"%s"}`, offset, r[len(offset):]))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func poll(text string, more ...string) string {
	return with(fmt.Sprintf(`{"op":"poll","client":"c0",%s,"outcome":"ok","partition":"orders/0","records":%s}`, times(), records(text)), more...)
}

func final(partition, end int, text string, more ...string) string {
	return fmt.Sprintf(`{"op":"ends","ends":{"%s":%d}}`, part(partition), end) + "\n" +
		with(fmt.Sprintf(`{"op":"final-read","partition":"%s","pass":1,"isolation":"read_committed","reached":%d,"records":%s}`, part(partition), end, records(text)), more...)
}

func process(text string, more ...string) string {
	var lines []string
	for _, r := range strings.Fields(text) {
		offset := strings.TrimRight(r, "abcdefghijklmnopqrstuvwxyz")
		lines = append(lines, with(fmt.Sprintf(`{"op":"process","client":"c0","group":"g",%s,"outcome":"ok","partition":"orders/0","offset":%s,"value":"%s"}`,
			times(), offset, r[len(offset):]), more...))
	}
	return strings.Join(lines, "\n")
}

func closing(name, outcome string, more ...string) string {
	return with(fmt.Sprintf(`{"op":"txn","client":"p0","txn":"%s",%s,"outcome":"%s"}`, name, times(), outcome), more...)
}

func assign(partitions ...int) string {
	names := []string{}
	for _, p := range partitions {
		names = append(names, `"`+part(p)+`"`)
	}
	return fmt.Sprintf(`{"op":"assign","client":"c0",%s,"outcome":"ok","partitions":[%s]}`, times(), strings.Join(names, ","))
}

func in(name string) string   { return `"txn":"` + name + `"` }
func by(client string) string { return `"client":"` + client + `"` }
func to(partition int) string { return `"partition":"` + part(partition) + `"` }
func from(offset int) string {
	return fmt.Sprintf(`"from":{"partition":"orders/0","offset":%d}`, offset)
}
func attempt(n int) string      { return fmt.Sprintf(`"attempt":%d`, n) }
func isolation(s string) string { return `"isolation":"` + s + `"` }
func ofGroup(s string) string   { return `"group":"` + s + `"` }
func head(more ...string) string {
	return with(`{"kbench_history":1,"partitions":["orders/0","orders/1","bills/0"]}`, more...)
}
func promised(name string) string { return `"guarantee":"` + name + `"` }

func judgeText(t interface {
	Helper()
	Fatalf(string, ...any)
}, lines ...string) Judgement {
	t.Helper()
	if !strings.HasPrefix(lines[0], `{"kbench_history"`) {
		lines = append([]string{head()}, lines...)
	}
	j, err := JSONL(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	return j
}

func found(j Judgement) map[string]int {
	m := map[string]int{}
	for _, f := range j.Findings {
		m[f.Anomaly] = int(f.Count)
	}
	return m
}

func want(text string) map[string]int {
	m := map[string]int{}
	for _, w := range strings.Fields(text) {
		name, n, counted := strings.Cut(w, "=")
		m[name] = 1
		if counted {
			fmt.Sscan(n, new(int))
			var count int
			fmt.Sscan(n, &count)
			m[name] = count
		}
	}
	return m
}

func lines(l ...string) []string { return l }

type story struct {
	name    string
	want    string // anomalies, with =n for more than one instance
	lines   []string
	verdict Verdict // without a guarantee
}

func stories() []story {
	bill := func(outcome, offsets string, after ...string) []string {
		return append(billing(outcome, offsets), after...)
	}
	three := lines(send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2))
	after := func(first []string, more ...string) []string { return append(slices.Clone(first), more...) }
	return []story{
		{"all that was sent is read", "", after(three, poll("0a 1b 2c")), Unjudged},
		{"all that was sent is in the log", "", after(three, final(0, 3, "0a 1b 2c")), Unjudged},

		{"lost from the log", "lost-write", after(three, final(0, 2, "0a 1b")), Violated},
		{"two lost from the log", "lost-write=2", after(three, final(0, 1, "0a")), Violated},
		{"all lost, and the log is empty", "lost-write=3", after(three, final(0, 0, "")), Violated},
		{"lost though its offset was never told", "lost-write", lines(send("ok", "a", 0), send("ok", "b", -1), final(0, 1, "0a")), Violated},
		{"a failed send is no loss", "", lines(send("ok", "a", 0), send("failed", "b", -1), final(0, 1, "0a")), Unjudged},
		{"an open send is no loss", "", lines(send("ok", "a", 0), send("indeterminate", "b", -1), final(0, 1, "0a")), Unjudged},
		{"an open send that arrived", "", lines(send("ok", "a", 0), send("indeterminate", "b", -1), final(0, 2, "0a 1b")), Unjudged},
		{"read by a consumer, then gone", "lost-write", lines(send("ok", "a", 0), send("indeterminate", "b", -1), poll("0a 1b"), final(0, 1, "0a")), Violated},
		{"read uncommitted, then gone", "", lines(send("ok", "a", 0), send("indeterminate", "b", -1), poll("0a 1b", isolation("read_uncommitted")), final(0, 1, "0a")), Unjudged},
		{"lost between what consumers got", "lost-write poll-skip", after(three, poll("0a 2c")), Violated},
		{"lost below what others got, over two partitions", "lost-write", after(three, send("ok", "d", 0, to(1)), poll("2c"), poll("0d", to(1)), poll("0a", by("c1"))), Violated},
		{"another record stands where it was acknowledged, and readers came further", "inconsistent-offset lost-write", lines(send("ok", "a", 0), send("ok", "b", 1), send("ok", "x", -1, by("p1")), send("ok", "c", 2), poll("0a 1x 2c")), Violated},
		{"one record sent twice, acknowledged once, and missed there", "lost-write poll-skip", lines(send("indeterminate", "b", -1), send("ok", "a", 0), send("ok", "b", 1, attempt(2)), send("ok", "c", 2), poll("0a 2c")), Violated},
		{"nobody is known to have come past the last place of a record", "unseen duplicate poll-skip", lines(send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2), send("ok", "b", 5, attempt(2)), poll("0a 2c")), Violated},
		{"far away stands only what stands here too", "unseen duplicate", lines(send("ok", "a", 0), send("ok", "b", 5), poll("0a"), poll("9a", by("c1"))), Violated},
		{"one attempt failed, the other was acknowledged", "lost-write", lines(send("ok", "b", 0), send("failed", "a", -1), send("ok", "a", 1, attempt(2)), final(0, 1, "0b")), Violated},
		{"one attempt failed, the other is open", "", lines(send("ok", "b", 0), send("failed", "a", -1), send("indeterminate", "a", -1, attempt(2)), final(0, 1, "0b")), Unjudged},

		{"nobody came so far", "unseen", after(three, poll("0a 1b")), Violated},
		{"nobody read the other partition", "unseen", after(three, send("ok", "d", 0, to(1)), poll("0a 1b 2c")), Violated},
		{"of unknown offset, and nobody read it", "unseen", lines(send("ok", "a", 0), send("ok", "b", -1), poll("0a")), Violated},

		{"twice in the log", "duplicate", after(three, final(0, 4, "0a 1b 2c 3a")), Violated},
		{"two values twice, one of them three times", "duplicate=2", after(three, final(0, 6, "0a 1b 2c 3a 4a 5b")), Violated},
		{"twice in what a consumer got", "duplicate", after(three, poll("0a 1b"), poll("2c 3b")), Violated},
		{"twice over two partitions", "duplicate", after(three, poll("0a 1b 2c"), poll("0a", to(1))), Violated},
		{"acknowledged at one offset, read at another", "duplicate", lines(send("ok", "a", 0), send("ok", "b", 4), poll("0a 1b")), Violated},
		{"one offset read twice is no duplicate", "", after(three, poll("0a 1b 2c"), poll("0a 1b 2c", by("c1"))), Unjudged},

		{"one offset, two values read", "inconsistent-offset", after(three, send("ok", "d", -1), poll("0a 1b 2c"), poll("0a 1d 2c", by("c1"))), Violated},
		{"acknowledged and read differ", "inconsistent-offset lost-write nonmonotonic-send", after(three, send("ok", "d", 0), final(0, 3, "0d 1b 2c")), Violated},
		{"two acknowledgements of one offset, and one was read", "inconsistent-offset lost-write", after(three, send("ok", "d", 3), send("ok", "e", 3), poll("0a 1b 2c 3d")), Violated},
		{"an open send of the same offset proves nothing", "", after(three, send("indeterminate", "d", 2), final(0, 3, "0a 1b 2c")), Unjudged},
		{"an open send of the same offset, once it is proven", "inconsistent-offset duplicate", after(three, send("indeterminate", "d", 2), final(0, 4, "0a 1b 2c 3d")), Violated},

		{"a failed value read", "aborted-read", lines(send("ok", "a", 0), send("failed", "b", -1), poll("0a 1b")), Violated},
		{"an aborted value read", "aborted-read", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "failed"), poll("0a 1b")), Violated},
		{"an aborted value read, uncommitted", "aborted-read", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "failed"), poll("0a 1b", isolation("read_uncommitted")), final(0, 3, "0a")), Violated},
		{"an aborted value hidden", "", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "failed"), poll("0a"), final(0, 3, "0a")), Unjudged},
		{"aborted before it was read", "aborted-read", lines(send("ok", "a", 0), poll("0a 1b"), send("ok", "b", 1, in("t1")), closing("t1", "failed")), Violated},

		{"a committed transaction lost", "lost-write=2", lines(send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1")), closing("t1", "ok"), send("ok", "c", 3), final(0, 4, "3c"), final(1, 0, ""), final(2, 0, "")), Violated},
		{"a committed transaction torn", "lost-write torn-transaction", lines(send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1")), closing("t1", "ok"), final(0, 3, "0a"), final(1, 0, ""), final(2, 0, "")), Violated},
		{"an open send of a committed transaction lost", "lost-write torn-transaction", lines(send("ok", "a", 0, in("t1")), send("indeterminate", "b", -1, in("t1")), closing("t1", "ok"), final(0, 3, "0a"), final(1, 0, ""), final(2, 0, "")), Violated},
		{"an open transaction, unread", "", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), send("ok", "c", 2, in("t1")), closing("t1", "indeterminate"), final(0, 3, "0a"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"a transaction that nobody ended, unread", "", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), final(0, 3, "0a"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"an open transaction, proven by what was read", "lost-write torn-transaction", lines(send("ok", "b", 0, in("t1")), send("ok", "c", 1, in("t1")), closing("t1", "indeterminate"), final(0, 3, "0b"), final(1, 0, ""), final(2, 0, "")), Violated},
		{"an open transaction, wholly read", "", lines(send("ok", "b", 0, in("t1")), send("ok", "c", 1, in("t1")), closing("t1", "indeterminate"), final(0, 3, "0b 1c"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"two clients may call their transactions alike", "", lines(send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1"), by("p1")), closing("t1", "ok"), closing("t1", "failed", by("p1")), final(0, 4, "0a")), Unjudged},
		{"an open transaction, proven by what was read: its effects happened", "reprocessed", lines(send("ok", "a", 0), send("ok", "x", 0, in("t1"), by("c0"), to(2)), poll("0a"), process("0a", in("t1")),
			closing("t1", "indeterminate", by("c0")), process("0a"), final(0, 1, "0a"), final(1, 0, ""), final(2, 2, "0x")), Violated},
		{"an open transaction that nobody proves: its effects may have happened", "", lines(send("ok", "a", 0), send("ok", "x", 0, in("t1"), by("c0"), to(2)), poll("0a"), process("0a", in("t1")),
			closing("t1", "indeterminate", by("c0")), process("0a"), final(0, 1, "0a"), final(1, 0, ""), final(2, 2, "")), Unjudged},
		{"an open transaction, proven by what was read: its offsets count", "unprocessed", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(1)), commit("t1", 2), closing("t1", "indeterminate", by("w0")), final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 2, "0x")), Violated},
		{"an open transaction that nobody proves: its offsets do not count", "", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(1)), commit("t1", 2), closing("t1", "indeterminate", by("w0")), final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 2, "")), Unjudged},
		{"a record that was sent again proves nothing", "", lines(send("ok", "b", 0, in("t1")), send("ok", "c", 1, in("t1")), closing("t1", "indeterminate"),
			send("ok", "b", 3, in("t2"), attempt(2)), closing("t2", "ok"), final(0, 5, "3b"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"an open transaction, proven by a poll", "lost-write torn-transaction", lines(send("ok", "b", 0, in("t1")), send("ok", "c", 1, in("t1")), closing("t1", "indeterminate"),
			poll("0b"), final(0, 3, "0b"), final(1, 0, ""), final(2, 0, "")), Violated},
		{"an open transaction, read by one who reads uncommitted records", "", lines(send("ok", "b", 0, in("t1")), send("ok", "c", 1, in("t1")), closing("t1", "indeterminate"),
			poll("0b", isolation("read_uncommitted")), final(0, 3, ""), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"two of its records are read before their transaction ends", "precommitted-read", lines(send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1")), poll("0a 1b", by("p0"), in("t1")), closing("t1", "ok"), final(0, 3, "0a 1b")), Violated},
		{"it reads its own send, as one who reads uncommitted records", "", lines(send("ok", "a", 0, in("t1")), poll("0a", by("p0"), in("t1"), isolation("read_uncommitted")), closing("t1", "ok"), final(0, 2, "0a")), Unjudged},
		{"it reads its own send after it was committed", "", lines(send("ok", "a", 0, in("t1")), closing("t1", "ok"), poll("0a", by("p0")), final(0, 2, "0a")), Unjudged},
		{"somebody reads a record before the last of its transaction is sent", "precommitted-read", lines(send("ok", "a", 0, in("t1")), poll("0a", isolation("read_committed")), send("ok", "b", 1, in("t1")), closing("t1", "ok"), final(0, 3, "0a 1b")), Violated},
		{"somebody reads uncommitted records before the last is sent", "", lines(send("ok", "a", 0, in("t1")), poll("0a", isolation("read_uncommitted")), send("ok", "b", 1, in("t1")), closing("t1", "ok"), final(0, 3, "0a 1b")), Unjudged},
		{"somebody reads a record while the commit is on its way", "", lines(send("ok", "a", 0, in("t1")), poll("0a", isolation("read_committed")), closing("t1", "ok"), final(0, 2, "0a")), Unjudged},

		{"two transactions read each other", "g1c", crossed("0b", "0a"), Violated},
		{"two transactions read each other, as readers of uncommitted records", "", slices.Concat(lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t1"), by("p1"), to(1)),
			poll("0b", by("p0"), in("t1"), to(1), isolation("read_uncommitted")), poll("0a", by("p1"), in("t1"), isolation("read_uncommitted")),
			closing("t1", "ok"), closing("t1", "ok", by("p1")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 0, ""))), Unjudged},
		{"two transactions, one of which reads and one answers the other", "g1c", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t2"), by("p1"), to(1)), poll("0b", by("p0"), in("t1"), to(1)), poll("0a"),
			send("ok", "c", 0, in("t2"), by("p1"), to(2), from(0)), closing("t1", "ok"), closing("t2", "ok", by("p1")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 2, "0c")), Violated},
		{"two transactions, one of which reads the other and one fails to answer it", "", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t2"), by("p1"), to(1)), poll("0b", by("p0"), in("t1"), to(1)), poll("0a"),
			send("failed", "c", -1, in("t2"), by("p1"), to(2), from(0)), closing("t1", "ok"), closing("t2", "ok", by("p1")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 0, "")), Unjudged},
		{"two transactions, one of which reads and one answers the other, whose record nobody is known to have read", "unseen=2", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t2"), by("p1"), to(1)), poll("0b", by("p0"), in("t1"), to(1)),
			send("ok", "c", 0, in("t2"), by("p1"), to(2), from(0)), closing("t1", "ok"), closing("t2", "ok", by("p1"))), Violated},
		{"two transactions, one of which nobody ended, read each other", "g1c", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t2"), by("p1"), to(1)), poll("0b", by("p0"), in("t1"), to(1)), poll("0a", by("p1"), in("t2")),
			closing("t1", "ok"), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 0, "")), Violated},
		{"a transaction that only reads", "", lines(send("ok", "a", 0, in("t1")), closing("t1", "ok"), poll("0a", in("t9")), final(0, 2, "0a")), Unjudged},
		{"one transaction reads the other", "", crossed("0b", ""), Unjudged},
		{"three transactions read each other in a ring", "g1c", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t1"), by("p1"), to(1)), send("ok", "x", 0, in("t1"), by("p2"), to(2)),
			poll("0b", by("p0"), in("t1"), to(1)), poll("0x", by("p1"), in("t1"), to(2)), poll("0a", by("p2"), in("t1")),
			closing("t1", "ok"), closing("t1", "ok", by("p1")), closing("t1", "ok", by("p2")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 2, "0x")), Violated},
		{"two rings", "g1c=2", slices.Concat(crossed("0b", "0a")[:4], lines(closing("t1", "ok"), closing("t1", "ok", by("p1")),
			send("ok", "d", 2, in("t2")), send("ok", "e", 2, in("t2"), by("p1"), to(1)), poll("2e", by("p0"), in("t2"), to(1)), poll("2d", by("p1"), in("t2")),
			closing("t2", "ok"), closing("t2", "ok", by("p1")), final(0, 4, "0a 2d"), final(1, 4, "0b 2e"), final(2, 0, ""))), Violated},
		{"of two transactions that read each other one was aborted", "aborted-read", slices.Concat(crossed("0b", "0a")[:4],
			lines(closing("t1", "ok"), closing("t1", "failed", by("p1")), final(0, 2, "0a"), final(1, 2, ""), final(2, 0, ""))), Violated},
		{"two transactions answer each other", "g1c", lines(
			send("ok", "a", 0, in("t1"), `"from":{"partition":"orders/1","offset":0}`), send("ok", "b", 0, in("t1"), by("p1"), to(1), from(0)),
			closing("t1", "ok"), closing("t1", "ok", by("p1")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 0, "")), Violated},
		{"two transactions write to two partitions in turn", "g0", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1"), by("p1")), send("ok", "d", 0, in("t1"), by("p1"), to(1)), send("ok", "c", 1, in("t1"), to(1)),
			closing("t1", "ok"), closing("t1", "ok", by("p1")), final(0, 4, "0a 1b"), final(1, 4, "0d 1c"), final(2, 0, "")), Unjudged},
		{"a transaction writes between the records of another", "g0 internal-send-skip", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1"), by("p1")), send("ok", "c", 2, in("t1")),
			closing("t1", "ok"), closing("t1", "ok", by("p1")), final(0, 5, "0a 1b 2c"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"a record of no transaction between the records of one", "internal-send-skip", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 1, by("p1")), send("ok", "c", 2, in("t1")), closing("t1", "ok"), final(0, 4, "0a 1b 2c"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"an aborted record between the records of a transaction", "", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1"), by("p1")), send("ok", "c", 2, in("t1")),
			closing("t1", "ok"), closing("t1", "failed", by("p1")), final(0, 5, "0a 2c"), final(1, 0, ""), final(2, 0, "")), Unjudged},
		{"a transaction is read and writes before what it was read from", "g1c", lines(
			send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1"), by("p1")), send("ok", "d", 0, in("t1"), by("p1"), to(1)), poll("0d", by("p0"), in("t1"), to(1)),
			closing("t1", "ok", by("p1")), closing("t1", "ok"), final(0, 4, "0a 1b"), final(1, 2, "0d"), final(2, 0, "")), Unjudged},

		{"sends of a transaction out of order", "nonmonotonic-send internal-nonmonotonic-send", lines(send("ok", "b", 1, in("t1")), send("ok", "a", 0, in("t1")), closing("t1", "ok"), final(0, 3, "0a 1b")), Violated},
		{"transactions of one client out of order", "nonmonotonic-send", lines(send("ok", "b", 2, in("t1")), closing("t1", "ok"), send("ok", "a", 0, in("t2")), closing("t2", "ok"), final(0, 4, "0a 2b")), Violated},

		{"a transaction reads its own send", "precommitted-read", lines(send("ok", "a", 0, in("t1")), poll("0a", by("p0"), in("t1")), closing("t1", "ok"), final(0, 2, "0a")), Violated},

		{"a consumer goes back", "nonmonotonic-poll", after(three, poll("0a 1b"), poll("1b 2c")), Unjudged},
		{"a consumer goes back within a poll", "nonmonotonic-poll", after(three, poll("0a 1b 0a 1b 2c")), Unjudged},
		{"a consumer goes back twice", "nonmonotonic-poll=2", after(three, poll("0a 1b"), poll("1b 2c"), poll("0a 1b 2c")), Unjudged},
		{"after losing the partition it may go back", "", after(three, assign(0), poll("0a 1b"), assign(), assign(0), poll("0a 1b 2c")), Unjudged},
		{"a partition that stays assigned", "nonmonotonic-poll", after(three, assign(0), poll("0a 1b"), assign(0, 1), poll("0a 1b 2c")), Unjudged},
		{"it goes back within a transaction", "internal-nonmonotonic-poll", after(three, poll("0a 1b", in("t1")), poll("1b 2c", in("t1"))), Violated},
		{"after an aborted transaction it goes back to what it committed", "", after(three, `{"op":"commit","client":"c0","group":"g","call":1,"return":2,"outcome":"ok","offsets":{"orders/0":1}}`,
			poll("1b 2c", in("t1")), closing("t1", "failed", by("c0")), poll("1b 2c"), poll("0a", by("c1"))), Unjudged},
		{"after an aborted transaction it goes back too far", "nonmonotonic-poll", after(three, `{"op":"commit","client":"c0","group":"g","call":1,"return":2,"outcome":"ok","offsets":{"orders/0":1}}`,
			poll("1b 2c", in("t1")), closing("t1", "failed", by("c0")), poll("0a 1b 2c")), Unjudged},
		{"polled far ahead, and all of it again after an abort", "", after(three, assign(0), position(1), poll("1b"), poll("2c"), closing("t1", "failed", by("c0")), poll("1b 2c"), poll("0a", by("c1"))), Unjudged},
		{"polled far ahead, and on from there after an abort", "poll-skip", after(three, assign(0), position(1), poll("1b"), closing("t1", "failed", by("c0")), poll("2c"), final(0, 3, "0a 1b 2c")), Violated},
		{"polled far ahead, and again from where the aborted transaction began", "", after(three, assign(0), poll("0a"), position(0), poll("1b", in("t1")), closing("t1", "failed", by("c0")), poll("1b 2c")), Unjudged},
		{"polled far ahead, and on from behind where the aborted transaction began", "poll-skip", after(three, assign(0), poll("0a"), position(0), poll("1b", in("t1")), closing("t1", "failed", by("c0")), poll("2c")), Violated},
		{"polled ahead of what is committed, again and again", "", after(three, assign(0), poll("0a"), poll("1b"), position(1), poll("2c"), position(3)), Unjudged},
		{"what an aborted transaction committed is no place to go on from", "poll-skip", after(three, assign(0), position(1), poll("1b"), position(2, in("t1")), closing("t1", "failed", by("c0")), poll("2c"), poll("0a", by("c1"))), Violated},
		{"what an aborted transaction committed does not count", "", after(three, assign(0), position(1), poll("1b"), position(2, in("t1")), closing("t1", "failed", by("c0")), poll("1b 2c"), poll("0a", by("c1"))), Unjudged},
		{"what a committed transaction committed is where the next abort goes back to", "nonmonotonic-poll", after(three, assign(0), position(1), poll("1b"), position(2, in("t1")), closing("t1", "ok", by("c0")),
			poll("2c"), closing("t2", "failed", by("c0")), poll("1b 2c"), poll("0a", by("c1"))), Unjudged},
		{"after an abort of one who never committed nobody knows", "", after(three, assign(0), poll("0a 1b"), closing("t1", "failed", by("c0")), poll("0a 1b 2c")), Unjudged},
		{"a partition is added to the assignment", "", after(three, send("ok", "d", 0, to(1)), assign(0), poll("0a"), assign(0, 1), poll("1b 2c"), poll("0d", to(1))), Unjudged},
		{"a partition is added to the assignment, and the position in another goes on too far", "poll-skip", after(three, assign(0), poll("0a"), assign(0, 1), poll("2c"), final(0, 3, "0a 1b 2c")), Violated},
		{"one of two partitions is taken away and comes back", "", after(three, send("ok", "d", 0, to(1)), assign(0, 1), poll("0a 1b"), poll("0d", to(1)), assign(1), assign(0, 1), poll("0a 1b 2c"), poll("0d", by("c1"), to(1))), Unjudged},
		{"one of two partitions is taken away, and the other goes back", "nonmonotonic-poll", after(three, assign(0, 1), poll("0a 1b"), assign(0), poll("1b 2c")), Unjudged},
		{"a committed position is another partition's", "", after(three, send("ok", "d", 0, to(1)), assign(0, 1), poll("0a 1b"), poll("0d", to(1)), `{"op":"commit","client":"c0","group":"g","call":1,"return":2,"outcome":"ok","offsets":{"orders/1":1}}`,
			closing("t1", "failed", by("c0")), poll("0a 1b 2c")), Unjudged},
		{"a rebalance within a transaction", "", after(three, assign(0), poll("0a 1b", in("t1")), assign(), assign(0), poll("0a 1b 2c", in("t1"))), Unjudged},
		{"after a new subscription without the topic it may go back", "", after(three, subscribe(0), poll("0a 1b"), subscribe(2), subscribe(0), poll("0a 1b 2c")), Unjudged},
		{"it goes back, and then past what it had before", "nonmonotonic-poll poll-skip", after(three, poll("0a 1b"), poll("0a 2c")), Unjudged},
		{"after an open transaction nobody knows", "", after(three, poll("0a 1b 2c", in("t1")), closing("t1", "indeterminate", by("c0")), poll("0a 1b 2c")), Unjudged},

		{"a consumer skips", "poll-skip", after(three, poll("0a"), poll("2c"), final(0, 3, "0a 1b 2c")), Violated},
		{"a consumer skips within a poll", "poll-skip", after(three, poll("0a 2c"), final(0, 3, "0a 1b 2c")), Violated},
		{"it skips within a transaction", "internal-poll-skip", after(three, poll("0a", in("t1")), poll("2c", in("t1")), final(0, 3, "0a 1b 2c")), Violated},
		// A member is paused with records in hand; the group gives the partition to another, which goes on; the first wakes up, its
		// transaction is refused, and it gets the partition back where the other had come to.
		{"polled and undone, and another member went on meanwhile", "poll-skip", after(three, assign(0), position(1), poll("1b", ofGroup("g")),
			poll("1b", ofGroup("g"), by("c1")), closing("t1", "failed", by("c0")), poll("2c", ofGroup("g")), final(0, 3, "0a 1b 2c")), Unjudged},
		{"polled and undone, and another member had it before only", "poll-skip", after(three, assign(0), poll("0a", ofGroup("g")), poll("1b", ofGroup("g"), by("c1")), position(1),
			poll("1b", ofGroup("g")), closing("t1", "failed", by("c0")), poll("2c", ofGroup("g")), final(0, 3, "0a 1b 2c")), Violated},
		{"polled and undone, and a client of another group has it", "poll-skip", after(three, assign(0), position(1), poll("1b", ofGroup("g")),
			poll("1b", ofGroup("h"), by("c1")), closing("t1", "failed", by("c0")), poll("2c", ofGroup("g")), final(0, 3, "0a 1b 2c")), Violated},
		{"another member of the group got it", "poll-skip", after(three, poll("0a", ofGroup("g")), poll("2c", ofGroup("g")), poll("1b", ofGroup("g"), by("c1"))), Unjudged},
		{"another group got it", "poll-skip", after(three, poll("0a", ofGroup("g")), poll("2c", ofGroup("g")), poll("1b", ofGroup("h"), by("c1"))), Violated},
		{"what it skips is no record", "", lines(send("ok", "a", 0, in("t1")), closing("t1", "ok"), send("ok", "b", 2), poll("0a"), poll("2b")), Unjudged},
		{"what it skips was aborted", "", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "failed"), send("ok", "c", 3), poll("0a"), poll("3c")), Unjudged},
		{"after a new assignment it may skip", "", after(three, assign(0), poll("0a"), assign(1), assign(0), poll("2c"), poll("1b", by("c1"))), Unjudged},

		{"sends out of order", "nonmonotonic-send", lines(send("ok", "b", 1), send("ok", "a", 0), final(0, 2, "0a 1b")), Violated},
		{"sends out of order, seen by acknowledgements", "nonmonotonic-send", lines(send("ok", "b", 1), send("ok", "a", 0), poll("0a 1b")), Violated},
		{"another client's order is its own", "", lines(send("ok", "b", 1), send("ok", "a", 0, by("p1")), final(0, 2, "0a 1b")), Unjudged},
		{"another partition's order is its own", "", lines(send("ok", "b", 0, to(1)), send("ok", "a", 0), final(0, 1, "0a"), final(1, 1, "0b")), Unjudged},
		{"a resend may stand later", "", lines(send("indeterminate", "a", -1), send("ok", "b", 0), send("ok", "a", 1, attempt(2)), final(0, 2, "0b 1a")), Unjudged},
		{"repeated batches are duplicates, in order", "duplicate=2", lines(send("ok", "a", 0), send("ok", "b", 1), final(0, 4, "0a 1b 2a 3b")), Violated},

		{"nobody sent it", "foreign-record", after(three, final(0, 4, "0a 1b 2c 3z")), Violated},
		{"nobody sent it, and two read it", "foreign-record", after(three, poll("0a 1b 2c 3z"), poll("0a 1b 2c 3z", by("c1"))), Violated},
		{"not one of ours", "foreign-record", after(three, poll("0a 1b 2c"), strings.Replace(poll("3z"), `"value":"z"`, `"foreign":true`, 1)), Violated},
		{"its checksum is wrong", "corrupt-record", after(three, poll("0a 1b"), strings.Replace(poll("2c"), `"value":"c"`, `"value":"c","corrupt":true`, 1)), Violated},

		{"handled once each", "", after(three, poll("0a 1b 2c"), process("0a 1b 2c")), Unjudged},
		{"handled twice", "reprocessed", after(three, poll("0a 1b 2c"), process("0a 1b 2c 1b")), Violated},
		{"handled by two members", "reprocessed=2", after(three, poll("0a 1b 2c"), process("0a 1b 2c"), process("1b 2c", by("c1"))), Violated},
		{"handled by two groups", "", after(three, poll("0a 1b 2c"), process("0a 1b 2c"), process("0a 1b 2c", by("c1"), ofGroup("h"))), Unjudged},
		{"never handled", "unprocessed", after(three, poll("0a 1b 2c"), process("0a 2c")), Violated},
		{"never handled by one of two groups", "unprocessed", after(three, poll("0a 1b 2c"), process("0a 1b 2c"), process("0a 1b", by("c1"), ofGroup("h"))), Violated},
		{"an open effect may have happened", "", after(three, poll("0a 1b 2c"), process("0a 1b"), process("2c", `"outcome":"indeterminate"`)), Unjudged},
		{"a failed effect has not", "unprocessed", after(three, poll("0a 1b 2c"), process("0a 1b"), process("2c", `"outcome":"failed"`)), Violated},
		{"handled again after an abort", "", after(three, poll("0a 1b 2c"), process("0a 1b 2c", in("t1")), closing("t1", "failed", by("c0")), process("0a 1b 2c")), Unjudged},
		{"lost, and so not handled", "lost-write", after(three, final(0, 2, "0a 1b"), process("0a 1b")), Violated},
		{"a topic that the group does not read", "", after(three, send("ok", "x", 0, to(2)), poll("0a 1b 2c"), poll("0x", to(2), by("c1")), process("0a 1b 2c")), Unjudged},

		{"an offset is missing", "offset-hole", lines(send("ok", "a", 0), send("ok", "b", 2), final(0, 3, "0a 2b")), Violated},
		{"three offsets are missing at the end", "offset-hole=3", lines(send("ok", "a", 0), send("ok", "b", 1), final(0, 5, "0a 1b")), Violated},
		{"the first offset is missing", "offset-hole", lines(head(`"starts":{"orders/0":0}`), send("ok", "a", 1), send("ok", "b", 2), final(0, 3, "1a 2b")), Violated},
		{"transactions have markers", "", lines(send("ok", "a", 0, in("t1")), closing("t1", "ok"), send("ok", "b", 2), final(0, 3, "0a 2b")), Unjudged},
		{"a compacted topic has holes", "", lines(head(`"compacted":["orders"]`), send("ok", "a", 0), send("ok", "b", 2), final(0, 3, "0a 2b")), Unjudged},
		{"an older epoch behind a newer", "leader-epoch-regression", after(three, strings.NewReplacer(`"a"}`, `"a","epoch":1}`, `"b"}`, `"b","epoch":2}`, `"c"}`, `"c","epoch":1}`).Replace(final(0, 3, "0a 1b 2c"))), Violated},
		{"epochs that grow", "", after(three, strings.NewReplacer(`"a"}`, `"a","epoch":1}`, `"b"}`, `"b","epoch":1}`, `"c"}`, `"c","epoch":5}`).Replace(final(0, 3, "0a 1b 2c"))), Unjudged},

		{"one output for each input", "", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(0)), send("ok", "y", 1, in("t1"), by("w0"), to(2), from(1)), commit("t1", 2), closing("t1", "ok", by("w0")),
			final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 3, "0x 1y")), Unjudged},
		{"outputs and offsets together", "", bill("ok", commit("t1", 2), final(2, 3, "0x 1y"), stands(2)), Unjudged},
		{"the group was set back before the offsets of outputs", "torn-transaction", bill("ok", commit("t1", 2), final(2, 3, "0x 1y"), stands(1)), Violated},
		{"it was set back by one who came later", "", bill("ok", commit("t1", 2), final(2, 3, "0x 1y"),
			fmt.Sprintf(`{"op":"commit","client":"w1","group":"g",%s,"outcome":"ok","offsets":{"orders/0":1}}`, times()), stands(1)), Unjudged},
		{"the position was told before the transaction ended", "", billing("ok", stands(1), commit("t1", 2), final(2, 3, "0x 1y")), Unjudged},
		{"an open transaction, proven by what was read, whose offsets are missing", "torn-transaction", bill("indeterminate", commit("t1", 2), final(2, 3, "0x 1y"), stands(0)), Violated},
		{"an open transaction whose offsets took effect and whose outputs did not", "torn-transaction", bill("indeterminate", commit("t1", 2), final(2, 3, ""), stands(2)), Violated},
		{"an open transaction that took no effect, and another that did its work", "", bill("indeterminate", commit("t1", 2),
			send("ok", "u", 3, in("t1"), by("w1"), to(2), from(0)), send("ok", "v", 4, in("t1"), by("w1"), to(2), from(1)), with(commit("t1", 2), by("w1")), closing("t1", "ok", by("w1")), final(2, 6, "3u 4v"), stands(2)), Unjudged},
		{"an open transaction that took no effect", "", bill("indeterminate", commit("t1", 2), final(2, 3, ""), stands(0)), Unjudged},
		{"a committed transaction whose outputs are lost", "lost-write=2 torn-transaction unprocessed=2", bill("ok", commit("t1", 2), final(2, 3, ""), stands(2)), Violated},
		{"an output whose input nobody ever covered", "torn-transaction", bill("ok", commit("t1", 1), final(2, 3, "0x 1y")), Violated},
		{"an output whose input another transaction covered", "", bill("ok", commit("t1", 1), final(2, 3, "0x 1y"),
			fmt.Sprintf(`{"op":"commit","client":"w0","group":"g","txn":"t2",%s,"outcome":"ok","offsets":{"orders/0":2}}`, times()), closing("t2", "ok", by("w0"))), Unjudged},
		{"transactions whose commits are not recorded", "", bill("ok", "", final(2, 3, "0x 1y")), Unjudged},

		{"readers of committed records are held up", "hanging-transaction", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "indeterminate"), send("ok", "c", 2),
			`{"op":"ends","ends":{"orders/0":3}}`, pass(1, 1, "0a", "read_committed"), pass(2, 3, "0a 1b 2c", "read_uncommitted")), Violated},
		{"they are held up by what was aborted", "aborted-read hanging-transaction", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "failed"), send("ok", "c", 2),
			`{"op":"ends","ends":{"orders/0":3}}`, pass(1, 1, "0a", "read_committed"), pass(2, 3, "0a 1b 2c", "read_uncommitted")), Violated},
		{"a reader of committed records stopped before something else", "", lines(send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2),
			`{"op":"ends","ends":{"orders/0":3}}`, pass(1, 1, "0a", "read_committed"), pass(2, 3, "0a 1b 2c", "read_uncommitted")), Inconclusive},
		{"a consumer of committed records got past where the final read stopped", "", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "ok"), send("ok", "c", 3), poll("0a 1b 3c"),
			`{"op":"ends","ends":{"orders/0":4}}`, pass(1, 1, "0a", "read_committed"), pass(2, 4, "0a 1b 3c", "read_uncommitted")), Inconclusive},
		{"one who reads uncommitted records stopped too", "unseen", lines(send("ok", "a", 0), send("ok", "b", 1, in("t1")), closing("t1", "indeterminate"), send("ok", "c", 2),
			`{"op":"ends","ends":{"orders/0":3}}`, pass(1, 1, "0a", "read_committed"), pass(2, 2, "0a 1b", "read_uncommitted")), Violated},

		{"two outputs for one input", "duplicate", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(0)), commit("t1", 1), closing("t1", "ok", by("w0")),
			send("ok", "y", 2, in("t1"), by("w1"), to(2), from(0)), closing("t1", "ok", by("w1")),
			final(0, 1, "0a"), final(1, 0, ""), final(2, 4, "0x 2y")), Violated},
		{"the first output was aborted", "", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(0)), closing("t1", "failed", by("w0")),
			send("ok", "y", 2, in("t1"), by("w1"), to(2), from(0)), strings.Replace(commit("t1", 1), "w0", "w1", 1), closing("t1", "ok", by("w1")),
			final(0, 1, "0a"), final(1, 0, ""), final(2, 4, "2y")), Unjudged},
		{"an input that was passed over", "unprocessed", lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1),
			send("ok", "x", 0, in("t1"), by("w0"), to(2), from(1)), commit("t1", 2), closing("t1", "ok", by("w0")),
			final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 2, "0x")), Violated},
	}
}

// crossed are two transactions of two clients, and what each of them polled from orders/0 and orders/1 in between.
func crossed(first, second string, more ...string) []string {
	return slices.Concat(lines(
		send("ok", "a", 0, in("t1")), send("ok", "b", 0, in("t1"), by("p1"), to(1)),
		poll(first, by("p0"), in("t1"), to(1)), poll(second, by("p1"), in("t1")),
	), more, lines(closing("t1", "ok"), closing("t1", "ok", by("p1")), final(0, 2, "0a"), final(1, 2, "0b"), final(2, 0, "")))
}

// billing is a processor's transaction: it answers inputs a and b, which stand at 0 and 1 of orders/0, with x and y in bills/0.
func billing(outcome string, more ...string) []string {
	return slices.Concat(lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1),
		send("ok", "x", 0, in("t1"), by("w0"), to(2), from(0)), send("ok", "y", 1, in("t1"), by("w0"), to(2), from(1))),
		more, lines(closing("t1", outcome, by("w0")), final(0, 2, "0a 1b"), final(1, 0, "")))
}

// stands is the position of group g on orders/0, as the cluster gave it when all was done.
func stands(offset int) string {
	return fmt.Sprintf(`{"op":"ends","group":"g","ends":{"orders/0":%d}}`, offset)
}

// pass of a final read that came as far as that; it tells nothing of the end.
func pass(n, reached int, text, isolation string) string {
	return fmt.Sprintf(`{"op":"final-read","partition":"orders/0","pass":%d,"isolation":"%s","reached":%d,"records":%s}`, n, isolation, reached, records(text))
}

// position is a commit of c0 on orders/0.
func position(offset int, more ...string) string {
	return with(fmt.Sprintf(`{"op":"commit","client":"c0","group":"g",%s,"outcome":"ok","offsets":{"orders/0":%d}}`, times(), offset), more...)
}

func subscribe(partitions ...int) string {
	return strings.Replace(assign(partitions...), `"op":"assign"`, `"op":"subscribe"`, 1)
}

func commit(name string, offset int) string {
	return fmt.Sprintf(`{"op":"commit","client":"w0","group":"g","txn":"%s",%s,"outcome":"ok","offsets":{"orders/0":%d}}`, name, times(), offset)
}

func TestEachAnomalyIsFoundByItsName(t *testing.T) {
	for _, h := range stories() {
		t.Run(h.name, func(t *testing.T) {
			j := judgeText(t, h.lines...)
			if got := found(j); !maps.Equal(got, want(h.want)) {
				t.Errorf("found %v, want %v\n%+v\n%s", got, want(h.want), j.Findings, strings.Join(h.lines, "\n"))
			}
			if j.Verdict != h.verdict {
				t.Errorf("verdict %v, want %v; reasons %q", j.Verdict, h.verdict, j.Reasons)
			}
			for _, f := range j.Findings {
				if len(f.Witnesses) == 0 || f.Count == 0 || f.Checked == 0 {
					t.Errorf("%s: %d of %d without a witness", f.Anomaly, f.Count, f.Checked)
				}
			}
		})
	}
}
