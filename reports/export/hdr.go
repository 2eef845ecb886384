package export

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kbench/kbench/internal/stats"
)

// LogFile is the name of a run's histogram log.
const LogFile = "latency.hlog"

const (
	ticks   = 5         // lines for each halving of the distance to 100%, as HdrHistogram's tools have it
	perMs   = 1_000_000 // the histograms count nanoseconds, their tools show milliseconds
	logHead = "#[Histogram log format version 1.3]\n"
	legend  = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
)

// WritePercentiles writes a histogram of nanoseconds in milliseconds, as outputPercentileDistribution of HdrHistogram for
// Java does, to the letter.
func WritePercentiles(w io.Writer, h *hdrhistogram.Histogram) error {
	ms := func(ns float64) string { return fmt.Sprintf("%12s", halfUp(ns/perMs, int(h.SignificantFigures()))) }
	if _, err := fmt.Fprintf(w, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)"); err != nil {
		return err
	}
	for _, b := range h.CumulativeDistributionWithTicks(ticks) {
		share := b.Quantile / 100
		line := fmt.Sprintf("%s %s %10d", ms(float64(b.ValueAt)), halfUp(share, 12), b.Count)
		if b.Quantile != 100 {
			line += fmt.Sprintf(" %14s", halfUp(1/(1-share), 2))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	buckets, subBuckets := layout(h)
	_, err := fmt.Fprintf(w, "#[Mean    = %s, StdDeviation   = %s]\n#[Max     = %s, Total count    = %12d]\n#[Buckets = %12d, SubBuckets     = %12d]\n",
		ms(h.Mean()), ms(h.StdDev()), ms(float64(h.Max())), h.TotalCount(), buckets, subBuckets)
	return err
}

// halfUp writes a number that is not negative with so many decimals, a half rounded up, as Java does; Go rounds it to even.
func halfUp(v float64, decimals int) string {
	text := []byte(strconv.FormatFloat(v, 'f', -1, 64))
	point := bytes.IndexByte(text, '.')
	if point < 0 || len(text)-point-1 <= decimals {
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
	up := text[point+1+decimals] >= '5'
	text = text[:point+1+decimals]
	for i := len(text) - 1; up && i >= 0; i-- {
		switch text[i] {
		case '.':
		case '9':
			text[i] = '0'
		default:
			text[i]++
			up = false
		}
	}
	if up {
		text = append([]byte{'1'}, text...)
	}
	return string(text)
}

// layout is how HdrHistogram divides the range of a histogram.
func layout(h *hdrhistogram.Histogram) (buckets, subBuckets int) {
	unit := int(math.Log2(float64(h.LowestTrackableValue())))
	magnitude := int(math.Ceil(math.Log2(2 * math.Pow10(int(h.SignificantFigures())))))
	subBuckets = 1 << magnitude
	for covered := int64(subBuckets) << unit; ; covered <<= 1 {
		buckets++
		if covered > h.HighestTrackableValue() {
			return buckets, subBuckets
		}
	}
}

// entry is one line of a histogram log.
type entry struct {
	tag      string
	from, to int64 // ns on the run's clock
	counts   interface {
		Max() int64
		EncodeV2() ([]byte, error)
	}
}

// writeLog writes a histogram log, version 1.3: the tag of a line is its distribution's name, its times are seconds from
// the start of the measured part, and its histogram counts nanoseconds of records that were due then.
func writeLog(w io.Writer, r *Run, all []distribution, program string) error {
	if _, err := fmt.Fprintf(w, "%s#[kbench %s, run %s]\n#[Logged in nanoseconds; times from the start of the measured part]\n", logHead, program, r.Name); err != nil {
		return err
	}
	began := r.Figures.Measured.From
	if wall := r.wall(began); wall != nil {
		s := float64(*wall) / float64(time.Second)
		if _, err := fmt.Fprintf(w, "#[BaseTime: %.3f (seconds since epoch)]\n#[StartTime: %.3f (seconds since epoch), %s]\n",
			s, s, time.Unix(0, *wall).UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, legend); err != nil {
		return err
	}
	for _, e := range entries(r, all) {
		counts, err := e.counts.EncodeV2()
		if err != nil {
			return fmt.Errorf("%s: %w", e.tag, err)
		}
		if _, err := fmt.Fprintf(w, "Tag=%s,%.3f,%.3f,%.3f,%s\n", e.tag, seconds(e.from-began), seconds(e.to-e.from), float64(e.counts.Max())/perMs, counts); err != nil {
			return err
		}
	}
	return nil
}

// entries are in order of their start, as readers expect them. Where nothing was due there is none.
func entries(r *Run, all []distribution) []entry {
	var list []entry
	for _, d := range all {
		if d.step == nil {
			list = append(list, entry{d.name(), d.window.From, d.window.To, d.counts.Counts()})
			continue
		}
		list = append(list, intervals(d, r.Figures.Series)...)
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(a.from, b.from) })
	return list
}

func intervals(d distribution, s stats.Series) []entry {
	var list []entry
	for n := range s.Points {
		in := d.step(&s.Points[n])
		if in.Count() == 0 {
			continue
		}
		from := s.From + int64(n)*int64(s.Step)
		list = append(list, entry{d.name(), from, max(from, min(from+int64(s.Step), d.window.To)), in.Counts()})
	}
	return list
}
