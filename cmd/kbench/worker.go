package main

import (
	"github.com/spf13/cobra"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/cluster/kept"
	"github.com/kbench/kbench/internal/worker"
)

// workerCommand is a child process that runs one session; kbench run starts it where a client must really be killed.
func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return worker.Serve(c.Context(), bench.Sessions(drivers(a.err)), a.in, a.out)
		},
	}
}

// holderCommand is the process that owns a kept cluster's nodes; kbench cluster up starts it.
func (a *app) holderCommand() *cobra.Command {
	return &cobra.Command{
		Use: "holder", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			base, err := localBase()
			if err != nil {
				return err
			}
			return kept.Serve(c.Context(), a.in, a.out, a.err, base)
		},
	}
}
