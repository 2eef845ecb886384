package plantedtest_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/cluster/plantedtest"
)

// TestEachLieIsCaughtByItsOwnName runs every row with both client libraries: what is planted is found, under its own
// name and in the right number; nothing else is, but what follows from it; and each guarantee is violated if the decision
// table says so.
func TestEachLieIsCaughtByItsOwnName(t *testing.T) {
	table := decisionTable(t)
	for _, r := range rows() {
		t.Run(r.broker+" to "+r.to.String(), func(t *testing.T) {
			t.Parallel()
			drivers := r.clients
			if drivers == nil {
				drivers = []string{"confluent", "franz"}
			}
			outcomes, problems := make([]outcome, len(drivers)), make([]error, len(drivers))
			var both sync.WaitGroup
			for i, driver := range drivers {
				both.Go(func() { outcomes[i], problems[i] = r.run(t, driver) })
			}
			both.Wait()
			for i, driver := range drivers {
				if problems[i] != nil {
					t.Errorf("%s: %v", driver, problems[i])
					continue
				}
				if err := r.check(outcomes[i], table); err != nil {
					t.Errorf("%s: %v\n%v", driver, err, outcomes[i])
				}
			}
		})
	}
}

// run until the lie had its chance: on a machine that is busy otherwise a run may be over before, or a reader too late.
func (r row) run(t *testing.T, driver string) (o outcome, err error) {
	if r.lie == nil {
		return onLyingBroker(t, driver, r.source, &plantedtest.Lie{}, r.to)
	}
	for range 4 {
		o, err = onLyingBroker(t, driver, r.source, r.lie(), r.to|r.by)
		if err != nil || o.told > 0 && (r.counts != some || o.found(name(r.found)) > 0) {
			return o, err
		}
	}
	if o.told == 0 {
		err = fmt.Errorf("the lie never had a chance")
	}
	return o, err
}

// check compares what the judge says with what was planted.
func (r row) check(o outcome, table map[string][]string) error {
	for _, f := range o.Findings {
		allowed := append([]string{r.found}, r.with...)
		if !slices.ContainsFunc(allowed, func(label string) bool { return name(label) == f.Anomaly }) {
			return fmt.Errorf("%s was found, %d times", f.Anomaly, f.Count)
		}
	}
	if r.found == "" {
		return r.checkNothing(o)
	}
	n := o.found(name(r.found))
	if want := map[counting]uint64{each: o.told, one: 1, least: max(o.told, n), some: max(1, n)}[r.counts]; n != want {
		return fmt.Errorf("%d instances of %s, not %d", n, r.found, want)
	}
	return r.checkGuarantees(o, table)
}

func (r row) checkNothing(o outcome) error {
	if r.reason == "" {
		if o.Verdict != check.Holds {
			return fmt.Errorf("the verdict is %v", o.Verdict)
		}
		return nil
	}
	if o.Verdict != check.Inconclusive || !strings.Contains(strings.Join(o.Reasons, "\n"), r.reason) {
		return fmt.Errorf("the verdict is %v, and not inconclusive because of %q", o.Verdict, r.reason)
	}
	return nil
}

// checkGuarantees has the run judged by each guarantee.
func (r row) checkGuarantees(o outcome, table map[string][]string) error {
	for _, guarantee := range guarantees {
		again, err := o.by(guarantee)
		if err != nil {
			return err
		}
		breaks := func(label string) bool { return o.found(name(label)) > 0 && slices.Contains(table[label], guarantee) }
		broken := breaks(r.found) || slices.ContainsFunc(r.with, breaks)
		if violated := again.Verdict == check.Violated; violated != broken {
			return fmt.Errorf("under %s the verdict is %v, broken by the decision table: %v: %q", guarantee, again.Verdict, broken, again.Reasons)
		}
	}
	return nil
}

// name of an anomaly by its label in the decision table, which may tell variants apart.
func name(label string) string {
	name, _, _ := strings.Cut(label, " ")
	return name
}

var guarantees = []string{check.AtMostOnce, check.AtLeastOnce, check.ExactlyOnce, check.ExactlyOnceTransactions}

// decisionTable of docs/guarantees.md: the guarantees that each anomaly breaks.
func decisionTable(t *testing.T) map[string][]string {
	t.Helper()
	table := map[string][]string{}
	for _, cells := range markdownTable(t, "../../../docs/guarantees.md", "| anomaly | at-most-once |") {
		for i, guarantee := range guarantees {
			if cells[i+1] == "breaks" {
				table[cells[0]] = append(table[cells[0]], guarantee)
			}
		}
	}
	if len(table) < 10 {
		t.Fatalf("the decision table has %d anomalies that decide", len(table))
	}
	return table
}

// markdownTable is the body of the table whose head begins so.
func markdownTable(t *testing.T, path, head string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("%s has no table %q", path, head)
	}
	var rows [][]string
	for _, line := range strings.Split(body, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "| "), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, append(cells, "", "", "", "")[:max(5, len(cells))])
	}
	return rows
}

// TestThePageTellsWhatIsTested holds docs/planted.md to the rows.
func TestThePageTellsWhatIsTested(t *testing.T) {
	var tested, told []string
	for _, r := range rows() {
		tested = append(tested, r.line())
	}
	for _, cells := range markdownTable(t, "../../../docs/planted.md", "| the broker |") {
		told = append(told, "| "+strings.Join(cells[:4], " | ")+" |")
	}
	gaps := regexp.MustCompile(" +")
	for i := range tested {
		tested[i] = gaps.ReplaceAllString(tested[i], " ")
	}
	for i := range told {
		told[i] = gaps.ReplaceAllString(told[i], " ")
	}
	if !slices.Equal(tested, told) {
		t.Errorf("docs/planted.md has not the lines that are tested:\n%s", strings.Join(tested, "\n"))
	}
}

// line of the page.
func (r row) line() string {
	found := r.found
	switch {
	case found == "" && r.reason == "":
		found = "nothing: *holds*"
	case found == "":
		found = "nothing: *inconclusive*"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", r.broker, r.to, found, strings.Join(r.with, ", "))
}

func (a audience) String() string {
	return map[audience]string{toAll: "everybody", toClients: "clients", toJudge: "the final reader", toAdmin: "kbench"}[a]
}
