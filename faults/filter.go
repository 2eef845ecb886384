package faults

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/proxy"
)

// toldTreated bounds how many single requests a fault's evidence names.
const toldTreated = 5

func checkFilter(env Env) error {
	if _, ok := env.Cluster.(cluster.AnswerFilter); !ok {
		return fmt.Errorf("needs clients that go through kbench's proxies, as on --cluster local; %s has none", describe(env))
	}
	return nil
}

// trap is something between clients and brokers that catches requests.
type trap interface {
	// caught is the evidence so far; logical gives a topic's name in the scenario.
	caught(logical func(string) string) Evidence
	// awaitsRetry tells whether a client has yet to send again what it was not answered.
	awaitsRetry() bool
}

// filter begins to treat Produce requests for a topic. Whether it bites is seen as it catches: see caught.
func (in *Injection) filter(how cluster.Refusal, o order) error {
	f, ok := in.Cluster.(cluster.AnswerFilter)
	if !ok {
		return checkFilter(in.Env)
	}
	n := o.count
	if n == 0 {
		n = -1
	}
	in.target("topic " + o.target.Topic)
	in.before(Undo{Do: undoUnfilter})
	if err := in.journalled(); err != nil {
		return err
	}
	treated, _ := treatedSoFar(f)
	topic := in.Physical(o.target.Topic)
	in.trap = &filtering{how: how, filter: f, topic: topic, since: len(treated), from: f.Filtered()}
	in.struck()
	return f.Filter(how, topic, n)
}

// filtering is a filter at work.
type filtering struct {
	how    cluster.Refusal
	filter cluster.AnswerFilter
	topic  string
	since  int // entries of the evidence that are older
	from   int // requests treated before
}

// treatedSoFar is the filter's own list of what it treated, where it keeps one.
func treatedSoFar(f cluster.AnswerFilter) ([]proxy.Treated, bool) {
	lister, ok := f.(interface{ Treated() []proxy.Treated })
	if !ok {
		return nil, false
	}
	return lister.Treated(), true
}

// caught is what the filter has treated by now. A list of single batches proves more than a number, and is taken
// where there is one: then only batches of this topic, treated in this way, count, and their partitions are those that
// the fault could hurt.
func (f *filtering) caught(logical func(string) string) Evidence {
	var e Evidence
	list, ok := treatedSoFar(f.filter)
	if !ok {
		if n := f.filter.Filtered() - f.from; n > 0 {
			e.Bit = true
			e.Lines = []string{fmt.Sprintf("%d requests %s", n, f.verb())}
		}
		return e
	}
	batches, records, recognised := 0, 0, 0
	for _, t := range list[min(f.since, len(list)):] {
		if t.How != f.how || t.Topic != f.topic {
			continue
		}
		t.Topic = logical(t.Topic)
		if batches++; batches <= toldTreated {
			e.Lines = append(e.Lines, t.String())
		}
		if p := partitionName(client.Partition{Topic: t.Topic, Partition: t.Partition}); !slices.Contains(e.Partitions, p) {
			e.Partitions = append(e.Partitions, p)
		}
		records += t.Records
		if t.Retried {
			recognised++
		}
	}
	if e.Bit = batches > 0; e.Bit {
		e.Lines = append(e.Lines, fmt.Sprintf("in all %d batches with %d records %s", batches, records, f.verb()))
	}
	if recognised > 0 {
		e.Protection = []string{fmt.Sprintf("the brokers recognised the retry of %d cut batches as a duplicate and answered with the first offset", recognised)}
	}
	return e
}

// awaitsRetry tells whether an idempotent producer has yet to repeat a batch of which it was not told that it is stored.
func (f *filtering) awaitsRetry() bool {
	list, _ := treatedSoFar(f.filter)
	for _, t := range list[min(f.since, len(list)):] {
		if t.How == cluster.CutAnswer && f.how == t.How && t.Topic == f.topic && t.Idempotent && !t.Retried {
			return true
		}
	}
	return false
}

func (f *filtering) verb() string {
	if f.how == cluster.RefuseRequest {
		return "refused and not forwarded"
	}
	return "appended, their answers withheld"
}

var errNoFilter = errors.New("the cluster has no filter to end")

// unfilter ends every filter.
func unfilter(c any) error {
	f, ok := c.(cluster.AnswerFilter)
	if !ok {
		return errNoFilter
	}
	return f.Unfilter()
}
