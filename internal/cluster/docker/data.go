package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

const (
	copyLimit = 30 * time.Second // a broker that is at rest waits for it
	copies    = ".data"          // in the folder of the logs
)

// LogDir of a broker: its volume, where this machine and this user see it, else a copy of its segments as they are now. See
// cluster.Logs.
func (c *Cluster) LogDir(id int32, partitions ...string) (string, error) {
	if err := c.known(id); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), copyLimit)
	defer cancel()
	found, err := c.engine.client.ContainerInspect(ctx, c.container(id), client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("data of %s: %w", kraft.Name(id), err)
	}
	for _, m := range found.Container.Mounts {
		if _, err := os.Stat(filepath.Join(m.Source, "meta.properties")); m.Destination == dataDir && err == nil {
			return m.Source, nil
		}
	}
	return c.copyData(ctx, id, partitions)
}

// copyData copies a node's segments out of its container, into a folder that Close removes. The copy before goes.
func (c *Cluster) copyData(ctx context.Context, id int32, partitions []string) (string, error) {
	dir := filepath.Join(c.logs.dir, copies, kraft.Name(id))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	paths := []string{dataDir + "/."}
	if len(partitions) > 0 {
		paths = nil
	}
	for _, name := range partitions {
		paths = append(paths, dataDir+"/"+name)
	}
	for _, path := range paths {
		from, err := c.engine.client.CopyFromContainer(ctx, c.container(id), client.CopyFromContainerOptions{SourcePath: path})
		if errdefs.IsNotFound(err) {
			continue // it has no replica of it
		}
		if err == nil {
			err = errors.Join(unpack(from.Content, dir), from.Content.Close())
		}
		if err != nil {
			return "", fmt.Errorf("copying the data of %s: %w", kraft.Name(id), err)
		}
	}
	return dir, nil
}

// unpack writes the folders and files of an archive, and nothing outside of the folder. Indexes are left out: they are
// zeros for the most part, and nobody reads them.
func unpack(from io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(from)
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(entry.Name)
		switch entry.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(name, 0o755); err != nil {
				return err
			}
		case tar.TypeReg:
			if strings.HasSuffix(name, "index") {
				continue
			}
			file, err := root.Create(name)
			if err != nil {
				return err
			}
			_, err = io.Copy(file, archive)
			if err := errors.Join(err, file.Close()); err != nil {
				return err
			}
		}
	}
}

// ServerLog of a broker: see cluster.Logs.
func (c *Cluster) ServerLog(id int32) (string, error) {
	if err := c.known(id); err != nil {
		return "", err
	}
	if c.logs.dir == "" {
		return "", errors.New("what nodes say is not followed")
	}
	return c.logs.file(kraft.Name(id)), nil
}
