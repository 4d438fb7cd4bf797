//go:build man

package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"signalbox"
)

// buildCommands are those of builds with a tag. The manual pages are written when a release is
// made: what writes them isn't in the program.
func buildCommands(root *cobra.Command) []*cobra.Command {
	return []*cobra.Command{{
		Use: "man DIRECTORY", Short: "Write a manual page of each command", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			root.DisableAutoGenTag = true // it has the day in it
			header := doc.GenManHeader{Section: "8", Source: "signalbox " + signalbox.Version()}
			return doc.GenManTree(root, &header, args[0])
		},
	}}
}
