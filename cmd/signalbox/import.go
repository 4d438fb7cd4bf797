package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"signalbox/cmd/signalbox/internal/coturn"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func importCoturnCommand() *cobra.Command {
	users, options := "", false
	cmd := &cobra.Command{
		Use: "import-coturn FILE", Short: "Turn coturn's turnserver.conf into a configuration of signalbox",
		Long: `import-coturn reads coturn's turnserver.conf and prints the config.toml that does the same. To standard
error it says, line by line, what is not carried over and why.

Static users in coturn's database are read from a list of them, one "name|key" a line:

  sqlite3 /var/lib/turn/turndb "SELECT name, hmackey FROM turnusers_lt" >users
  signalbox import-coturn /etc/turnserver.conf --users users >config.toml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && !options {
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
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), term.Text(n.String()))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&options, "options", false, "print what becomes of each of coturn's options, in Markdown")
	cmd.Flags().StringVar(&users, "users", "", "add the users that this `file` lists")
	return cmd
}
