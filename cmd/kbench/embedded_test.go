package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/reports"
)

// short is a scenario of half a second, which any cluster can show.
const short = `name: short
about: a load of half a second
guarantee: at-least-once
cluster: {config: {min.insync.replicas: 2}}
topics: [{name: orders, partitions: 4, replication: 3}]
load: {rate: 400/s, duration: 500ms, record: {size: 200, keys: uniform(50)}}
client: {acks: all, enable.idempotence: true}
`

func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// command executes a command line and wants its exit code.
func command(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, progress bytes.Buffer
	if code := execute(args, strings.NewReader(""), &out, &progress); code != want {
		t.Errorf("kbench %s: exit code %d, not %d\n%s%s", strings.Join(args, " "), code, want, out.String(), progress.String())
	}
	return out.String(), progress.String()
}

func topicsOf(t *testing.T, bootstrap []string) []string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	details, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return details.Names()
}

// TestAnExternalClusterIsLeftAsItWas: the topics of a run are removed again, unless they are asked for, and others are
// not touched.
func TestAnExternalClusterIsLeftAsItWas(t *testing.T) {
	c, err := embedded.Start(embedded.Options{Config: map[string]string{"min.insync.replicas": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	scenario, dir := scenarioFile(t, short), t.TempDir()
	args := []string{"run", scenario, "--bootstrap-server", strings.Join(c.Bootstrap(), ","), "--json"}

	out, progress := command(t, reports.ExitAsExpected, append(args, "--out", filepath.Join(dir, "run"))...)
	var d reports.Document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if d.Cluster.Kind != "external" || d.Cluster.Simulated || d.Verdict != "holds" || !strings.Contains(progress, "cluster: external") {
		t.Errorf("%s on %+v\n%s", d.Verdict, d.Cluster, progress)
	}
	if left := topicsOf(t, c.Bootstrap()); len(left) > 0 {
		t.Errorf("topics left: %q", left)
	}
	command(t, reports.ExitInterrupted, append(args, "--out", filepath.Join(dir, "cut"), "--timeout", "1500ms", "--set", "load.duration=1m")...)
	if meta, err := rundir.Load(filepath.Join(dir, "cut")); err != nil || meta.Stage != rundir.Interrupted || meta.Clock.MeasureStart == 0 {
		t.Errorf("it was not cut off in the middle: %+v, %v", meta, err)
	}
	if left := topicsOf(t, c.Bootstrap()); len(left) > 0 {
		t.Errorf("topics left by a run that was cut off: %q", left)
	}
	command(t, reports.ExitAsExpected, append(args, "--out", filepath.Join(dir, "kept"), "--keep")...)
	if left := topicsOf(t, c.Bootstrap()); len(left) != 1 || !strings.HasPrefix(left[0], "orders-") {
		t.Errorf("topics kept: %q", left)
	}
	kept := topicsOf(t, c.Bootstrap())
	command(t, reports.ExitAsExpected, append(args, "--out", filepath.Join(dir, "beside"))...)
	if left := topicsOf(t, c.Bootstrap()); !slices.Equal(left, kept) {
		t.Errorf("%q became %q", kept, left)
	}
}

// TestAnExternalClusterThatIsNotThere is exit code 4, with a run directory that says why.
func TestAnExternalClusterThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_, progress := command(t, reports.ExitBroken, "run", scenarioFile(t, short), "--bootstrap-server", "127.0.0.1:1", "--out", dir)
	if !strings.Contains(progress, "127.0.0.1:1") {
		t.Errorf("it does not say where: %s", progress)
	}
	meta, err := rundir.Load(dir)
	if err != nil || meta.Stage != rundir.Broken || meta.Error == "" || meta.Cluster.Kind != "external" {
		t.Errorf("run.json says %q %q of a cluster %q: %v", meta.Stage, meta.Error, meta.Cluster.Kind, err)
	}
}

const secret = "hunter2-of-the-test"

func jaas(password string) string {
	return `org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" password="` + password + `";`
}

// TestSecretsAreWrittenNowhere reaches a cluster that asks for a password, with every client and with children, and looks
// for it in all that the run left and said.
func TestSecretsAreWrittenNowhere(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.EnableSASL(), kfake.Superuser("PLAIN", "ann", secret),
		kfake.BrokerConfigs(map[string]string{"min.insync.replicas": "2"}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	processes := strings.ReplaceAll(short, "partitions: 4", "partitions: 1") + `consumer: {group: readers, commit: after-processing}
steps: [{pause: producer(0)}, {resume: paused}, {pause: consumer(0)}, {resume: paused}]
`
	run := func(t *testing.T, exit int, scenario string, args ...string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "run")
		args = append([]string{"run", scenario, "--bootstrap-server", strings.Join(c.ListenAddrs(), ","), "--out", dir}, args...)
		out, progress := command(t, exit, args...)
		noSecret(t, "the output", out+progress)
		noSecretIn(t, dir)
		if exit == reports.ExitAsExpected {
			report, _ := command(t, exit, "report", dir, "--json", "-")
			noSecret(t, "the report", report)
		}
	}
	config := filepath.Join(t.TempDir(), "client.properties")
	if err := os.WriteFile(config, []byte("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config="+jaas(secret)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	onCommandLine := func(password string) []string {
		return []string{"-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.jaas.config=" + jaas(password)}
	}
	for _, driver := range []string{"confluent", "franz"} {
		t.Run(driver+" by --command-config", func(t *testing.T) {
			run(t, reports.ExitAsExpected, scenarioFile(t, short), "--driver", driver, "--command-config", config)
		})
		t.Run(driver+" by -X, in child processes", func(t *testing.T) {
			unjudged := strings.Replace(processes, "guarantee: at-least-once\n", "", 1)
			run(t, reports.ExitAsExpected, scenarioFile(t, unjudged), append(onCommandLine(secret), "--driver", driver)...)
		})
	}
	t.Run("what is no login", func(t *testing.T) {
		run(t, reports.ExitUsage, scenarioFile(t, short), "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.jaas.config="+secret)
	})
	t.Run("the wrong password", func(t *testing.T) {
		run(t, reports.ExitBroken, scenarioFile(t, short), onCommandLine(secret+"x")...)
	})
	t.Run("what only librdkafka knows", func(t *testing.T) {
		run(t, reports.ExitUsage, scenarioFile(t, short), "-X", "sasl.password="+secret)
	})
	t.Run("a matrix with a secret", func(t *testing.T) {
		run(t, reports.ExitUsage, scenarioFile(t, short+"matrix: {client.sasl.jaas.config: ['"+jaas(secret)+"']}\n"))
	})
	t.Run("brokers with a secret", func(t *testing.T) {
		run(t, reports.ExitUsage, scenarioFile(t, strings.Replace(short, "cluster: {config: {", "cluster: {config: {ssl.keystore.password: "+secret+", ", 1)))
	})
	t.Run("a scenario with a secret", func(t *testing.T) {
		run(t, reports.ExitUsage, scenarioFile(t, strings.Replace(short, "client: {", "client: {sasl.jaas.config: '"+jaas(secret)+"', ", 1)))
	})
}

func noSecret(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("%s shows the secret:\n%s", where, text)
	}
}

func noSecretIn(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		noSecret(t, path, string(text))
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files looked through: %v", files, err)
	}
}

// TestAnExportOfADamagedRunIsNoGroundForAVerdict turns a bit in the middle of a producer's log: what stood there is left out.
func TestAnExportOfADamagedRunIsNoGroundForAVerdict(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	command(t, reports.ExitAsExpected, "run", scenarioFile(t, short), "--cluster", "embedded", "--out", dir)
	to := filepath.Join(t.TempDir(), "history.jsonl")
	command(t, reports.ExitAsExpected, "export", dir, "--jsonl", to)
	path := rundir.Log(dir, "p0", 1)
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const magic, head = 8, 32 // docs/history.md
	operations := magic + head + int(binary.LittleEndian.Uint32(log[magic+4:])) + head
	log[operations+3] ^= 1
	if err := os.WriteFile(path, log, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, said := command(t, reports.ExitInconclusive, "export", dir, "--jsonl", to); !strings.Contains(said, "p0.1.log is damaged at byte") {
		t.Errorf("it says %q", said)
	}
	command(t, reports.ExitBroken, "export", dir, "--jsonl", filepath.Join(t.TempDir(), "nowhere", "history.jsonl"))
}

// TestTheSameSeedIsTheSameRun compares what two runs sent where.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	scenario := scenarioFile(t, short)
	placed := func(seed string) []int32 {
		dir := filepath.Join(t.TempDir(), "run")
		command(t, reports.ExitAsExpected, "run", scenario, "--cluster", "embedded", "--seed", seed, "--out", dir, "--quiet")
		h, err := history.Open(rundir.History(dir))
		if err != nil {
			t.Fatal(err)
		}
		where := make([]int32, 200)
		if err := h.Each(func(op *history.Op) error {
			if op.Kind == history.Send {
				where[op.Value.Seq] = op.Partition
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return where
	}
	first := placed("11")
	if !slices.Equal(first, placed("11")) {
		t.Error("the same seed sent other keys")
	}
	if slices.Equal(first, placed("12")) {
		t.Error("another seed sent the same keys")
	}
}

// TestTheSameSeedHasTheSameVictims draws a broker ten times a run.
func TestTheSameSeedHasTheSameVictims(t *testing.T) {
	steps := strings.Repeat("{kill: broker(random)}, {start: killed}, ", 6)
	scenario := scenarioFile(t, strings.ReplaceAll(strings.ReplaceAll(short, "guarantee: at-least-once\n", ""), "load: {rate: 400/s, duration: 500ms, ", "load: {")+
		"steps: ["+steps+"{send: 1}, {flush: true}]\n")
	victims := func(seed string) []string {
		dir := filepath.Join(t.TempDir(), "run")
		var out, progress bytes.Buffer
		execute([]string{"run", scenario, "--cluster", "embedded", "--seed", seed, "--out", dir, "--quiet"}, nil, &out, &progress)
		meta, err := rundir.Load(dir)
		if err != nil || len(meta.Faults) != 6 {
			t.Fatalf("%d faults: %v\n%s%s", len(meta.Faults), err, out.String(), progress.String())
		}
		var who []string
		for _, f := range meta.Faults {
			who = append(who, f.Target)
		}
		return who
	}
	first := victims("3")
	if again := victims("3"); !slices.Equal(first, again) {
		t.Errorf("%q, and with the same seed %q", first, again)
	}
	if slices.Equal(first, victims("4")) && slices.Equal(first, victims("5")) {
		t.Errorf("two other seeds have the same victims %q", first)
	}
}

// TestAnInterruptOnTheSimulation: at the first signal the run stops in order and leaves what check reads.
func TestAnInterruptOnTheSimulation(t *testing.T) {
	scenario := scenarioFile(t, strings.Replace(short, "duration: 500ms", "duration: 1h", 1)+
		"consumer: {group: readers, commit: after-processing}\nfaults: [{at: 100ms, pause: consumer(0)}]\n")
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			cmd := &exec.Cmd{Path: os.Args[0], Args: []string{"kbench", "run", scenario, "--cluster", "embedded", "--out", out}}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitPause(t, out)
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code says it
			if code := cmd.ProcessState.ExitCode(); code != reports.ExitInterrupted {
				t.Errorf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
			}
			noProcesses(t, out)
			if verdict, _ := command(t, reports.ExitInterrupted, "check", out); !strings.Contains(verdict, "INCONCLUSIVE") {
				t.Errorf("check says %s", verdict)
			}
			h, err := history.Open(rundir.History(out))
			if err != nil || len(h.Tears) > 0 {
				t.Errorf("tears %+v: %v", h.Tears, err)
			}
		})
	}
}

// awaitPause waits until the run has written down that its consumer is paused.
func awaitPause(t *testing.T, dir string) {
	t.Helper()
	for range 600 {
		if _, err := os.Stat(filepath.Join(dir, rundir.UndoFile)); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the fault never struck")
}
