package main

import (
	"context"
	"errors"
	"io"

	"signalbox/internal/config"
	"signalbox/internal/term"

	"github.com/spf13/cobra"

	"signalbox"
)

func configCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	effective, running := false, false
	cmd := f.reach(&cobra.Command{
		Use: "config", Short: "Print every key with its default and its explanation", Args: noArgs,
		Long: `config prints the reference of the configuration: every key with its default and its explanation. Your
own file needs only the keys that differ. --effective prints the values instead that a start would put
into force, of defaults, file and command line together, without secrets. --running prints those of the
signalbox that runs: they differ while keys wait for a reload or a restart.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			text := signalbox.DefaultConfig
			switch {
			case effective && running:
				return usageError{errors.New("--effective and --running are two answers: ask for one")}
			case f.url != "" && !running:
				return usageError{errors.New("--url goes with --running")}
			case running:
				text, err = f.config(cmd.Context())
			case effective:
				text, err = effectiveConfig(g)
			}
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	})
	cmd.Flags().BoolVar(&effective, "effective", false, "print the values that a start would put into force, without "+
		"secrets")
	cmd.Flags().BoolVar(&running, "running", false, "print the values of the signalbox that runs, without secrets")
	return cmd
}

func effectiveConfig(g *global) (string, error) {
	_, given, err := config.LoadGiven(signalbox.DefaultConfig, g.load)
	if err != nil {
		return "", usageError{err}
	}
	text, err := given.TOML()
	return term.Lines(text), err
}

// config asks the signalbox that runs.
func (f *adminFlags) config(ctx context.Context) (string, error) {
	a, err := f.client()
	if err != nil {
		return "", err
	}
	out, err := a.Config(ctx)
	return term.Lines(out.TOML), err
}
