package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"signalbox/cmd/signalbox/internal/coturn"
	"signalbox/cmd/signalbox/internal/eturnal"
	"signalbox/internal/term"

	"github.com/spf13/cobra"

	"signalbox"
)

func importCoturnCommand() *cobra.Command {
	users, options := "", false
	cmd := &cobra.Command{
		Use: "import-coturn FILE", Short: "Turn coturn's turnserver.conf into a configuration of signalbox",
		Long: `import-coturn reads coturn's turnserver.conf and prints the config.toml that does the same. To standard
error it says, line by line, what is not carried over and why.

Static users in coturn's database are read from a list of them, one "name|key" a line. A key is good in
one realm:

  sqlite3 /var/lib/turn/turndb "SELECT name, hmackey FROM turnusers_lt WHERE realm = 'example.org'" >users
  signalbox import-coturn /etc/turnserver.conf --users users >config.toml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if options {
				return noArgs(cmd, args)
			}
			if len(args) != 1 {
				return usageError{errors.New("name coturn's configuration, as in signalbox import-coturn " +
					"/etc/turnserver.conf")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if options {
				return coturn.WriteOptions(cmd.OutOrStdout())
			}
			conf, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			defer conf.Close()
			var list io.Reader
			if users != "" {
				f, err := os.Open(users)
				if err != nil {
					return usageError{fmt.Errorf("--users: %w", err)}
				}
				defer f.Close()
				list = f
			}
			text, notes, err := coturn.Import(conf, list)
			if err != nil {
				return usageError{err}
			}
			lines := make([]string, len(notes))
			for i, n := range notes {
				lines[i] = n.String()
			}
			return imported(cmd, text, lines)
		},
	}
	cmd.Flags().BoolVar(&options, "options", false, "print what becomes of each of coturn's options, in Markdown")
	cmd.Flags().StringVar(&users, "users", "", "add the users that this `file` lists")
	return cmd
}

func importEturnalCommand() *cobra.Command {
	return &cobra.Command{
		Use: "import-eturnal FILE", Short: "Turn eturnal's eturnal.yml into a configuration of signalbox",
		Long: `import-eturnal reads eturnal's eturnal.yml and prints the config.toml that does the same. To standard
error it says, line by line, what is not carried over and why.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name eturnal's configuration, as in signalbox import-eturnal " +
					"/etc/eturnal.yml")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			defer conf.Close()
			text, notes, err := eturnal.Import(conf)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", args[0], err)}
			}
			return imported(cmd, text, notes)
		},
	}
}

// imported prints a configuration and what was noted, and says what is next: to check it, or what
// must be mended before.
func imported(cmd *cobra.Command, text string, notes []string) error {
	for _, n := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), term.Text(n))
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if err := tryConfig(text); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "now keep it in a file and run: signalbox check -c FILE")
	return nil
}

// tryConfig says what must be mended before a configuration can be used.
func tryConfig(text string) error {
	file, err := os.CreateTemp("", "config-*.toml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if _, err := signalbox.Load(signalbox.LoadOptions{File: file.Name()}); err != nil {
		return usageError{errors.New("the configuration is there, but can't be used yet:\n" +
			strings.ReplaceAll(err.Error(), file.Name()+": ", ""))}
	}
	return nil
}
