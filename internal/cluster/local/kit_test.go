package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseJavaMajor(t *testing.T) {
	for said, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime":          17,
		"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"21\" 2023": 21,
		"java version \"1.8.0_402\"":                                       8,
		"openjdk version \"25-ea\" 2025-09-16":                             25,
		"command not found":                                                0,
	} {
		got, err := parseJavaMajor(said)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d, %v, want %d", said, got, err, want)
		}
	}
}

func TestCachedJars(t *testing.T) {
	const kafka = "kafka_2.13-" + KafkaVersion + ".jar"
	for name, c := range map[string]struct {
		spoil func(dir string) error
		ok    bool
	}{
		"complete":           {func(string) error { return nil }, true},
		"a jar is missing":   {func(dir string) error { return os.Remove(filepath.Join(dir, "other.jar")) }, false},
		"a jar is cut short": {func(dir string) error { return os.Truncate(filepath.Join(dir, "other.jar"), 1) }, false},
		"a jar too many":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "x.jar"), nil, 0o644) }, false},
		"no list":            {func(dir string) error { return os.Remove(filepath.Join(dir, listFile)) }, false},
		"nothing":            {os.RemoveAll, false},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			dir := jarFolder(cache)
			must(t, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, kafka), []byte("kafka"), 0o644),
				os.WriteFile(filepath.Join(dir, "other.jar"), []byte("other"), 0o644))
			list, err := listJars(dir)
			must(t, err, os.WriteFile(filepath.Join(dir, listFile), []byte(list), 0o644), c.spoil(dir))
			j, err := cachedJars(cache)
			if (err == nil) != c.ok {
				t.Fatalf("got %v, %v", j, err)
			}
			if c.ok && (j.version != KafkaVersion || len(j.paths) != 2) {
				t.Errorf("got %+v", j)
			}
		})
	}
}

func TestHomeJars(t *testing.T) {
	for jar, want := range map[string]string{
		"kafka_2.13-4.1.0.jar":          "",
		"kafka_2.13-4.4.0-SNAPSHOT.jar": "",
		"kafka_2.13-3.9.1.jar":          "too old",
		"kafka-clients-4.3.1.jar":       "no kafka_2.13 jar",
	} {
		t.Run(jar, func(t *testing.T) {
			home := t.TempDir()
			must(t, os.Mkdir(filepath.Join(home, "libs"), 0o755), os.WriteFile(filepath.Join(home, "libs", jar), nil, 0o644))
			j, err := homeJars(home)
			if want == "" && (err != nil || "kafka_2.13-"+j.version+".jar" != jar) {
				t.Errorf("got %+v, %v", j, err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestAvailableSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	java := func(version string) string {
		path := filepath.Join(dir, "java-"+version)
		must(t, os.WriteFile(path, []byte("#!/bin/sh\necho 'openjdk version \""+version+"\"' >&2\n"), 0o755))
		return path
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no java":             {Options{Java: "/nonexistent/java"}, "no Java"},
		"old java":            {Options{Java: java("11.0.1")}, "java 11 found"},
		"no jars, no maven":   {Options{Java: java("17.0.1"), CacheDir: dir, Maven: "/nonexistent/mvn"}, "no Maven"},
		"an empty KAFKA_HOME": {Options{Java: java("17.0.1"), KafkaHome: dir}, "KAFKA_HOME"},
		"maven would do":      {Options{Java: java("17.0.1"), CacheDir: dir, Maven: "/bin/sh"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Available(c.o)
			if c.want == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestLockWaitsForItsHolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(t.Context(), dir, nil)
	must(t, err)
	told := ""
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Lock(ctx, dir, func(format string, args ...any) { told = format; cancel() })
	if !errors.Is(err, context.Canceled) || told == "" {
		t.Fatalf("a second lock: %v, told %q", err, told)
	}
	done := make(chan error, 1)
	go func() {
		unlock, err := Lock(t.Context(), dir, nil)
		if err == nil {
			unlock()
		}
		done <- err
	}()
	unlock()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the lock was given back and not taken")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
