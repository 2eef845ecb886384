package docker

import "context"

// CopyData is what LogDir does for who cannot see a volume.
func (c *Cluster) CopyData(ctx context.Context, id int32, partitions []string) (string, error) {
	return c.copyData(ctx, id, partitions)
}
