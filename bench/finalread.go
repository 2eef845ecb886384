package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// finalReader reads every partition from its start to its recorded end, with requests of its own over connections that
// no client used before.
type finalReader struct {
	run  *run
	log  *history.Writer
	last map[int32]int64 // last offset that the final read saw, by partition; absent: none
	op   history.Op
}

func (r *run) openFinal() (*finalReader, error) {
	header := r.header
	header.Self = history.Client{Name: rundir.FinalReader, Session: 1}
	path := filepath.Join(r.Dir, rundir.HistoryDir, logName(rundir.FinalReader, 1))
	log, err := history.Create(path, header)
	if err != nil {
		return nil, &ClusterError{fmt.Errorf("history of the final read: %w", err)}
	}
	return &finalReader{run: r, log: log, last: map[int32]int64{}}, nil
}

func (f *finalReader) close() error { return f.log.Close() }

// readAll settles the topics, records their ends, and reads them.
func (r *run) readAll(ctx context.Context, f *finalReader, topics []topicRef) error {
	if err := r.arrived(ctx, topics); err != nil {
		return err
	}
	ends := map[int32]int64{}
	for _, t := range topics {
		own, err := r.ends(ctx, t)
		if err != nil {
			return err
		}
		for p, end := range own {
			ends[t.First+p] = end
		}
	}
	if err := f.writeEnds(ends); err != nil {
		return err
	}
	if err := r.save(rundir.Reading); err != nil {
		return err
	}
	isolation := client.ReadUncommitted
	if r.meta.Judged.Transactions {
		isolation = client.ReadCommitted
	}
	for pass := 1; pass <= r.passes(); pass++ {
		for _, t := range topics {
			for p := range int32(t.Partitions) {
				if err := f.read(ctx, t, p, ends[t.First+p], pass, isolation); err != nil {
					return err
				}
			}
		}
	}
	return r.stillAtEnds(ctx, f, topics, ends)
}

// stillLooks is for how many looks in a row, 50 ms apart, the ends stand still before what no broker has answered for counts as not on
// its way any more. They are looks and not a time, since one may take long just where a broker has stopped reading.
const stillLooks = 20

// arrived waits, where an acknowledgement only says that the socket took a record (acks=0), until nothing has come to the logs for a
// while: megabytes may be on their way when the producer is closed. How many should come is known to nobody before the judge: who was
// killed did not tell its last figures, and with retries a record may come twice.
func (r *run) arrived(ctx context.Context, topics []topicRef) error {
	if !unanswered(r.s.Client) && (r.s.Processor == nil || !unanswered(r.s.Processor.Client)) {
		return nil
	}
	patient, cancel := context.WithTimeout(ctx, r.s.Load.Drain)
	defer cancel()
	for looks, stood := 0, int64(-1); ; {
		there, err := r.stored(patient, topics)
		if looks++; err != nil || there != stood {
			looks, stood = 0, there
		}
		if looks == stillLooks {
			return nil
		}
		if !pause(patient, 50*time.Millisecond) {
			if ctx.Err() == nil {
				r.problem("before the final read: the logs did not stand still for %d looks within load.drain, and with acks=0 more may be on its way", stillLooks)
			}
			return context.Cause(ctx)
		}
	}
}

// stored is how many offsets the topics' logs have, all together.
func (r *run) stored(ctx context.Context, topics []topicRef) (all int64, err error) {
	for _, t := range topics {
		ends, err := r.Admin.EndOffsets(ctx, t.Physical, client.ReadUncommitted)
		if err != nil {
			return 0, err
		}
		for _, end := range ends {
			all += end
		}
	}
	return all, nil
}

// stillAtEnds looks for what was appended after the ends were recorded, such as a request that had waited in a broker
// that was paused, or what a broker did not tell of at first. The final read did not cover it, so the later ends are
// recorded too: what stands between is not missing, it was not looked for.
func (r *run) stillAtEnds(ctx context.Context, f *finalReader, topics []topicRef, ends map[int32]int64) error {
	later := map[int32]int64{}
	for _, t := range topics {
		now, err := r.Admin.EndOffsets(ctx, t.Physical, client.ReadUncommitted)
		if err != nil {
			return fmt.Errorf("ends of %s after the final read: %w", t.Name, err)
		}
		for p := range int32(t.Partitions) {
			if recorded := ends[t.First+p]; now[p] != recorded {
				r.problem("%s/%d went on from %d to %d while it was finally read", t.Name, p, recorded, now[p])
				later[t.First+p] = now[p]
			}
		}
	}
	if len(later) == 0 {
		return nil
	}
	return f.writeEnds(later)
}

// unsettled says what keeps a topic from being read, "" for nothing, and its ends. Where that is an open transaction,
// still knows since when.
func (r *run) unsettled(ctx context.Context, t topicRef, still *stillness) (missing string, ends map[int32]int64) {
	seen := false
	defer func() {
		if !seen {
			still.forget()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	states, err := r.Admin.Partitions(ctx, t.Physical)
	if err != nil || len(states) != t.Partitions {
		return fmt.Sprintf("topic %s shows %d partitions: %v", t.Name, len(states), err), nil
	}
	if missing := notFull(states); missing != "" {
		return missing, nil
	}
	stable, err := r.Admin.EndOffsets(ctx, t.Physical, client.ReadCommitted)
	if err != nil {
		return fmt.Sprintf("last stable offsets of %s: %v", t.Name, err), nil
	}
	high, err := r.Admin.EndOffsets(ctx, t.Physical, client.ReadUncommitted)
	if err != nil {
		return fmt.Sprintf("high watermarks of %s: %v", t.Name, err), nil
	}
	seen = true
	still.look(stable, high)
	for p := range int32(t.Partitions) {
		end, known := high[p]
		if !known || stable[p] != end {
			return fmt.Sprintf("the last stable offset of %s/%d is %d, its high watermark %d", t.Name, p, stable[p], end), nil
		}
	}
	return "", high
}

func (f *finalReader) blank(kind history.Kind) {
	now := f.run.clock.Now()
	f.op = history.Op{
		Kind: kind, Outcome: history.OK, Intended: history.Unknown, Call: now, Return: now, Partition: history.Unknown,
		Offset: history.Unknown, FromPartition: history.Unknown, Generation: history.Unknown, Records: f.op.Records[:0],
	}
}

func (f *finalReader) writeEnds(ends map[int32]int64) error {
	f.blank(history.Ends)
	for p := range int32(len(f.run.header.Partitions)) {
		if end, ok := ends[p]; ok {
			f.op.Offsets = append(f.op.Offsets, history.PartitionOffset{Partition: p, Offset: end})
		}
	}
	return f.log.Append(&f.op)
}

// writePositions records where a group stands, once nobody of it works any more.
func (f *finalReader) writePositions(group string, positions map[int32]int64) error {
	f.blank(history.Ends)
	f.op.Group = group
	for p := range int32(len(f.run.header.Partitions)) {
		if offset, ok := positions[p]; ok {
			f.op.Offsets = append(f.op.Offsets, history.PartitionOffset{Partition: p, Offset: offset})
		}
	}
	return f.log.Append(&f.op)
}

// read reads one partition to its end. A reader that stops short is written down as such: the judge sees where.
func (f *finalReader) read(ctx context.Context, t topicRef, partition int32, end int64, pass int, isolation client.Isolation) error {
	index := t.First + partition
	patience := f.run.s.Load.Drain
	if f.run.held(index) {
		// Nobody who reads committed records gets past it. What stands there the last pass shows, which sees all.
		patience = min(patience, heldPatience)
		if pass == f.run.passes() {
			isolation = client.ReadUncommitted
		}
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reached, err := f.run.Reader.ReadPartition(limit, t.Physical, partition, 0, end, isolation, func(records []client.Fetched) error {
		f.blank(history.FinalRead)
		f.op.Partition, f.op.Pass, f.op.Isolation = index, int32(pass), isolationOf(isolation)
		for i := range records {
			f.op.Records = append(f.op.Records, recordOf(&records[i], f.run.header.Run))
			f.last[index] = max(f.last[index], records[i].Offset)
		}
		f.op.Reached = records[len(records)-1].Offset + 1
		return f.log.Append(&f.op)
	})
	if err != nil {
		f.run.problem("the final read of %s/%d reached %d of %d: %v", t.Name, partition, reached, end, err)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	f.blank(history.FinalRead)
	f.op.Partition, f.op.Pass, f.op.Isolation = index, int32(pass), isolationOf(isolation)
	f.op.Reached = min(reached, end) // the reader may have come further, but hands over nothing from the end on
	return f.log.Append(&f.op)
}

// heldPatience is how long a read of a partition waits that a transaction holds.
const heldPatience = 5 * time.Second

func isolationOf(i client.Isolation) history.Isolation {
	if i == client.ReadCommitted {
		return history.ReadCommitted
	}
	return history.ReadUncommitted
}

// writeFaults puts the faults' windows into the history, so that it stands on its own.
func (f *finalReader) writeFaults(faults []rundir.Fault) error {
	var problems []error
	for _, fault := range faults {
		f.blank(history.Fault)
		f.op.Name, f.op.Target, f.op.Call = fault.Name, fault.Target, fault.At
		f.op.Return = f.run.clock.Now()
		if fault.Healed != nil {
			f.op.Return = *fault.Healed
		}
		problems = append(problems, f.log.Append(&f.op))
	}
	return errors.Join(problems...)
}
