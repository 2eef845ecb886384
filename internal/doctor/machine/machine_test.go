package machine

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// engine answers as Docker does, at a socket.
func engine(t *testing.T, answers map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		if !ok {
			http.Error(w, "no such page", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, text)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + path
}

func TestEngine(t *testing.T) {
	images := []string{"apache/kafka:4.3.1", "kbench/kafka:4.3.1"}
	whole := engine(t, map[string]string{
		"/version":     `{"Version": "28.2.2", "ApiVersion": "1.50"}`,
		"/images/json": `[{"RepoTags": ["kbench/kafka:4.3.1", "kbench/kafka:latest"]}, {"RepoTags": null}]`,
	})
	m := Machine{Docker: []string{"unix:///nowhere/docker.sock", whole}}
	e, err := m.Engine(t.Context(), images)
	if err != nil || e.Version != "28.2.2" || e.API != "1.50" || !slices.Equal(e.Images, images[1:]) {
		t.Errorf("%+v, %v", e, err)
	}
	for want, docker := range map[string][]string{
		"no Docker: nobody listens at unix:///nowhere/a or unix:///nowhere/b": {"unix:///nowhere/a", "unix:///nowhere/b"},
		"only unix:// and tcp://":        {"ssh://somewhere"},
		"404 Not Found: no such page":    {engine(t, nil)},
		"list its images: 404 Not Found": {engine(t, map[string]string{"/version": "{}"})},
	} {
		if _, err := (Machine{Docker: docker}).Engine(t.Context(), images); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %v: %v", docker, err)
		}
	}
}

func TestFreeOfAFolderThatIsToBeMade(t *testing.T) {
	here := t.TempDir()
	a, errA := Machine{}.Free(here)
	b, errB := Machine{}.Free(filepath.Join(here, "not", "yet"))
	if errA != nil || errB != nil || a == 0 || b == 0 {
		t.Errorf("%d, %v; %d, %v", a, errA, b, errB)
	}
}

func TestCommandsAndFiles(t *testing.T) {
	if said, err := (Machine{}).Command(t.Context(), "echo", "hello"); err != nil || said != "hello\n" {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := (Machine{}).File("/proc/loadavg"); err != nil {
		t.Error(err)
	}
	if (Machine{}).CPUs() < 1 {
		t.Error("no processors")
	}
}
