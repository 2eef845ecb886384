package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// CutPeers takes a node off the peers' network: see cluster.PeerLink.
func (c *Cluster) CutPeers(ctx context.Context, id int32) error {
	if cut, err := c.PeersCut(id); err != nil || cut {
		return orSaying(err, cut, "%s is cut from its peers already", kraft.Name(id))
	}
	_, err := c.engine.client.NetworkDisconnect(ctx, peersNetwork(c.Run), client.NetworkDisconnectOptions{Container: c.container(id)})
	if err != nil {
		return fmt.Errorf("cutting %s from its peers: %w", kraft.Name(id), err)
	}
	return c.awaitPeers(ctx, id, true)
}

// JoinPeers takes it back, at its address.
func (c *Cluster) JoinPeers(ctx context.Context, id int32) error {
	if cut, err := c.PeersCut(id); err != nil || !cut {
		return orSaying(err, !cut, "%s is among its peers", kraft.Name(id))
	}
	if err := c.connectPeers(ctx, id); err != nil {
		return err
	}
	return c.awaitPeers(ctx, id, false)
}

func (c *Cluster) connectPeers(ctx context.Context, id int32) error {
	_, err := c.engine.client.NetworkConnect(ctx, peersNetwork(c.Run), client.NetworkConnectOptions{
		Container: c.container(id), EndpointConfig: c.amongPeers(id),
	})
	if err != nil {
		return fmt.Errorf("joining %s to its peers: %w", kraft.Name(id), err)
	}
	return nil
}

// amongPeers is a node's place on the peers' network.
func (c *Cluster) amongPeers(id int32) *network.EndpointSettings {
	return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: c.Places[id].Peers}}
}

// PeersCut tells whether a node is off the peers' network, as the engine shows it.
func (c *Cluster) PeersCut(id int32) (bool, error) {
	_, cut, err := c.look(context.Background(), id)
	return cut, err
}

func (c *Cluster) awaitPeers(ctx context.Context, id int32, want bool) error {
	return c.await(ctx, func(ctx context.Context) (bool, string, error) {
		_, cut, err := c.look(ctx, id)
		return cut == want, fmt.Sprintf("%s: cut from its peers is %v", kraft.Name(id), cut), err
	})
}

// LeaderBy asks one broker, past the proxies: see cluster.Teller.
func (c *Cluster) LeaderBy(ctx context.Context, broker int32, topic string, partition int32) (leader, epoch int32, err error) {
	if err := c.known(broker); err != nil {
		return -1, -1, err
	}
	return kraft.LeaderBy(ctx, kraft.Loopback(c.Places[broker].Direct), topic, partition)
}

// orSaying is the error, or where it is nil and the condition holds, another one.
func orSaying(err error, holds bool, format string, args ...any) error {
	if err == nil && holds {
		return fmt.Errorf(format, args...)
	}
	return err
}
