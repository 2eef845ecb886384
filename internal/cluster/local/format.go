package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

// Kafka formats a node's folder with two files: meta.properties, which says whose it is, and bootstrap.checkpoint, which
// carries the features that a new cluster of this version begins with. The second is the same for every node of every
// cluster of one version, so Kafka's own tool writes it once, and a node's folder is formatted without a JVM.
const (
	checkpointFile = "bootstrap.checkpoint"
	metaFile       = "meta.properties"
)

// makeCheckpoint has Kafka's StorageTool format a folder, and returns the checkpoint that it wrote.
func makeCheckpoint(ctx context.Context, run *proc.Starter, java string, j jars, scratch string) ([]byte, error) {
	dir := filepath.Join(scratch, "format")
	settings := map[string]string{
		"process.roles":             "controller",
		"node.id":                   "1",
		"controller.listener.names": "CONTROLLER",
		"listeners":                 "CONTROLLER://127.0.0.1:9093",
		"controller.quorum.voters":  "1@127.0.0.1:9093",
		"log.dirs":                  dir,
	}
	file := filepath.Join(scratch, "format.properties")
	if err := kraft.WriteProperties(file, settings); err != nil {
		return nil, err
	}
	_, err := runTool(ctx, run, java, "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp", j.classPath(), "kafka.tools.StorageTool",
		"format", "--cluster-id", kraft.NewUUID(), "--config", file)
	if err != nil {
		return nil, fmt.Errorf("formatting: %w", err)
	}
	return os.ReadFile(filepath.Join(dir, checkpointFile))
}

// format makes a node's folder what StorageTool would make it.
func format(dir, clusterID string, node int32, checkpoint []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	meta := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", clusterID, node, kraft.NewUUID())
	if err := os.WriteFile(filepath.Join(dir, metaFile), []byte(meta), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, checkpointFile), checkpoint, 0o644)
}
