package main

import (
	"errors"
	"fmt"

	"signalbox/internal/app"

	"github.com/spf13/cobra"
)

func sdkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sdk directory", Short: "Write the browser SDK as an npm package",
		Long: `sdk writes the browser SDK that this signalbox serves as an npm package: ES modules with types, and plain
scripts. Its README.md says how to use it, in Node, too. The directory may have an earlier package in it, which
is overwritten, but nothing else.`,
		Example: `  signalbox sdk vendor/signalbox && npm install ./vendor/signalbox`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name the directory to write the package to")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := app.WriteSDK(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(),
				"%s has the package signalbox; its README.md says how to use it\n", args[0])
			return err
		},
	}
}
