package confluent_test

import (
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/drivertest"
)

func TestRealCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real cluster")
	}
	c := clustertest.Start(t, local.Options{Brokers: 3, Config: map[string]string{"group.initial.rebalance.delay.ms": "0"}})
	drivertest.RunOn(t, confluent.New(nil), c.Bootstrap())
}
