package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// world is a cluster that keeps its promises, and the history that its clients record: idempotent and transactional
// producers, aborts, time-outs, a group that shares the partitions, rebalances, rewinds, an uncommitted reader aside.
type world struct {
	t     *rapid.T
	now   int
	lines []string
	logs  [2][]entry // what stands in orders/0 and orders/1
	stays [2]int     // position that the group has committed
	seq   [3]int
	txns  int
	ours  string // the consumer that has the partitions
}

type entry struct {
	value   string // "" for a control record
	aborted bool
}

func (w *world) draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }

func (w *world) say(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func (w *world) times() string {
	w.now += 10
	return fmt.Sprintf(`"call":%d,"return":%d`, w.now, w.now+5)
}

func (w *world) append(p int, value string, aborted bool) int {
	w.logs[p] = append(w.logs[p], entry{value, aborted})
	return len(w.logs[p]) - 1
}

func (w *world) value(producer int) string {
	w.seq[producer]++
	return fmt.Sprintf("p%d/1/%d", producer, w.seq[producer]-1)
}

// plain sends one record: acknowledged, with or without its offset; left open, and stored or not; or refused.
func (w *world) plain() {
	p, producer := w.draw(2, "partition"), w.draw(2, "producer")
	v := w.value(producer)
	line := fmt.Sprintf(`{"op":"send","client":"p%d",%s,"partition":"orders/%d","value":"%s"`, producer, w.times(), p, v)
	switch w.draw(8, "fate") {
	case 0:
		w.say(`%s,"outcome":"failed"}`, line)
	case 1:
		if w.draw(2, "stored") == 0 {
			w.append(p, v, false)
		}
		w.say(`%s,"outcome":"indeterminate"}`, line)
	case 2:
		w.append(p, v, false)
		w.say(`%s,"outcome":"ok"}`, line)
	default:
		w.say(`%s,"outcome":"ok","offset":%d}`, line, w.append(p, v, false))
	}
}

// transaction sends a few records over both partitions, and commits, aborts, or never learns how it ended.
func (w *world) transaction() {
	w.txns++
	fate := rapid.SampledFrom([]string{"ok", "ok", "failed", "indeterminate", "unended"}).Draw(w.t, "end")
	aborted := fate == "failed" || fate != "ok" && w.draw(2, "committed") == 0
	touched := map[int]bool{}
	for range 1 + w.draw(4, "size") {
		p := w.draw(2, "partition")
		touched[p] = true
		v := w.value(2)
		line := fmt.Sprintf(`{"op":"send","client":"p2","txn":"t%d",%s,"outcome":"ok","partition":"orders/%d","value":"%s","offset":%d}`, w.txns, w.times(), p, v, w.append(p, v, aborted))
		w.say("%s", line)
	}
	for p := range touched {
		w.append(p, "", false)
	}
	if fate != "unended" {
		w.say(`{"op":"txn","client":"p2","txn":"t%d",%s,"outcome":"%s"}`, w.txns, w.times(), fate)
	}
}

// visible are the records of a partition that a reader of committed records gets from a position on.
func (w *world) visible(p, from, limit int) (text string, next int) {
	var list []string
	next = from
	for ; next < len(w.logs[p]) && len(list) < limit; next++ {
		if e := w.logs[p][next]; e.value != "" && !e.aborted {
			list = append(list, fmt.Sprintf(`{"offset":%d,"value":"%s","epoch":0}`, next, e.value))
		}
	}
	return "[" + strings.Join(list, ",") + "]", next
}

// consume polls from where the group stands, handles what it got, and commits.
func (w *world) consume(limit int) {
	p := w.draw(2, "partition")
	w.consumeFrom(p, limit)
}

func (w *world) consumeFrom(p, limit int) {
	from := w.stays[p]
	text, next := w.visible(p, from, limit)
	w.say(`{"op":"poll","client":"%s","group":"g",%s,"outcome":"ok","partition":"orders/%d","records":%s}`, w.ours, w.times(), p, text)
	for o := from; o < next; o++ {
		if e := w.logs[p][o]; e.value != "" && !e.aborted {
			w.say(`{"op":"process","client":"%s","group":"g",%s,"outcome":"ok","partition":"orders/%d","offset":%d,"value":"%s"}`, w.ours, w.times(), p, o, e.value)
		}
	}
	w.say(`{"op":"commit","client":"%s","group":"g",%s,"outcome":"ok","offsets":{"orders/%d":%d}}`, w.ours, w.times(), p, next)
	w.stays[p] = next
}

// rebalance takes the partitions from one member, which may have polled ahead, and gives them to the other.
func (w *world) rebalance() {
	if p := w.draw(2, "partition"); w.draw(2, "in hand") == 0 {
		text, _ := w.visible(p, w.stays[p], 3)
		w.say(`{"op":"poll","client":"%s","group":"g",%s,"outcome":"ok","partition":"orders/%d","records":%s}`, w.ours, w.times(), p, text)
	}
	w.say(`{"op":"assign","client":"%s","group":"g",%s,"outcome":"ok","partitions":[]}`, w.ours, w.times())
	w.ours = map[string]string{"c0": "c1", "c1": "c0"}[w.ours]
	w.say(`{"op":"assign","client":"%s","group":"g",%s,"outcome":"ok","partitions":["orders/0","orders/1"]}`, w.ours, w.times())
}

// rewind is a read–process–write that was aborted: what was polled in it is polled again, from what was committed.
func (w *world) rewind() {
	p := w.draw(2, "partition")
	w.txns++
	text, _ := w.visible(p, w.stays[p], 2)
	w.say(`{"op":"poll","client":"%s","group":"g","txn":"t%d",%s,"outcome":"ok","partition":"orders/%d","records":%s}`, w.ours, w.txns, w.times(), p, text)
	w.say(`{"op":"txn","client":"%s","txn":"t%d",%s,"outcome":"%s"}`, w.ours, w.txns, w.times(), rapid.SampledFrom([]string{"failed", "indeterminate"}).Draw(w.t, "end"))
}

func (w *world) finish() {
	for p := range 2 {
		w.consumeFrom(p, 1000)
		w.say(`{"op":"ends","ends":{"orders/%d":%d}}`, p, len(w.logs[p]))
		for pass := 1; pass <= 2; pass++ {
			text, next := w.visible(p, 0, 1000)
			w.say(`{"op":"final-read","partition":"orders/%d","pass":%d,"isolation":"read_committed","reached":%d,"records":%s}`, p, pass, next, text)
		}
	}
}

func live(t *rapid.T) *world {
	w := &world{t: t, ours: "c0"}
	w.say(`{"kbench_history":1,"partitions":["orders/0","orders/1"],"starts":{"orders/0":0,"orders/1":0}}`)
	w.say(`{"op":"assign","client":"c0","group":"g",%s,"outcome":"ok","partitions":["orders/0","orders/1"]}`, w.times())
	transactional := w.draw(3, "transactional") > 0
	w.say(`{"op":"send","client":"p0",%s,"outcome":"ok","partition":"orders/0","value":"%s","offset":%d}`, w.times(), w.value(0), w.append(0, "p0/1/0", false))
	for range 3 + w.draw(25, "steps") {
		switch w.draw(10, "step") {
		case 0, 1, 2, 3:
			w.plain()
		case 4, 5:
			if transactional {
				w.transaction()
			}
		case 6, 7:
			w.consume(1 + w.draw(5, "limit"))
		case 8:
			w.rebalance()
		case 9:
			if w.draw(3, "rewind") == 0 {
				w.rewind()
			}
		}
	}
	w.finish()
	return w
}

func (w *world) judge() Judgement {
	j, err := JSONL(strings.NewReader(strings.Join(w.lines, "\n")))
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return j
}

func TestValidHistoriesHaveNoFindings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		if j := w.judge(); len(j.Findings) != 0 || j.Verdict != Unjudged {
			t.Fatalf("%v, %v, reasons %q\n%s", j.Verdict, found(j), j.Reasons, strings.Join(w.lines, "\n"))
		}
		if err := agree(strings.Join(w.lines, "\n")); err != nil {
			t.Fatalf("%v", err)
		}
	})
}

// edit replaces one line of a sort, drawn among them; it tells whether there was any.
func (w *world) edit(choose func(line string) bool, with func(line string) []string) bool {
	var at []int
	for i, line := range w.lines {
		if choose(line) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return false
	}
	i := at[w.draw(len(at), "place")]
	w.lines = slices.Concat(w.lines[:i], with(w.lines[i]), w.lines[i+1:])
	return true
}

func has(parts ...string) func(string) bool {
	return func(line string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	}
}

// committedEntry draws a record that is visible in the log, with its place; ok is false where there is none.
func (w *world) committedEntry(yes func(p, offset int) bool) (p, offset int, ok bool) {
	var list [][2]int
	for p := range w.logs {
		for o, e := range w.logs[p] {
			if e.value != "" && !e.aborted && yes(p, o) {
				list = append(list, [2]int{p, o})
			}
		}
	}
	if len(list) == 0 {
		return 0, 0, false
	}
	at := list[w.draw(len(list), "record")]
	return at[0], at[1], true
}

// everywhere replaces a text in all lines of some sort.
func (w *world) everywhere(choose func(string) bool, from, to string) {
	for i, line := range w.lines {
		if choose(line) {
			w.lines[i] = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(line, from, to), "[,", "["), ",]", "]")
			w.lines[i] = strings.ReplaceAll(w.lines[i], ",,", ",")
		}
	}
}

func (w *world) acknowledged(v string) bool {
	return slices.ContainsFunc(w.lines, func(line string) bool {
		if !has(`"op":"send"`, `"value":"`+v+`"`, `"outcome":"ok"`)(line) {
			return false
		}
		_, txn, in := strings.Cut(line, `"txn":"`)
		if !in {
			return true
		}
		name, _, _ := strings.Cut(txn, `"`)
		return slices.ContainsFunc(w.lines, has(`"op":"txn","client":"p2","txn":"`+name+`"`, `"outcome":"ok"`))
	})
}

func shown(offset int, v string) string {
	return fmt.Sprintf(`{"offset":%d,"value":"%s","epoch":0}`, offset, v)
}

// plants spoil a valid history in one way each, at a place drawn anew each time; they answer false where the history
// gives no occasion.
func plants() map[string]func(*world) bool {
	any := func(int, int) bool { return true }
	return map[string]func(*world) bool{
		lostWrite: func(w *world) bool {
			p, o, ok := w.committedEntry(func(p, o int) bool { return w.acknowledged(w.logs[p][o].value) })
			if ok {
				w.everywhere(has(`"op":"final-read"`, fmt.Sprintf("orders/%d", p)), shown(o, w.logs[p][o].value), "")
			}
			return ok
		},
		duplicate: func(w *world) bool {
			p, o, ok := w.committedEntry(any)
			if ok {
				end := len(w.logs[p])
				w.say(`{"op":"ends","ends":{"orders/%d":%d}}`, p, end+1)
				for pass := 1; pass <= 2; pass++ {
					w.say(`{"op":"final-read","partition":"orders/%d","pass":%d,"reached":%d,"records":[%s]}`, p, pass, end+1, shown(end, w.logs[p][o].value))
				}
			}
			return ok
		},
		abortedRead: func(w *world) bool {
			line := ""
			w.edit(has(`"op":"send"`, `"outcome":"failed"`), func(l string) []string { line = l; return []string{l} })
			if line == "" {
				return false
			}
			_, v, _ := strings.Cut(line, `"value":"`)
			v, _, _ = strings.Cut(v, `"`)
			w.say(`{"op":"poll","client":"c9",%s,"outcome":"ok","partition":"orders/1","records":[%s]}`, w.times(), shown(999, v))
			return true
		},
		foreignRecord: func(w *world) bool {
			w.say(`{"op":"poll","client":"c9",%s,"outcome":"ok","partition":"orders/1","records":[%s]}`, w.times(), shown(999, "p9/1/4"))
			return true
		},
		corruptRecord: func(w *world) bool {
			return w.edit(has(`"op":"poll"`, `"epoch":0}`), func(l string) []string {
				return []string{strings.Replace(l, `"epoch":0}`, `"epoch":0,"corrupt":true}`, 1)}
			})
		},
		leaderEpochRegression: func(w *world) bool {
			return w.edit(func(l string) bool {
				return has(`"op":"final-read"`, `"pass":1`)(l) && strings.Count(l, `"epoch":0`) > 1
			}, func(l string) []string {
				return []string{strings.Replace(l, `"epoch":0`, `"epoch":1`, 1)}
			})
		},
		inconsistentOffset: func(w *world) bool {
			p, o, ok := w.committedEntry(any)
			if ok {
				w.say(`{"op":"poll","client":"c9",%s,"outcome":"ok","partition":"orders/%d","records":[%s]}`, w.times(), p, shown(o, "p9/1/4"))
			}
			return ok
		},
		reprocessed: func(w *world) bool {
			return w.edit(has(`"op":"process"`), func(l string) []string { return []string{l, l} })
		},
		unprocessed: func(w *world) bool {
			p, o, ok := w.committedEntry(func(p, o int) bool { return w.acknowledged(w.logs[p][o].value) })
			if ok {
				w.lines = slices.DeleteFunc(w.lines, has(`"op":"process"`, `"value":"`+w.logs[p][o].value+`"`))
			}
			return ok && slices.ContainsFunc(w.lines, has(`"op":"process"`)) // a history without effects claims none
		},
		pollSkip: func(w *world) bool {
			p, o, ok := w.committedEntry(func(p, o int) bool {
				_, before := w.visible(p, 0, 1000)
				return o > 0 && o < before
			})
			if !ok {
				return false
			}
			first, _ := w.visible(p, 0, 1)
			if strings.Contains(first, fmt.Sprintf(`"offset":%d,`, o)) {
				return false // nothing is read before it
			}
			text, _ := w.visible(p, 0, 1000)
			text = strings.NewReplacer(shown(o, w.logs[p][o].value), "").Replace(text)
			text = strings.NewReplacer("[,", "[", ",]", "]", ",,", ",").Replace(text)
			last := w.logs[p][len(w.logs[p])-1]
			if strings.Count(text, "offset") < 2 || last.value == "" || last.aborted || o == len(w.logs[p])-1 {
				return false
			}
			w.say(`{"op":"poll","client":"c9",%s,"outcome":"ok","partition":"orders/%d","records":%s}`, w.times(), p, text)
			return true
		},
		nonmonotonicPoll: func(w *world) bool {
			p, o, ok := w.committedEntry(any)
			if ok {
				for range 2 {
					w.say(`{"op":"poll","client":"c9",%s,"outcome":"ok","partition":"orders/%d","records":[%s]}`, w.times(), p, shown(o, w.logs[p][o].value))
				}
			}
			return ok
		},
		tornTransaction: func(w *world) bool {
			p, o, ok := w.committedEntry(func(p, o int) bool {
				return slices.ContainsFunc(w.lines, func(l string) bool {
					if !has(`"op":"send"`, `"txn"`, `"value":"`+w.logs[p][o].value+`"`)(l) {
						return false
					}
					_, name, _ := strings.Cut(l, `"txn":"`)
					name, _, _ = strings.Cut(name, `"`)
					members := 0
					for _, other := range w.lines {
						if has(`"op":"send"`, `"txn":"`+name+`"`)(other) {
							members++
						}
					}
					return members > 1
				})
			})
			if ok {
				w.everywhere(has(`"op":"final-read"`, fmt.Sprintf("orders/%d", p)), shown(o, w.logs[p][o].value), "")
			}
			return ok
		},
		nonmonotonicSend: func(w *world) bool {
			w.say(`{"op":"send","client":"p8",%s,"outcome":"ok","partition":"orders/0","value":"late"}`, w.times())
			w.say(`{"op":"send","client":"p8",%s,"outcome":"ok","partition":"orders/0","value":"later"}`, w.times())
			end := len(w.logs[0])
			w.say(`{"op":"ends","ends":{"orders/0":%d}}`, end+2)
			for pass := 1; pass <= 2; pass++ {
				w.say(`{"op":"final-read","partition":"orders/0","pass":%d,"reached":%d,"records":[%s,%s]}`, pass, end+2, shown(end, "later"), shown(end+1, "late"))
			}
			for i, v := range []string{"later", "late"} {
				w.say(`{"op":"process","client":"c0","group":"g",%s,"outcome":"ok","partition":"orders/0","offset":%d,"value":"%s"}`, w.times(), end+i, v)
			}
			return true
		},
	}
}

func TestPlantedAnomaliesAreFoundByTheirNames(t *testing.T) {
	for anomaly, plant := range plants() {
		t.Run(anomaly, func(t *testing.T) {
			planted := 0
			rapid.Check(t, func(t *rapid.T) {
				w := live(t)
				if !plant(w) {
					return
				}
				planted++
				j := w.judge()
				if found(j)[anomaly] == 0 {
					t.Fatalf("found %v\n%s", found(j), strings.Join(w.lines, "\n"))
				}
				if err := agree(strings.Join(w.lines, "\n")); err != nil {
					t.Fatalf("%v", err)
				}
			})
			if planted < 2 {
				t.Errorf("only %d histories gave an occasion", planted)
			}
		})
	}
}
