package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/segments"
)

// shelf keeps what brokers had on disk of the run's topics: of a broker that was killed, stopped or paused before it goes
// on, since it then truncates what others do not have, and of all brokers after the final read. Kept is which record
// stood at which offset, in the form of a history (ADR 6).
type shelf struct {
	run  *run
	logs cluster.Logs // nil: this cluster cannot be looked into

	mu      sync.Mutex
	resting map[int32]chan struct{} // brokers at rest; closed once they were looked into
	looks   map[int32]int
}

// How much of a broker's logs is looked into, the newest: at rest, while the load goes on, and after all.
const (
	mostAtRest   = 64 << 20
	mostAfterAll = 256 << 20
)

func (r *run) newShelf() *shelf {
	s := &shelf{run: r, resting: map[int32]chan struct{}{}, looks: map[int32]int{}}
	if !r.NoLooks {
		s.logs, _ = r.Cluster.(cluster.Logs)
	}
	return s
}

// atRest looks into a broker that does not move any more, beside whatever else goes on.
func (s *shelf) atRest(node int32, state string) {
	if s.logs == nil || !s.broker(node) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resting[node] != nil {
		return // paused, then killed: it has what it had
	}
	done := make(chan struct{})
	s.resting[node] = done
	s.looks[node]++
	look := rundir.Look{Broker: node, Number: s.looks[node], State: state}
	go func() {
		defer close(done)
		s.look(look, mostAtRest)
	}()
}

// goesOn returns when a broker at rest has been looked into.
func (s *shelf) goesOn(node int32) {
	s.mu.Lock()
	done := s.resting[node]
	delete(s.resting, node)
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

func (s *shelf) broker(node int32) bool {
	for _, id := range s.run.Cluster.Brokers() {
		if id == node {
			return true
		}
	}
	return false
}

// atEnd looks into all brokers, and reads what they said of truncations.
func (s *shelf) atEnd() {
	if s.logs == nil {
		return
	}
	var looking sync.WaitGroup
	for _, id := range s.run.Cluster.Brokers() {
		s.goesOn(id)
		s.looks[id]++
		look := rundir.Look{Broker: id, Number: s.looks[id], State: s.state(id), AfterAll: true}
		looking.Go(func() {
			var said []rundir.Truncation
			said, look.ToldAll = s.truncations(id, &look)
			s.run.change(func(m *rundir.Meta) { m.Truncated = append(m.Truncated, said...) })
			s.look(look, mostAfterAll)
		})
	}
	looking.Wait()
}

func (s *shelf) state(broker int32) string {
	if p, ok := s.run.Cluster.(cluster.Process); ok {
		if st, err := p.State(broker); err == nil {
			return st.State
		}
	}
	return "running"
}

// wait returns when nobody is being looked into.
func (s *shelf) wait() {
	for _, id := range s.run.Cluster.Brokers() {
		s.goesOn(id)
	}
}

// look writes down what a broker has. What goes wrong is told with the look: the run does not depend on it.
func (s *shelf) look(look rundir.Look, most int64) {
	look.At, look.Partitions = s.run.clock.Now(), map[string]rundir.Extent{}
	if err := s.write(&look, most); err != nil {
		look.Problems = append(look.Problems, err.Error())
	}
	look.TookMs = float64((s.run.clock.Now()-look.At)/1000) / 1000
	s.run.change(func(m *rundir.Meta) { m.Looks = append(m.Looks, look) })
}

func (s *shelf) write(look *rundir.Look, most int64) (err error) {
	dir, err := s.logs.LogDir(look.Broker, s.folders()...)
	if err != nil {
		return err
	}
	replicas, err := s.replicas(dir)
	if err != nil || len(replicas) == 0 {
		return err
	}
	header := s.run.header
	header.Self = history.Client{Name: fmt.Sprintf("broker-%d", look.Broker), Session: int32(look.Number)}
	brokers := filepath.Join(s.run.Dir, rundir.BrokersDir)
	if err := os.MkdirAll(brokers, 0o755); err != nil {
		return err
	}
	look.Log.File = logName(header.Self.Name, look.Number)
	path := filepath.Join(brokers, look.Log.File)
	log, err := history.Create(path, header)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, log.Close())
		size, sum, unread := history.Digest(path)
		look.Log.Bytes, look.Log.Sum, err = size, sum, errors.Join(err, unread)
	}()
	for index, path := range replicas {
		name := header.Partitions[index]
		e, err := s.partition(log, index, path, look.At, most/int64(len(replicas)))
		for _, problem := range e.Problems {
			look.Problems = append(look.Problems, name+": "+problem)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		look.Partitions[name] = rundir.Extent{From: e.From, End: e.End}
	}
	return nil
}

// folders of the run's partitions, as a broker calls them.
func (s *shelf) folders() (names []string) {
	for _, t := range s.run.topics {
		for p := range int32(t.Partitions) {
			names = append(names, folder(t.Physical, p))
		}
	}
	return names
}

func folder(topic string, partition int32) string { return topic + "-" + strconv.Itoa(int(partition)) }

// replicas are the folders of the run's partitions that a broker has, by index in the header's table.
func (s *shelf) replicas(dir string) (map[int32]string, error) {
	list := map[int32]string{}
	for _, t := range s.run.topics {
		for p := range int32(t.Partitions) {
			path := filepath.Join(dir, folder(t.Physical, p))
			if _, err := os.Stat(path); err == nil {
				list[t.First+p] = path
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return list, nil
}

// partition writes the records of one replica, some hundred at a time.
func (s *shelf) partition(log *history.Writer, index int32, path string, now, most int64) (segments.Extent, error) {
	const batch = 1000
	op := history.Op{
		Kind: history.FinalRead, Outcome: history.OK, Intended: history.Unknown, Call: now, Return: now, Partition: index,
		Offset: history.Unknown, FromPartition: history.Unknown, Generation: history.Unknown, Pass: 1, Isolation: history.ReadUncommitted,
	}
	flush := func() error {
		if len(op.Records) == 0 {
			return nil
		}
		op.Reached = op.Records[len(op.Records)-1].Offset + 1
		err := log.Append(&op)
		op.Records = op.Records[:0]
		return err
	}
	e, err := segments.Read(path, most, func(r *segments.Record) error {
		op.Records = append(op.Records, recordOf(&client.Fetched{Offset: r.Offset, Epoch: r.Epoch, Value: r.Value, Headers: r.Headers}, s.run.header.Run))
		if len(op.Records) < batch {
			return nil
		}
		return flush()
	})
	return e, errors.Join(err, flush())
}

// A broker that cuts a replica's end off says so.
var truncationLine = regexp.MustCompile(`^\[([^\]]+)\].*\[UnifiedLog partition=([^,]+)-(\d+), [^\]]*\] Truncat(?:ing to|e and start at) offset (\d+)`)

// truncations of the run's partitions that a broker has told of since the run began; whole says that all it told was read.
func (s *shelf) truncations(broker int32, look *rundir.Look) (list []rundir.Truncation, whole bool) {
	path, err := s.logs.ServerLog(broker)
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		look.Problems = append(look.Problems, err.Error())
		return nil, false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	whole = true
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), cluster.LogTorn) {
			look.Problems = append(look.Problems, fmt.Sprintf("%s: %s", filepath.Base(path), lines.Text()))
			whole = false
		}
		if t, ok := s.truncation(lines.Text()); ok {
			t.Broker = broker
			list = append(list, t)
		}
	}
	if err := lines.Err(); err != nil {
		look.Problems = append(look.Problems, fmt.Sprintf("%s: %v", filepath.Base(path), err))
		return list, false
	}
	return list, whole
}

func (s *shelf) truncation(line string) (rundir.Truncation, bool) {
	if !strings.Contains(line, "Truncat") {
		return rundir.Truncation{}, false
	}
	found := truncationLine.FindStringSubmatch(line)
	if found == nil {
		return rundir.Truncation{}, false
	}
	for _, t := range s.run.topics {
		if t.Physical != found[2] {
			continue
		}
		offset, err := strconv.ParseInt(found[4], 10, 64)
		wall, errTime := time.ParseInLocation("2006-01-02 15:04:05,000", found[1], time.Local)
		if err != nil || errTime != nil {
			return rundir.Truncation{}, false
		}
		return rundir.Truncation{Partition: t.Name + "/" + found[3], Offset: offset, At: wall.UnixNano() - s.run.clock.Wall()}, true
	}
	return rundir.Truncation{}, false
}
