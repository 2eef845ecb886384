package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/faults"
	"github.com/kbench/kbench/scenarios"
)

func (a *app) scenariosCommand() *cobra.Command {
	c := &cobra.Command{Use: "scenarios", Short: "List, show and check scenarios"}
	list := &cobra.Command{
		Use: "list", Short: "List the built-in scenarios", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := c.Flags().GetBool("json")
			if err != nil {
				return err
			}
			return a.listScenarios(asJSON)
		},
	}
	list.Flags().Bool("json", false, "print JSON")
	show := &cobra.Command{
		Use: "show NAME", Short: "Print a built-in scenario's file", Example: "  kbench scenarios show quickstart > my.yaml",
		Args: exactly(1, "the name of a built-in scenario"), ValidArgsFunction: completeScenarios,
		RunE: func(_ *cobra.Command, args []string) error {
			source, err := scenarios.BuiltinSource(args[0])
			if err != nil {
				return usage(err)
			}
			_, err = a.out.Write(source)
			return err
		},
	}
	validate := &cobra.Command{
		Use: "validate FILE...", Short: "Check scenario files: every error at once, with its place",
		Args: atLeast(1, "a scenario file"), ValidArgsFunction: completeScenarios,
		RunE: func(_ *cobra.Command, args []string) error { return a.validate(args) },
	}
	schema := &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of scenario files", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(scenarios.Schema())
			return err
		},
	}
	c.AddCommand(list, show, validate, schema)
	return c
}

// listed is a row of the list of built-in scenarios, as scripts rely on it.
type listed struct {
	Name      string   `json:"name"`
	About     string   `json:"about"`
	Guarantee string   `json:"guarantee"`
	Expect    string   `json:"expect"` // "" like Guarantee where it is measured only
	Twin      string   `json:"twin"`
	Clusters  []string `json:"clusters"`
}

func builtins() ([]listed, error) {
	var rows []listed
	for _, name := range scenarios.Builtins() {
		s, err := scenarios.Builtin(name)
		if err != nil {
			return nil, err
		}
		expect := "holds"
		switch {
		case s.Guarantee == scenarios.Unjudged:
			expect = ""
		case s.Expect.Violated:
			expect = "violated"
		}
		rows = append(rows, listed{s.Name, s.About, string(s.Guarantee), expect, s.Twin, s.Clusters})
	}
	return rows, nil
}

func (a *app) listScenarios(asJSON bool) error {
	rows, err := builtins()
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tGUARANTEE\tEXPECT\tTWIN\tCLUSTERS")
	for _, r := range rows {
		guarantee := r.Guarantee
		if guarantee == "" {
			guarantee = "measured only"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, guarantee, r.Expect, r.Twin, strings.Join(r.Clusters, " "))
	}
	return w.Flush()
}

func (a *app) validate(args []string) error {
	var problems []error
	for _, arg := range args {
		if _, err := scenarios.Open(arg); err != nil {
			problems = append(problems, err)
			continue
		}
		fmt.Fprintf(a.out, "%s: valid\n", arg)
	}
	if len(problems) > 0 {
		return usage(errors.Join(problems...))
	}
	return nil
}

func (a *app) faultsCommand() *cobra.Command {
	c := &cobra.Command{Use: "faults", Short: "What kbench can do to a cluster and its clients"}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the faults", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "FAULT\tTARGETS\tWHAT IT DOES")
			for _, k := range faults.Known() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", k.Name, k.Targets, k.About)
			}
			return w.Flush()
		},
	})
	return c
}

// completeScenarios offers the built-in names, and files besides.
func completeScenarios(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenarios.Builtins(), cobra.ShellCompDirectiveDefault
}
