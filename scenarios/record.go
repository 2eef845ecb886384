package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kbench/kbench/internal/payload"
)

// RecordSpec says what a record looks like.
type RecordSpec struct {
	Size            int   // bytes of the value, at least payload's minimum; where Sizes varies, the largest
	Sizes           Sizes // how the size varies; the zero value: it does not
	Keys            Keys
	NullKeys        float64 // share of records that have no key besides
	Headers         Headers
	Tombstones      float64 // share of records whose value is null; on compacted topics
	Payload         string  // "random", "compressible", "ratio" or "file"
	PayloadFile     string
	Compressibility float64 // share of a compressible payload that repeats, default 0.5
	Ratio           float64 // ratio: what a codec should reach over whole batches, uncompressed to compressed
}

// Sizes of records that vary. Between Min and Max, whatever the distribution.
type Sizes struct {
	Kind     string // "", or one of the kinds below
	Min, Max int
	A, B     float64   // normal: mean and standard deviation; lognormal: median and sigma; zipf: A is the exponent
	Bins     []SizeBin // histogram
}

// SizeBin is one size of a histogram, and its part of all records; parts need not add up to 1.
type SizeBin struct {
	Size int
	Part float64
}

// Kinds of Sizes.
const (
	UniformSizes   = "uniform"   // uniform(MIN, MAX)
	NormalSizes    = "normal"    // normal(MEAN, DEVIATION, MIN, MAX): drawn again where it falls outside
	LognormalSizes = "lognormal" // lognormal(MEDIAN, SIGMA, MIN, MAX): likewise
	HistogramSizes = "histogram" // histogram(SIZE:PART, ...)
	ZipfSizes      = "zipf"      // zipf(MIN, MAX, EXPONENT): MIN is the most frequent
)

// Keys says which keys records have.
type Keys struct {
	Kind     string  // one of the kinds below
	Count    int     // distinct keys, default 1000
	Exponent float64 // zipf: the n-th key is drawn in proportion to n^-Exponent, default 1.1
	Hot      int     // hot: so many keys
	Share    float64 // hot: have this share of the records
}

// Kinds of Keys.
const (
	NoKeys         = "none"       // the client spreads the records
	UniformKeys    = "uniform"    // uniform(N)
	ZipfKeys       = "zipf"       // zipf(N, EXPONENT)
	HotKeys        = "hot"        // hot(SHARE, HOT, N): HOT of N keys have the SHARE, the others what is left
	SequentialKeys = "sequential" // sequential(N): one after the other, and again
)

// Headers of a record.
type Headers struct {
	Count int // of each record
	Size  int // bytes of each value, default 16
}

const (
	defaultExponent = 1.1
	defaultHeader   = 16
	mostHeaders     = 100
	mostBins        = 1000
	mostExponent    = 20
	mostRatio       = 100
	mostSize        = 1 << 30
)

// form is one way to write a value of the record: its arguments, s a record's size, d a deviation of it, n a number of things, f a
// number, e an exponent, h a share, b a bin, p a path. Those behind a ? may be left out; the last one repeats before a +.
type form struct{ args, written string }

func sizeForms() map[string]form {
	return map[string]form{
		UniformSizes: {"ss", "uniform(MIN, MAX)"}, NormalSizes: {"sdss", "normal(MEAN, DEVIATION, MIN, MAX)"},
		LognormalSizes: {"sfss", "lognormal(MEDIAN, SIGMA, MIN, MAX)"}, HistogramSizes: {"b+", "histogram(SIZE:PART, ...)"},
		ZipfSizes: {"ss?e", "zipf(MIN, MAX, EXPONENT)"},
	}
}

func keyForms() map[string]form {
	return map[string]form{
		UniformKeys: {"?n", "uniform(N)"}, ZipfKeys: {"?ne", "zipf(N, EXPONENT)"}, HotKeys: {"hn?n", "hot(SHARE, HOT, N)"},
		SequentialKeys: {"?n", "sequential(N)"}, NoKeys: {"", "none"},
	}
}

func payloadForms() map[string]form {
	return map[string]form{
		"random": {"", "random"}, "compressible": {"?h", "compressible(SHARE)"}, "ratio": {"f", "ratio(N)"}, "file": {"p", "file(PATH)"},
	}
}

// writtenForms are how a value can be written, for messages.
func writtenForms(forms map[string]form) string {
	var all []string
	for _, f := range forms {
		all = append(all, f.written)
	}
	slices.Sort(all)
	return orList(all)
}

// arguments of a call, read by its form.
type arguments struct {
	numbers []float64 // all but bins and paths, in order
	bins    []SizeBin
	path    string
}

// readForm reads a call by one of the forms.
func readForm(s string, forms map[string]form, besides string) (call, arguments, error) {
	c, err := parseCall(s)
	if err != nil {
		return call{}, arguments{}, err
	}
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	slices.Sort(names)
	f, known := forms[c.name]
	switch {
	case !known:
		return c, arguments{}, wrong(didYouMean(c.name, names), "expected %s%s, found %q", besides, writtenForms(forms), s)
	case c.rest != "":
		return c, arguments{}, wrong("", "nothing can follow %s, found %q", f.written, c.rest).at(c.restAt)
	}
	least, optional, _ := strings.Cut(f.args, "?")
	args := least + optional
	if one := strings.TrimSuffix(args, "+"); one != args {
		least, args = one, strings.Repeat(one, max(1, min(len(c.args), mostBins)))
	}
	if len(c.args) < len(least) || len(c.args) > len(args) || c.brackets && len(args) == 0 {
		at := 0
		if c.brackets {
			at = c.argsAt - 1
		}
		return c, arguments{}, wrong("", "expected %s, found %q", f.written, s).at(at)
	}
	var a arguments
	for i, text := range c.args {
		if err := a.take(args[i], text); err != nil {
			return c, a, err.at(c.argsAt)
		}
	}
	return c, a, nil
}

func (a *arguments) take(kind byte, text string) *mistake {
	switch kind {
	case 's':
		size, err := recordBytes(text)
		if err != nil {
			return err
		}
		a.numbers = append(a.numbers, float64(size))
	case 'b':
		size, part, ok := strings.Cut(text, ":")
		if !ok {
			return wrong("such as 1KiB:0.25", "expected SIZE:PART, found %q", text)
		}
		bytes, err := recordBytes(strings.TrimSpace(size))
		if err != nil {
			return err
		}
		p, err := within64(strings.TrimSpace(part), 0, 1e9, "a part above 0")
		if err != nil || p == 0 {
			return wrong("", "expected a part above 0, found %q", strings.TrimSpace(part))
		}
		a.bins = append(a.bins, SizeBin{int(bytes), p})
	case 'd':
		size, err := parseSize(text)
		if err != nil || size > mostSize {
			return wrong("", "expected a deviation such as 100 or 4KiB, found %q", text)
		}
		a.numbers = append(a.numbers, float64(size))
	case 'n':
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 32)
		if err != nil || n < 1 {
			return wrong("", "expected a whole number of at least 1, found %q", text)
		}
		a.numbers = append(a.numbers, float64(n))
	case 'h':
		return a.number(text, 0, 1, "a share from 0 to 1")
	case 'e':
		return a.number(text, 0, mostExponent, fmt.Sprintf("an exponent from 0 to %d", mostExponent))
	case 'f':
		return a.number(text, 0, mostRatio, fmt.Sprintf("a number from 0 to %d", mostRatio))
	case 'p':
		if a.path = text; text == "" {
			return wrong("write file(path)", "which file?")
		}
	}
	return nil
}

func (a *arguments) number(text string, least, most float64, what string) *mistake {
	v, err := within64(text, least, most, what)
	if err == nil {
		a.numbers = append(a.numbers, v)
	}
	return err
}

func within64(text string, least, most float64, what string) (float64, *mistake) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= least && v <= most) {
		return 0, wrong("", "expected %s, found %q", what, text)
	}
	return v, nil
}

// recordBytes reads a record's size.
func recordBytes(text string) (int64, *mistake) {
	n, err := parseSize(text)
	switch {
	case err != nil:
		return 0, wrong("", "expected a size such as 512, 16KiB or 1MiB, found %q", text)
	case n < payload.Size:
		return 0, wrong("", "a record has at least %d bytes, which carry its identity and checksum; found %q", payload.Size, text)
	case n > mostSize:
		return 0, wrong("", "expected at most 1GiB, found %q", text)
	}
	return n, nil
}

// optional is the i-th number, or a default.
func (a arguments) optional(i int, otherwise float64) float64 {
	if i < len(a.numbers) {
		return a.numbers[i]
	}
	return otherwise
}

// parseSizes reads how sizes vary.
func parseSizes(s string) (Sizes, error) {
	c, a, err := readForm(s, sizeForms(), "a size such as 1KiB, ")
	if err != nil {
		return Sizes{}, err
	}
	v, n := Sizes{Kind: c.name}, a.numbers
	switch c.name {
	case UniformSizes:
		v.Min, v.Max = int(n[0]), int(n[1])
	case NormalSizes, LognormalSizes:
		v.A, v.B, v.Min, v.Max = n[0], n[1], int(n[2]), int(n[3])
	case ZipfSizes:
		v.Min, v.Max, v.A = int(n[0]), int(n[1]), a.optional(2, defaultExponent)
	case HistogramSizes:
		v.Bins, v.Min = a.bins, mostSize
		for _, b := range a.bins {
			v.Min, v.Max = min(v.Min, b.Size), max(v.Max, b.Size)
		}
	}
	switch {
	case v.Min > v.Max:
		return v, wrong("", "the least size is above the greatest: %d and %d bytes", v.Min, v.Max).at(c.argsAt)
	case (c.name == NormalSizes || c.name == LognormalSizes) && (v.A < float64(v.Min) || v.A > float64(v.Max)):
		return v, wrong("", "the middle, %s, lies outside of %d to %d bytes", formatFloat(v.A), v.Min, v.Max).at(c.argsAt)
	}
	return v, nil
}

// text writes the sizes as parseSizes reads them.
func (v Sizes) text() string {
	size := func(n int) string { return formatSize(int64(n)) }
	args := []string{size(v.Min), size(v.Max)}
	switch v.Kind {
	case NormalSizes:
		args = append([]string{size(int(v.A)), size(int(v.B))}, args...)
	case LognormalSizes:
		args = append([]string{size(int(v.A)), formatFloat(v.B)}, args...)
	case ZipfSizes:
		args = append(args, formatFloat(v.A))
	case HistogramSizes:
		args = nil
		for _, b := range v.Bins {
			args = append(args, size(b.Size)+":"+formatFloat(b.Part))
		}
	}
	return v.Kind + "(" + strings.Join(args, ", ") + ")"
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// parseKeys reads zipf(1000), uniform(1000), hot(0.9, 10), sequential(1000), none.
func parseKeys(s string) (Keys, error) {
	c, a, err := readForm(s, keyForms(), "")
	if err != nil {
		return Keys{}, err
	}
	k := Keys{Kind: c.name}
	switch c.name {
	case UniformKeys, SequentialKeys:
		k.Count = int(a.optional(0, defaultKeys))
	case ZipfKeys:
		k.Count, k.Exponent = int(a.optional(0, defaultKeys)), a.optional(1, defaultExponent)
	case HotKeys:
		k.Share, k.Hot, k.Count = a.numbers[0], int(a.numbers[1]), int(a.optional(2, defaultKeys))
		if k.Hot >= k.Count {
			return k, wrong("hot(SHARE, HOT, N)", "%d hot keys of %d leave no others", k.Hot, k.Count).at(c.argsAt)
		}
	}
	return k, nil
}

// text writes the keys as parseKeys reads them.
func (k Keys) text() string {
	switch k.Kind {
	case ZipfKeys:
		if k.Exponent != defaultExponent {
			return fmt.Sprintf("zipf(%d, %s)", k.Count, formatFloat(k.Exponent))
		}
	case HotKeys:
		return fmt.Sprintf("hot(%s, %d, %d)", formatFloat(k.Share), k.Hot, k.Count)
	case NoKeys:
		return NoKeys
	}
	return fmt.Sprintf("%s(%d)", k.Kind, k.Count)
}

// record reads what a record looks like.
func (d *decoder) record(to *RecordSpec) reader {
	return func(n *node, path string) {
		d.object(n, path, fields{
			"size": d.recordSize(to), "keys": grammar(d, &to.Keys, writtenForms(keyForms()), parseKeys), "null-keys": d.share(&to.NullKeys),
			"headers": d.headers(&to.Headers), "tombstones": d.share(&to.Tombstones), "payload": d.payload(to),
		}, nil)
	}
}

// recordSize reads one size, or how sizes vary.
func (d *decoder) recordSize(to *RecordSpec) reader {
	return func(n *node, path string) {
		if n.shape == aText && strings.Contains(n.text, "(") {
			grammar(d, &to.Sizes, "a size", parseSizes)(n, path)
			to.Size = max(to.Sizes.Max, payload.Size)
			return
		}
		size := payload.Size
		d.size(&size)(n, path)
		if size < payload.Size {
			d.complain(n.place, path, "", "a record has at least %d bytes, which carry its identity and checksum; found %s", payload.Size, n.found())
			return
		}
		to.Size = size
	}
}

func (d *decoder) headers(to *Headers) reader {
	return func(n *node, path string) {
		to.Size = defaultHeader
		d.object(n, path, fields{"count": d.integer(&to.Count, 1), "size": d.size(&to.Size)}, nil)
		switch {
		case d.broken(path):
		case to.Count == 0:
			d.complain(n.place, path, "such as {count: 3, size: 32}", "how many headers? headers need a count")
		case to.Count > mostHeaders:
			d.complain(d.locate(path+".count"), path+".count", "", "expected at most %d headers, found %d", mostHeaders, to.Count)
		case to.Size > 1<<20:
			d.complain(d.locate(path+".size"), path+".size", "", "expected at most 1MiB a header, found %s", formatSize(int64(to.Size)))
		}
	}
}

// payload reads random, compressible(0.5), ratio(4), file(path).
func (d *decoder) payload(to *RecordSpec) reader {
	return func(n *node, path string) {
		s, err := words(n, writtenForms(payloadForms()))
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		c, a, err := readForm(s, payloadForms(), "")
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		switch to.Payload, to.PayloadFile = c.name, a.path; c.name {
		case "compressible":
			to.Compressibility = a.optional(0, to.Compressibility)
		case "ratio":
			if to.Ratio = a.numbers[0]; to.Ratio < 1 {
				d.mistaken(n, path, wrong("1 is as good as random", "expected a ratio of at least 1, found %s", formatFloat(to.Ratio)).at(c.argsAt))
			}
		}
	}
}

func (r RecordSpec) yaml() document {
	var m document
	if r.Sizes.Kind != "" {
		m.add("size", r.Sizes.text())
	} else {
		m.add("size", scalarOf(formatSize(int64(r.Size))))
	}
	m.add("keys", r.Keys.text())
	if r.NullKeys > 0 {
		m.add("null-keys", number(r.NullKeys))
	}
	if h := r.Headers; h.Count > 0 {
		m.add("headers", document{{Key: "count", Value: h.Count}, {Key: "size", Value: scalarOf(formatSize(int64(h.Size)))}})
	}
	if r.Tombstones > 0 {
		m.add("tombstones", number(r.Tombstones))
	}
	m.add("payload", r.payload())
	return m
}

func (r RecordSpec) payload() string {
	switch r.Payload {
	case "compressible":
		return "compressible(" + formatFloat(r.Compressibility) + ")"
	case "ratio":
		return "ratio(" + formatFloat(r.Ratio) + ")"
	case "file":
		return "file(" + r.PayloadFile + ")"
	}
	return r.Payload
}

// Bytes is the most that one record takes without its key.
func (r RecordSpec) Bytes() int { return r.Size + r.Headers.Count*(r.Headers.Size+len("h99")) }

func recordSchema() schema {
	share := func(about string) schema {
		return described(schema{"type": "number", "minimum": 0, "maximum": 1}, about)
	}
	return objectOf("", map[string]schema{
		"size": {"anyOf": []schema{{"type": "integer", "minimum": payload.Size}, {"type": "string", "pattern": sizePattern},
			{"type": "string", "pattern": formsPattern(sizeForms())}},
			"description": fmt.Sprintf("of the value: a size, %s; at least %d bytes; default 1KiB", writtenForms(sizeForms()), payload.Size)},
		"keys":      pattern(writtenForms(keyForms())+"; default uniform(1000)", formsPattern(keyForms())),
		"null-keys": share("of records that have no key"),
		"headers": objectOf("of each record", map[string]schema{
			"count": {"type": "integer", "minimum": 1, "maximum": mostHeaders}, "size": sizeOf("of each value; default 16", 0)}, "count"),
		"tombstones": share("of records whose value is null, on compacted topics"),
		"payload":    pattern(writtenForms(payloadForms())+"; default random", formsPattern(payloadForms())),
	})
}

func formsPattern(forms map[string]form) string {
	var all []string
	for name, f := range forms {
		least, optional, _ := strings.Cut(f.args, "?")
		switch {
		case f.args == "":
		case strings.ContainsAny(f.args, "p+"):
			name += `\(.+\)`
		case least == "":
			name += fmt.Sprintf(`(\([^,]*(,[^,]+){0,%d}\))?`, len(optional)-1)
		default:
			name += fmt.Sprintf(`\([^,]+(,[^,]+){%d,%d}\)`, len(least)-1, len(least)+len(optional)-1)
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return `^\s*(` + strings.Join(all, "|") + `)\s*$`
}

// recordFits finds what the records and the topics that they go to cannot both be.
func (c *checker) recordFits() {
	r := c.s.Load.Record
	const at = "load.record."
	if r.Tombstones > 0 {
		for _, t := range c.s.loaded() {
			if !c.s.compacted(t) {
				c.say(at+"tombstones", "add config: {cleanup.policy: compact} to "+t.Name, "%s is not compacted: a tombstone there is a record without a value, and no more", t.Name)
			}
		}
	}
	if r.Keys.Kind != NoKeys && r.NullKeys == 0 {
		return
	}
	path := at + "null-keys"
	if r.Keys.Kind == NoKeys {
		path = at + "keys"
	}
	for _, t := range c.s.loaded() {
		if c.s.compacted(t) {
			c.say(path, "such as keys: uniform(1000)", "%s is compacted: brokers refuse records without a key there", t.Name)
		}
	}
	if r.Keys.Kind == NoKeys && r.NullKeys > 0 {
		c.say(at+"null-keys", "such as keys: uniform(1000)", "there are no keys of which some could be left out")
	}
}

// compacted tells whether brokers may take records out of a topic that later ones replace.
func (s *Scenario) compacted(t Topic) bool {
	return strings.Contains(s.TopicConfig(t)["cleanup.policy"], "compact")
}

// loaded are the topics that the producers send to.
func (s *Scenario) loaded() []Topic {
	var list []Topic
	for _, t := range s.Topics {
		if (s.Processor == nil || t.Name != s.Processor.To) && t.Weight > 0 {
			list = append(list, t)
		}
	}
	return list
}

// Turns is one round of the load's topics, as indices of those that it is sent to, each as often as its weight says and as evenly
// as can be: the record with the sequence number n of a producer goes to the n-th topic of the row that such rounds make.
func Turns(weights []int) []int {
	total, common := 0, 0
	for _, w := range weights {
		total, common = total+w, gcd(common, w)
	}
	if total == 0 {
		return nil
	}
	var turns []int
	due := make([]int, len(weights))
	for range total / common { // smooth weighted round robin: the one that has waited for the most
		next := 0
		for i, w := range weights {
			if due[i] += w; due[i] > due[next] {
				next = i
			}
		}
		due[next] -= total
		turns = append(turns, next)
	}
	return turns
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mostWeight bounds how long a round of topics can be.
const mostWeight = 1000

// Mean is the mean size of a value in bytes.
func (r RecordSpec) Mean() float64 {
	v := r.Sizes
	least, most := float64(v.Min), float64(v.Max)
	switch v.Kind {
	case UniformSizes:
		return (least + most) / 2
	case NormalSizes:
		from, to := (least-v.A)/v.B, (most-v.A)/v.B
		return v.mean(v.A + v.B*(bell(from)-bell(to))/(below(to)-below(from)))
	case LognormalSizes:
		from, to := math.Log(least/v.A)/v.B, math.Log(most/v.A)/v.B
		return v.mean(v.A * math.Exp(v.B*v.B/2) * (below(to-v.B) - below(from-v.B)) / (below(to) - below(from)))
	case ZipfSizes:
		sum, weight := 0.0, 0.0
		for k := 0.0; k <= most-least; { // sizes far from the first are taken in groups
			group := min(max(1, math.Floor(k/512)), most-least-k+1)
			x := k + (group-1)/2
			w := group * math.Pow(x+1, -v.A)
			sum, weight, k = sum+(least+x)*w, weight+w, k+group
		}
		return sum / weight
	case HistogramSizes:
		sum, parts := 0.0, 0.0
		for _, b := range v.Bins {
			sum, parts = sum+float64(b.Size)*b.Part, parts+b.Part
		}
		return sum / parts
	}
	return float64(r.Size)
}

// mean within the bounds; where next to nothing of a distribution lies between them, or it has no width, its middle.
func (v Sizes) mean(m float64) float64 {
	if !(m >= float64(v.Min) && m <= float64(v.Max)) {
		return v.A
	}
	return m
}

// bell is the normal distribution's density, below the share of it that is less than x.
func bell(x float64) float64  { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
func below(x float64) float64 { return (1 + math.Erf(x/math.Sqrt2)) / 2 }
