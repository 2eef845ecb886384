package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/rundir"
)

// drawn are the faults of random series, by kind: what is done, and to whom. Chance may choose a moment in which nothing
// is at risk, and need not be told so: of each kind one fault has to have bitten, one to have had records at risk, and one
// to have met a defence. The others are counted.
type drawn struct{ kinds []*drawnKind }

type drawnKind struct {
	name                               string
	times, bitten, hadRisk, wasOpposed int
}

// kindLabel is a fault's name and its target without the number: kill broker, pause processor.
func kindLabel(f rundir.Fault) string {
	role, _, _ := strings.Cut(f.Target, " ")
	return strings.TrimSpace(f.Name + " " + role)
}

func (d *drawn) add(f rundir.Fault, atRisk uint64, opposed bool) {
	name := kindLabel(f)
	at := slices.IndexFunc(d.kinds, func(k *drawnKind) bool { return k.name == name })
	if at < 0 {
		at, d.kinds = len(d.kinds), append(d.kinds, &drawnKind{name: name})
	}
	k := d.kinds[at]
	k.times++
	if f.Bit {
		k.bitten++
		if atRisk > 0 {
			k.hadRisk++
		}
		if atRisk > 0 && opposed {
			k.wasOpposed++
		}
	}
}

// reasons why a kind of drawn fault shows nothing.
func (d *drawn) reasons() []string {
	var list []string
	for _, k := range d.kinds {
		switch {
		case k.bitten == 0:
			list = append(list, fmt.Sprintf("%s, drawn %d times, did not bite: nothing in the cluster or the system shows it", k.name, k.times))
		case k.hadRisk == 0:
			list = append(list, fmt.Sprintf("nothing was at risk while %s lasted, drawn %d times", k.name, k.times))
		case k.wasOpposed == 0:
			list = append(list, fmt.Sprintf("nothing shows that the promise was defended against %s, drawn %d times", k.name, k.times))
		}
	}
	return list
}

// warnings tell of the drawn faults that showed nothing, where others of their kind did.
func (d *drawn) warnings() []string {
	var list []string
	for _, k := range d.kinds {
		for _, w := range []struct {
			n    int
			what string
		}{{k.bitten, "bit"}, {k.hadRisk, "had records at risk"}, {k.wasOpposed, "met a defence that can be shown"}} {
			if w.n > 0 && w.n < k.times {
				list = append(list, fmt.Sprintf("%s, drawn %d times: %d %s", k.name, k.times, w.n, w.what))
			}
		}
	}
	return list
}

// drawn faults of the run, as they were judged.
func (t *trial) drawn() *drawn {
	d := &drawn{}
	if t.watch == nil || len(t.run.meta.Faults) == 0 {
		return d
	}
	for i, judged := range t.watch.judgements() {
		if f := t.run.meta.Faults[i]; f.Drawn && f.Error == "" { // one that could not be done is told by itself
			d.add(f, *judged.AtRisk, defended(judged, f))
		}
	}
	return d
}
