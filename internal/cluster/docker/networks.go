package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

func clientsNetwork(run string) string { return "kbench-" + run + "-clients" }
func peersNetwork(run string) string   { return "kbench-" + run + "-peers" }

// makeNetworks makes the clients' network, on which ports are published and nodes do not see each other, and the peers',
// which leads nowhere else. Since only the first has a way out, published ports go by it, whatever happens to the second.
func (c *Cluster) makeNetworks(ctx context.Context) error {
	_, err := c.engine.client.NetworkCreate(ctx, clientsNetwork(c.Run), client.NetworkCreateOptions{
		Driver: "bridge", Labels: c.labels(), Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
	})
	if err != nil {
		return fmt.Errorf("the clients' network: %w", err)
	}
	if err := c.makePeersNetwork(ctx); err != nil {
		return fmt.Errorf("the peers' network: %w", err)
	}
	return nil
}

// makePeersNetwork gives the network a subnet by name, since nodes keep fixed addresses only in such a one: the engine is
// asked for a free one first.
func (c *Cluster) makePeersNetwork(ctx context.Context) error {
	const tries = 5 // somebody else may be given the same
	var err error
	for range tries {
		var subnet netip.Prefix
		if subnet, err = c.freeSubnet(ctx); err != nil {
			return err
		}
		c.settle(subnet)
		labels := c.labels()
		if labels[planLabel], err = c.label(); err != nil {
			return err
		}
		_, err = c.engine.client.NetworkCreate(ctx, peersNetwork(c.Run), client.NetworkCreateOptions{
			Driver: "bridge", Internal: true, Labels: labels,
			IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}},
		})
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (c *Cluster) freeSubnet(ctx context.Context) (netip.Prefix, error) {
	made, err := c.engine.client.NetworkCreate(ctx, peersNetwork(c.Run), client.NetworkCreateOptions{
		Driver: "bridge", Internal: true, Labels: c.labels(),
	})
	if err != nil {
		return netip.Prefix{}, err
	}
	found, err := c.engine.client.NetworkInspect(ctx, made.ID, client.NetworkInspectOptions{})
	_, removed := c.engine.client.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{})
	if err := errors.Join(err, removed); err != nil {
		return netip.Prefix{}, err
	}
	for _, given := range found.Network.IPAM.Config {
		if given.Subnet.Addr().Is4() {
			return given.Subnet, nil
		}
	}
	return netip.Prefix{}, errors.New("the engine gives no subnet")
}
