package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by a release's build: -ldflags '-X main.version=…'.
var version = "0.1.0-dev"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the versions of kbench and of what it is built from", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return printVersion(a.out) },
	}
}

func printVersion(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "kbench %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH); err != nil {
		return err
	}
	for _, d := range []string{"confluent", "franz"} {
		if _, err := fmt.Fprintf(w, "driver %-10s %s\n", d, drivers(io.Discard)[d].Version()); err != nil {
			return err
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				_, err := fmt.Fprintf(w, "revision %s\n", setting.Value)
				return err
			}
		}
	}
	return nil
}
