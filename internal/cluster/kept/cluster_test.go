package kept

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
)

// admin answers for brokers alone: those of the nodes that run.
type admin struct {
	client.Admin
	nodes *fake
}

func (a admin) Brokers(context.Context) (map[int32]string, error) {
	list := map[int32]string{}
	if st, err := a.nodes.State(1); err == nil && st.State == "running" {
		list[1] = "127.0.0.1:1"
	}
	return list, nil
}

// BrokerConfig is answered by the third time.
func (a admin) BrokerConfig(context.Context, int32) (map[string]string, error) {
	a.nodes.mu.Lock()
	defer a.nodes.mu.Unlock()
	if a.nodes.asked++; a.nodes.asked < 3 {
		return nil, errors.New("connection refused")
	}
	return nil, nil
}

func record() Record {
	return Record{
		Spec: Spec{Name: "a"}, Info: cluster.Info{Kind: "local", Software: "Apache Kafka", Version: "4.3.1", Mode: "kraft", Brokers: 1},
		Bootstrap: []string{"127.0.0.1:1"}, Brokers: []int32{1}, Controllers: []int32{1001}, Settings: map[string]string{"k": "v"}, JVM: []string{"-Xmx1g"},
	}
}

func TestOpenHealsWhatAnEarlierRunLeft(t *testing.T) {
	nodes := newFake()
	ok(t, nodes.Kill(t.Context(), 1), nodes.Pause(t.Context(), 1001))
	c, err := open(t.Context(), Kept{record(), stubNodes{nodes, ""}}, admin{nodes: nodes}, t.Logf)
	ok(t, err)
	if got := nodes.done[2:]; !slices.Equal(got, []string{"resume 1001", "start 1"}) {
		t.Errorf("done was %v", got)
	}
	if nodes.asked < 3 {
		t.Error("a broker that does not answer yet was taken for healthy")
	}
	ok(t, c.Healthy(t.Context()), nodes.Pause(t.Context(), 1001))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "node 1001 is paused") {
		t.Errorf("with a paused controller: %v", err)
	}
}

func TestAKeptClusterIsAnExternalOneThatKbenchKnows(t *testing.T) {
	nodes := newFake()
	c, err := open(t.Context(), Kept{record(), stubNodes{nodes, ""}}, admin{nodes: nodes}, t.Logf)
	ok(t, err)
	if i := c.Info(); i.Kind != "external" || i.Version != "4.3.1" || i.Mode != "kraft" || i.Simulated {
		t.Errorf("info %+v", i)
	}
	if c.Settings()["k"] != "v" || !slices.Equal(c.JVM(), []string{"-Xmx1g"}) || !slices.Equal(c.Brokers(), []int32{1}) {
		t.Errorf("settings %v, JVM %v, brokers %v", c.Settings(), c.JVM(), c.Brokers())
	}
	ok(t, c.Close(), c.Kill(t.Context(), 1))
}

// linkedNodes can be cut from their peers.
type linkedNodes struct {
	stubNodes
	cut map[int32]bool
}

func (n linkedNodes) CutPeers(_ context.Context, node int32) error  { n.cut[node] = true; return nil }
func (n linkedNodes) JoinPeers(_ context.Context, node int32) error { n.cut[node] = false; return nil }
func (n linkedNodes) PeersCut(node int32) (bool, error)             { return n.cut[node], nil }
func (n linkedNodes) LeaderBy(context.Context, int32, string, int32) (int32, int32, error) {
	return 1, 0, nil
}

func TestOpenJoinsWhatAnEarlierRunHasCut(t *testing.T) {
	nodes := newFake()
	n := linkedNodes{stubNodes{nodes, ""}, map[int32]bool{1: true}}
	c, err := open(t.Context(), Kept{record(), n}, admin{nodes: nodes}, t.Logf)
	ok(t, err)
	if n.cut[1] {
		t.Error("broker 1 is cut from its peers")
	}
	ok(t, c.Healthy(t.Context()))
	n.cut[1] = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "node 1 is cut from its peers") {
		t.Errorf("while it is cut: %v", err)
	}
}

func TestOpenSaysWhichBrokersAreMissing(t *testing.T) {
	r := record()
	r.Brokers = []int32{1, 1001}
	r.Controllers = nil
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	nodes := newFake()
	nodes.asked = 2
	if _, err := open(ctx, Kept{r, stubNodes{nodes, ""}}, admin{nodes: nodes}, t.Logf); err == nil || !strings.Contains(err.Error(), "broker 1001 is not registered") {
		t.Errorf("got %v", err)
	}
}
