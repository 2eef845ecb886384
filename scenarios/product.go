package scenarios

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/kbench/kbench/internal/settings"
)

// product is a size that follows from others: 0.5 x batch.size x partitions x 2. It keeps a rule visible in the scenario,
// and true in each cell of a matrix that changes what it follows from.
type product struct {
	at      *node
	factors []string
}

const (
	bufferSetting = "buffer.memory"
	bufferPath    = "client." + bufferSetting
	// The names that a product can have among its factors.
	batchFactor      = "batch.size"
	partitionsFactor = "partitions" // those that the load is sent to, of all its topics

	productPattern = `^-?[0-9.]+\s*[a-zA-Zµ0-9.]*$|^\s*[a-zA-Z0-9.]+(\s+[x*]\s+[a-zA-Z0-9.]+)+\s*$`
)

var times = regexp.MustCompile(`\s+[x*]\s+`)

// isProduct tells whether a value is meant as one.
func isProduct(s string) bool {
	return times.MatchString(s) || s == batchFactor || s == partitionsFactor
}

// productOf reads the factors; what they are worth is known when the scenario is.
func (d *decoder) productOf(n *node, path string) {
	p := &product{at: n}
	rest := 0
	for _, factor := range times.Split(strings.TrimSpace(n.text), -1) {
		if _, err := factorOf(factor, 1, 1); err != nil {
			at := rest + strings.Index(n.text[rest:], factor)
			d.mistaken(n, path, err.at(len([]rune(n.text[:at]))))
			return
		}
		rest += strings.Index(n.text[rest:], factor) + len(factor)
		p.factors = append(p.factors, factor)
	}
	d.buffer = p
}

func factorOf(factor string, batch, partitions float64) (float64, *mistake) {
	switch factor {
	case batchFactor:
		return batch, nil
	case partitionsFactor:
		return partitions, nil
	}
	if n, err := strconv.ParseFloat(factor, 64); err == nil && n > 0 && !math.IsInf(n, 0) {
		return n, nil
	}
	if n, err := parseSize(factor); err == nil && n > 0 {
		return float64(n), nil
	}
	return 0, wrong(didYouMean(factor, []string{batchFactor, partitionsFactor}),
		"expected a product of numbers, sizes, batch.size and partitions, such as batch.size x partitions x 2; found %q", factor)
}

// product gives buffer.memory its value where it is one.
func (d *decoder) product(s *Scenario) {
	if d.buffer == nil || d.broken("topics") || d.broken("client."+batchFactor) {
		return
	}
	size := 1.0
	for _, factor := range d.buffer.factors {
		n, _ := factorOf(factor, float64(atoi(s.client(batchFactor))), float64(s.loadPartitions())) // was read before
		size *= n
	}
	value, err := ofProducers.parse(bufferSetting, strconv.FormatFloat(math.Ceil(size), 'f', 0, 64))
	if err != nil {
		d.mistaken(d.buffer.at, bufferPath, unnamed(err, bufferSetting))
		return
	}
	s.Client[bufferSetting] = value
}

// loadPartitions are those of the topics that the load is sent to.
func (s *Scenario) loadPartitions() int {
	n := 0
	for _, t := range s.Topics {
		if s.Processor == nil || t.Name != s.Processor.To {
			n += t.Partitions
		}
	}
	return n
}

func mustKnow(role settings.Role, name string) settings.Setting {
	known, _ := settings.Lookup(role, name)
	return known
}
