package reports

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kbench/kbench/internal/stats"
)

const (
	bufferAxis    = "client.buffer.memory"
	bufferSetting = "buffer.memory"
	// margin is how much better a larger buffer has to be before it counts as a help.
	margin = 0.05
)

// BufferAnswer says, for one combination of the other axes, whether more buffer.memory would have helped.
type BufferAnswer struct {
	Cell    map[string]string `json:"cell"`    // the other axes
	Library string            `json:"library"` // whose buffer it is: no other library's behaves the same
	Helped  *bool             `json:"helped"`  // a larger buffer than the smallest, by the objective; null: cannot be told
	Enough  *string           `json:"enough"`  // the least size than which none was better by more than 5%; null: none, or cannot be told
	Bytes   *int64            `json:"enough_bytes"`
	Sizes   []BufferSize      `json:"sizes"` // the smallest first
	Answer  string            `json:"answer"`
}

// BufferSize is one size of the buffer. Gain is what the objective gains from the smallest size measured to this one, repeat
// by repeat: 1.1 is better by a tenth.
type BufferSize struct {
	Value      string  `json:"value"`
	Bytes      int64   `json:"bytes"`
	Gain       *Figure `json:"gain"`
	Throughput *Figure `json:"throughput_per_s"`
	AckP99     *Figure `json:"ack_p99_ms"`
	Waited     Waited  `json:"waited"`

	runs map[int]float64 `json:"-"`
}

// buffer answers for each combination of the other axes that has more than one size.
func (m matrix) buffer(ranked []RankedCell) []BufferAnswer {
	answers := []BufferAnswer{}
	at := map[string]int{}
	cells := slices.Clone(ranked)
	slices.SortStableFunc(cells, func(a, b RankedCell) int { return compareCells(a.Cell, b.Cell) })
	for _, c := range cells {
		bytes, err := strconv.ParseInt(c.asked[bufferSetting], 10, 64)
		if _, has := c.Cell[bufferAxis]; !has || err != nil {
			continue
		}
		others := maps.Clone(c.Cell)
		delete(others, bufferAxis)
		i, known := at[cell(others)]
		if !known {
			i = len(answers)
			at[cell(others)] = i
			answers = append(answers, BufferAnswer{Cell: others, Library: m.library()})
		}
		answers[i].Sizes = append(answers[i].Sizes, BufferSize{
			Value: c.Cell[bufferAxis], Bytes: bytes, Throughput: c.Throughput, AckP99: c.AckP99, Waited: c.Waited, runs: c.runs,
		})
	}
	answers = slices.DeleteFunc(answers, func(a BufferAnswer) bool { return len(a.Sizes) < 2 })
	for i := range answers {
		m.answer(&answers[i])
	}
	return answers
}

func (m matrix) library() string {
	if d := m.trials[0].Document.Client.Driver; d != "confluent" {
		return d
	}
	return "librdkafka"
}

// gain of the objective from one size to another; above 1 is better, whichever way the objective goes.
func (m matrix) gain(to, from BufferSize) (stats.Estimate, bool) {
	if m.objective.Max {
		return stats.Gain(to.runs, from.runs)
	}
	return stats.Gain(from.runs, to.runs)
}

func (m matrix) answer(a *BufferAnswer) {
	slices.SortStableFunc(a.Sizes, func(x, y BufferSize) int { return int(min(1, max(-1, x.Bytes-y.Bytes))) })
	for i := range a.Sizes {
		if g, ok := m.gain(a.Sizes[i], a.Sizes[0]); ok {
			a.Sizes[i].Gain = asFigure(g)
		}
	}
	enough := slices.IndexFunc(a.Sizes[:len(a.Sizes)-1], func(s BufferSize) bool { return m.enough(s, a.Sizes) })
	better := m.better(a.Sizes)
	what := m.objective.Metric
	switch last := a.Sizes[len(a.Sizes)-1]; {
	case enough >= 0:
		s := a.Sizes[enough]
		a.Enough, a.Bytes, a.Helped = &s.Value, &s.Bytes, ptrTo(enough > 0 && better[enough])
		a.Answer = fmt.Sprintf("more than %s would not have helped here: %s", s.name(), m.atMost(s, a.Sizes[enough+1:]))
		if enough > 0 && better[enough] {
			g := a.Sizes[enough].Gain
			a.Answer += fmt.Sprintf(". Up to it more did help: %s is better by %s than with %s (%s)", what, percentOf(g.Median), a.Sizes[0].name(), spanText(g))
		}
		a.Answer += m.price(s, last)
	case better[len(a.Sizes)-1] && m.grows(a.Sizes):
		a.Helped = ptrTo(true)
		a.Answer = fmt.Sprintf("more buffer helped up to the largest size measured, %s, and may go on to: measure larger ones", last.name())
	case slices.Contains(better, true):
		a.Helped = ptrTo(true)
		a.Answer = fmt.Sprintf("more buffer than %s helped; from which size on it no longer does cannot be told from these runs", a.Sizes[0].name())
	default:
		a.Answer = fmt.Sprintf("whether more buffer than %s would have helped cannot be told from these runs: %s", a.Sizes[0].name(), m.atMost(a.Sizes[0], a.Sizes[1:]))
	}
}

// enough tells whether no larger size is better by more than the margin: of each, the whole interval says so.
func (m matrix) enough(s BufferSize, all []BufferSize) bool {
	for _, larger := range all {
		if larger.Bytes <= s.Bytes {
			continue
		}
		if g, ok := m.gain(larger, s); !ok || g.Confidence < 1-alphaOf || g.High > 1+margin {
			return false
		}
	}
	return true
}

// better tells which sizes are better than the smallest by more than noise, all pairs accounted for.
func (m matrix) better(sizes []BufferSize) []bool {
	samples := make([][]float64, len(sizes))
	for i, s := range sizes {
		samples[i] = slices.Collect(maps.Values(s.runs))
	}
	table, better := stats.Pairwise(samples), make([]bool, len(sizes))
	for i := range sizes {
		better[i] = table[0][i] <= alphaOf && m.objective.Better(stats.MedianOf(samples[i]), stats.MedianOf(samples[0]))
	}
	return better
}

// grows tells whether the largest size is the best of all by its median, and beyond the margin better than the one before.
func (m matrix) grows(sizes []BufferSize) bool {
	g, ok := m.gain(sizes[len(sizes)-1], sizes[len(sizes)-2])
	return ok && g.Low > 1
}

// atMost says what larger sizes gained.
func (m matrix) atMost(s BufferSize, larger []BufferSize) string {
	var most stats.Estimate
	of, high := s, 0.0
	for _, l := range larger {
		g, ok := m.gain(l, s)
		if !ok {
			continue
		}
		if g.Median > most.Median {
			most, of = g, l
		}
		high = max(high, g.High)
	}
	if most.N == 0 {
		return "they share no repeat"
	}
	f := asFigure(most)
	text := fmt.Sprintf("the largest gain of %s beyond it is %s with %s (%s)", m.objective.Metric, percentOf(most.Median), of.name(), spanText(f))
	if most.Confidence < 1-alphaOf {
		text += fmt.Sprintf("; it takes 6 repeats for an interval of 95%%, and there are %d", most.N)
	}
	return text
}

// price is what the largest size does to the latency beside the objective.
func (m matrix) price(s, last BufferSize) string {
	if m.objective.Metric == "ack.p99" || s.AckP99 == nil || last.AckP99 == nil || s.AckP99.Median == 0 {
		return ""
	}
	ratio := last.AckP99.Median / s.AckP99.Median
	return fmt.Sprintf(". ack p99 is %s with it, and %s with %s (%s)", millisOf(s.AckP99.Median), millisOf(last.AckP99.Median), last.name(), change(&ratio))
}

// name is the size as bytes and, where it was written as a product, as that.
func (s BufferSize) name() string {
	text := bytesText(float64(s.Bytes))
	if rule := ofRule(s.Value); rule != "" {
		text += " (" + rule + " the rule)"
	}
	return text
}

func percentOf(ratio float64) string { return change(&ratio) }

// spanText is a ratio's interval in words.
func spanText(f *Figure) string {
	if f == nil || f.Low == nil {
		return "one repeat"
	}
	return fmt.Sprintf("%s%% interval %s to %s", decimal(100**f.Confidence, 0), change(f.Low), change(f.High))
}
