package check

import (
	"fmt"
	"slices"
	"strings"
)

// scope says what was exercised, and what a holding verdict does not exclude.
func (t *trial) scope() string {
	if !t.run.recorded {
		return "A history in JSON Lines: what its lines say, and nothing else. Whether its faults bit, and whether its clients told the truth, is not known. " + t.covered() + t.uncovered()
	}
	m := t.run.meta
	parts := []string{
		fmt.Sprintf("Client %s, read by %s, on %s.", orUnknown(m.Client.Version, m.Client.Driver), orUnknown(m.Client.ReaderVer, m.Client.Reader), t.cluster()),
		t.exercised(),
	}
	if m.Cluster.Simulated {
		parts = append(parts, "The cluster is a simulation: it has no replication, so nothing is said about the loss of a broker.")
	}
	parts = append(parts, "Not excluded: loss of power, since nothing here makes the page cache disappear")
	exclusions := append(t.exclusions(), t.compaction()...)
	return strings.Join(parts, " ") + strings.Join(append([]string{""}, exclusions...), "; ") + "."
}

func orUnknown(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return "of unknown version"
}

func (t *trial) cluster() string {
	c := t.run.meta.Cluster
	return fmt.Sprintf("%s %s (%s, %d brokers)", orUnknown(c.Software, "a cluster"), orUnknown(c.Version), orUnknown(c.Kind), c.Brokers)
}

func (t *trial) exercised() string {
	var faults []string
	for _, f := range t.run.meta.Faults {
		if !f.Drawn {
			faults = append(faults, faultLabel(f.Name, f.Target))
		}
	}
	for _, k := range t.drawn().kinds {
		faults = append(faults, fmt.Sprintf("%d drawn of %s", k.times, k.name))
	}
	what := "no faults"
	if len(faults) > 0 {
		what = strings.Join(faults, ", ")
	}
	if n := t.ledger.hidden; n > 0 {
		what += fmt.Sprintf(", %d records stored and then aborted", n)
	}
	return fmt.Sprintf("Exercised: %d records in %d partitions; %s.", t.counts.Sent, len(t.ledger.parts), what)
}

// covered says how a hand-written history was read.
func (t *trial) covered() string {
	if t.ledger.finals == 0 {
		return "Without a final read: records that no poll returned may still be in the log."
	}
	return "With a final read."
}

// uncovered says what a hand-written history cannot show.
func (t *trial) uncovered() string {
	if list := t.compaction(); len(list) > 0 {
		return " Not excluded: " + list[0] + "."
	}
	return ""
}

// compaction says what nobody can tell of compacted topics.
func (t *trial) compaction() []string {
	for _, topic := range t.ledger.topics {
		if topic.compacted {
			return []string{fmt.Sprintf("in compacted topics, the loss of records that a later one of their key replaces, and of tombstones that are not kept for longer than the run: "+
				"%d such records were read by nobody", t.ledger.gone)}
		}
	}
	return nil
}

func (t *trial) exclusions() []string {
	j := t.run.meta.Judged
	var list []string
	if slices.Contains([]string{ExactlyOnce, ExactlyOnceTransactions}, t.run.guarantee) && !j.Transactions {
		list = append(list, "across producer sessions only at-least-once holds")
	}
	if j.Driver == "confluent" && j.Transactions {
		list = append(list, "a delayed EndTxn (KAFKA-17754), while librdkafka lacks the second part of KIP-890 (its issue 5423)")
	}
	if j.Driver == "confluent" && j.Idempotent {
		list = append(list, "duplicates after an epoch bump with several partitions in flight (librdkafka's issue 4953)")
	}
	return list
}
