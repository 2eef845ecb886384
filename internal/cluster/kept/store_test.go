package kept

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// stub keeps clusters that are no more than a word in a file.
type stub struct {
	root  string // a file for each cluster that is up
	fails error
	swept *int
}

func (s stub) Up(_ context.Context, m Making) error {
	m.Note("starting %s", m.Spec.Name)
	if s.fails != nil {
		return s.fails
	}
	if err := os.WriteFile(filepath.Join(s.root, m.Spec.Name), nil, 0o600); err != nil {
		return err
	}
	handle, err := json.Marshal(m.Spec.Name)
	if err != nil {
		return err
	}
	return m.Save(Record{Spec: m.Spec, Bootstrap: []string{"127.0.0.1:" + m.Spec.Heap}, Brokers: []int32{1}, Handle: handle})
}

func (s stub) Hold(_ context.Context, r Record, _ Holding) (Nodes, error) {
	var name string
	if err := json.Unmarshal(r.Handle, &name); err != nil {
		return nil, err
	}
	path := filepath.Join(s.root, name)
	if _, err := os.Stat(path); err != nil {
		return nil, ErrGone
	}
	return stubNodes{newFake(), path}, nil
}

func (s stub) Sweep(func(string, ...any)) error { *s.swept++; return nil }

type stubNodes struct {
	*fake
	path string
}

func (stubNodes) LogDir(int32, ...string) (string, error) { return "", nil }
func (stubNodes) ServerLog(int32) (string, error)         { return "", nil }
func (stubNodes) Close() error                            { return nil }

func (n stubNodes) Remove(context.Context) error { return os.Remove(n.path) }

func newStore(t *testing.T) (Store, stub) {
	t.Helper()
	kind := stub{root: t.TempDir(), swept: new(int)}
	return Store{Dir: filepath.Join(t.TempDir(), "clusters"), Kinds: map[cluster.Kind]Kind{cluster.Local: kind}, Note: t.Logf}, kind
}

func spec(name, port string) Spec {
	return Spec{Name: name, Kind: cluster.Local, Brokers: 1, Heap: port}
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, s Store) (list []string) {
	t.Helper()
	all, err := s.List(t.Context())
	ok(t, err)
	for _, k := range all {
		list = append(list, k.Spec.Name)
	}
	return list
}

func TestStoreFindsWhatIsUp(t *testing.T) {
	s, _ := newStore(t)
	if got := names(t, s); got != nil {
		t.Errorf("before the first: %v", got)
	}
	a, err := s.Up(t.Context(), spec("a", "1"))
	ok(t, err)
	_, err = s.Up(t.Context(), spec("b", "2"))
	ok(t, err)
	if got := names(t, s); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("up are %v", got)
	}
	if info, err := os.Stat(filepath.Join(s.Dir, "a")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if _, err := s.Up(t.Context(), spec("a", "3")); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second a: %v", err)
	}
	for address, want := range map[string]string{"127.0.0.1:2": "b", "localhost:1": "a", "127.0.0.1:9": ""} {
		k, found, err := s.At(t.Context(), []string{"h:1", address})
		if err != nil || found != (want != "") || k.Spec.Name != want {
			t.Errorf("at %s: %q, %v, %v", address, k.Spec.Name, found, err)
		}
	}
	ok(t, s.Down(t.Context(), a))
	if _, found, err := s.Find(t.Context(), "a"); found || err != nil {
		t.Errorf("after its end: %v, %v", found, err)
	}
	if got := names(t, s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("up are %v", got)
	}
}

func TestStoreRemovesWhatIsGone(t *testing.T) {
	s, kind := newStore(t)
	_, err := s.Up(t.Context(), spec("a", "1"))
	ok(t, err, os.Remove(filepath.Join(kind.root, "a")), os.Mkdir(filepath.Join(s.Dir, "killed-on-its-way-up"), 0o700))
	if _, found, err := s.Find(t.Context(), "a"); found || err != nil {
		t.Errorf("gone: %v, %v", found, err)
	}
	if got := names(t, s); got != nil || *kind.swept != 2 {
		t.Errorf("up are %v, swept %d times", got, *kind.swept)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, "*"))
	if err != nil || len(left) > 1 || len(left) == 1 && filepath.Base(left[0]) != changesFile {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestStoreLeavesAloneWhatIsStarting(t *testing.T) {
	s, _ := newStore(t)
	claim, err := s.claim(t.Context(), "a")
	ok(t, err)
	if got := names(t, s); got != nil {
		t.Errorf("up are %v", got)
	}
	if _, _, err := s.Find(t.Context(), "a"); !errors.Is(err, errStarting) {
		t.Errorf("while it starts: %v", err)
	}
	if _, err := os.Stat(s.folder("a")); err != nil {
		t.Errorf("its folder: %v", err)
	}
	ok(t, claim.Close())
	if _, found, err := s.Find(t.Context(), "a"); found || err != nil {
		t.Errorf("after who started it has ended: %v, %v", found, err)
	}
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	s, kind := newStore(t)
	kind.fails = errors.New("no room")
	s.Kinds[cluster.Local] = kind
	if _, err := s.Up(t.Context(), spec("a", "1")); !errors.Is(err, kind.fails) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.folder("a")); err == nil {
		t.Error("its folder is there")
	}
	for _, name := range []string{"", "../up", "a/b", ".hidden", strings.Repeat("x", 64)} {
		if _, err := s.Up(t.Context(), spec(name, "1")); err == nil || !strings.Contains(err.Error(), "cannot be called") {
			t.Errorf("named %q: %v", name, err)
		}
	}
	if _, err := s.Up(t.Context(), Spec{Name: "a", Kind: "k8s"}); err == nil || !strings.Contains(err.Error(), "k8s") {
		t.Errorf("of a kind that is none: %v", err)
	}
}

func TestTwoStartsOfOneNameAtATime(t *testing.T) {
	s, _ := newStore(t)
	const rivals = 8
	won := make(chan bool, rivals)
	for range rivals {
		go func() {
			_, err := s.Up(context.Background(), spec("a", "1"))
			won <- err == nil
		}()
	}
	winners := 0
	for range rivals {
		select {
		case w := <-won:
			if w {
				winners++
			}
		case <-time.After(30 * time.Second):
			t.Fatal("they wait for each other")
		}
	}
	if winners != 1 {
		t.Errorf("%d have started it", winners)
	}
}
