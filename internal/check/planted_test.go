package check

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

func keys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// accept compares what the judge says with what was planted.
func (p *planted) accept(j Judgement, head *log.Header, before map[string]int) error {
	got := found(j)
	n := uint64(got[p.anomaly] - before[p.anomaly])
	if n == 0 || got[p.anomaly] < before[p.anomaly] {
		return fmt.Errorf("%s was planted, and not found", p.anomaly)
	}
	if p.count > 0 && n != p.count {
		return fmt.Errorf("%s was planted %d times, and found %d times", p.anomaly, p.count, n)
	}
	for other := range got {
		if slices.Contains(interleaving, other) && !decided(j, other) {
			continue // the history may have had it before, and a record more or less may change it
		}
		if other != p.anomaly && got[other] > before[other] && !slices.Contains(p.with, other) {
			return fmt.Errorf("%s was planted, and besides %s was found", p.anomaly, other)
		}
	}
	if slices.Contains(p.breaks, j.Guarantee) && j.Verdict != Violated {
		return fmt.Errorf("%s breaks %s, and the verdict is %v", p.anomaly, j.Guarantee, j.Verdict)
	}
	f := j.Findings[slices.IndexFunc(j.Findings, func(f Finding) bool { return f.Anomaly == p.anomaly })]
	if want := slices.Contains(p.breaks, j.Guarantee) || j.Guarantee == "" && len(p.breaks) > 0; f.Decides != want && before[p.anomaly] == 0 {
		return fmt.Errorf("%s decides: %v, against %q: %v", p.anomaly, f.Decides, j.Guarantee, want)
	}
	return p.witnessed(f, head)
}

func decided(j Judgement, anomaly string) bool {
	return slices.ContainsFunc(j.Findings, func(f Finding) bool { return f.Anomaly == anomaly && f.Decides })
}

// witnessed tells whether what was planted is shown.
func (p *planted) witnessed(f Finding, head *log.Header) error {
	switch {
	case len(f.Witnesses) == 0 || f.Checked == 0 || uint64(len(f.Witnesses)) > f.Count:
		return fmt.Errorf("%s: %d of %d with %d witnesses", f.Anomaly, f.Count, f.Checked, len(f.Witnesses))
	case p.value == log.Value{} || f.Count > maxWitnesses:
		return nil
	}
	name := head.ValueName(p.value)
	shown := func(w Witness) bool { return w.Value == name || strings.Contains(w.Detail, name) }
	if !slices.ContainsFunc(f.Witnesses, shown) {
		return fmt.Errorf("%s: no witness shows %s: %+v", f.Anomaly, name, f.Witnesses)
	}
	return nil
}

// judgePlanted plants something, as lines or as a run directory, and tells whether it was found as it should be.
func judgePlanted(t *testing.T, plant plant, seed uint64, recorded bool) (planted bool, err error) {
	g := newGarden(alive(seed, recorded), recorded, seed)
	p, ok := plant.do(g)
	if !ok {
		return false, nil
	}
	j, err := g.judge(t, promises[g.rng.IntN(len(promises))])
	if err == nil {
		err = p.accept(j, &g.head, nil)
	}
	if err == nil && j.Guarantee != "" && !slices.Contains(p.breaks, j.Guarantee) && len(p.with) == 0 && !p.spoils {
		err = p.harmless(t, j, newGarden(alive(seed, recorded), recorded, seed))
	}
	if err == nil && !recorded && seed%10 == 0 {
		err = agree(g.jsonl(""))
	}
	if err != nil {
		err = fmt.Errorf("seed %#x, recorded %v: %w\n%+v %+v\n%s", seed, recorded, err, p, j.Findings, g.jsonl(j.Guarantee))
	}
	return true, err
}

// harmless tells whether what was planted leaves the verdict as it was.
func (p *planted) harmless(t *testing.T, j Judgement, untouched *garden) error {
	if untouched.recorded && p.beyond {
		if j.Verdict != Inconclusive {
			return fmt.Errorf("%s lies beyond what was read to, and the verdict is %v", p.anomaly, j.Verdict)
		}
		return nil
	}
	if j.Verdict == Holds {
		return nil
	}
	before, err := untouched.judge(t, j.Guarantee)
	if err == nil && before.Verdict != j.Verdict {
		err = fmt.Errorf("%s does not break %s, and the verdict is %v: %q, where it was %v", p.anomaly, j.Guarantee, j.Verdict, j.Reasons, before.Verdict)
	}
	return err
}

func (g *garden) judge(t *testing.T, guarantee string) (Judgement, error) {
	if !g.recorded {
		return JSONL(strings.NewReader(g.jsonl(guarantee)))
	}
	dir := t.TempDir()
	if err := g.write(dir); err != nil {
		return Judgement{}, err
	}
	return Dir(dir)
}

func TestPlantedAnomaliesAreFound(t *testing.T) {
	n := *histories / 20
	if testing.Short() {
		n = max(n/10, 3)
	}
	for k, plant := range plants() {
		t.Run(plant.name, func(t *testing.T) {
			tried, count := 0, 0
			for seed := uint64(k) << 32; count < n && tried < 10*n; seed++ {
				tried++
				planted, err := judgePlanted(t, plant, seed, seed%8 == 7)
				if err != nil {
					t.Fatal(err)
				}
				if planted {
					count++
				}
			}
			t.Logf("%-45s planted %5d in %6d histories, all found", plant.name, count, tried)
			if count < n/5 {
				t.Errorf("only %d of %d histories gave an occasion", count, tried)
			}
		})
	}
}
