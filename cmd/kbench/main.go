// Command kbench measures a Kafka setup and judges whether it keeps its promise while it is being hurt.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
