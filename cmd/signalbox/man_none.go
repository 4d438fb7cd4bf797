//go:build !man

package main

import "github.com/spf13/cobra"

// buildCommands are those of builds with a tag: this one has none. See man.go.
func buildCommands(*cobra.Command) []*cobra.Command { return nil }
