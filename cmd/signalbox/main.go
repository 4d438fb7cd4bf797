// Command signalbox is a STUN/TURN server and WebRTC signaling hub in one process.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"signalbox/internal/access"
	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"

	"github.com/spf13/cobra"

	"signalbox"
)

// Exit codes: 0 all is well, 1 it failed while running, 2 the command line or the configuration is
// at fault. A panic of Go's exits with 2, too: to a service manager, which starts again what has
// crashed and leaves alone what is misconfigured, the latter is 78 (sysexits.h: EX_CONFIG).
const (
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78
)

// usageError is an error of the command line, the configuration or the machine's set-up: the
// program never ran.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	root := command()
	if err := root.Execute(); err != nil {
		lastWords(err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	switch {
	case !errors.As(err, new(usageError)):
		return exitFailed
	case os.Getenv("NOTIFY_SOCKET") != "":
		return exitConfig
	}
	return exitUsage
}

// global are the flags of every command.
type global struct {
	load   signalbox.LoadOptions
	state  string
	strict bool // see strictFlag
}

// Where an installation keeps its configuration and its state, and as whom its service runs.
const (
	installedConfig = "/etc/signalbox/config.toml"
	installedState  = "/var/lib/signalbox"
	installedUser   = "signalbox"
)

// findInstallation has every command use the installation of this machine, unless another
// configuration or development is asked for.
func (g *global) findInstallation() {
	if _, err := os.Stat(installedConfig); g.load.File == "" && !g.load.Dev && !errors.Is(err, fs.ErrNotExist) {
		g.load.File = installedConfig
	}
}

// statePath is the state directory: that of the installation if its configuration is in use.
func (g *global) statePath() (string, error) {
	if g.state == "" && g.load.File == installedConfig && os.Getenv("STATE_DIRECTORY") == "" {
		if _, err := os.Stat(installedState); err == nil {
			return installedState, nil
		}
	}
	path, err := state.DefaultDir(g.state)
	if err != nil {
		return "", usageError{err}
	}
	return path, nil
}

// serviceUser is as whom a box with this state directory runs.
func serviceUser(state string) access.User {
	if state == installedState {
		return app.ServiceUser(state, installedUser)
	}
	return app.ServiceUser(state, "")
}

func (g *global) config() (config.Config, error) {
	cfg, err := signalbox.Load(g.load)
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

func (g *global) openState() (*state.Dir, error) {
	path, err := g.statePath()
	if err != nil {
		return nil, err
	}
	dir, err := state.Open(path)
	if err != nil {
		return nil, startError(err)
	}
	return dir, nil
}

// existingState is for commands that only read what a running appliance keeps.
func (g *global) existingState() (*state.Dir, error) {
	path, err := g.statePath()
	if err != nil {
		return nil, err
	}
	return state.Existing(path), nil
}

func command() *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:   "signalbox",
		Short: "A TURN server, a STUN responder and a WebRTC signaling hub in one process",
		Long: `signalbox is a TURN server, a STUN responder and a WebRTC signaling hub in one process. It also serves
the pages that prove that it works. Without a command it serves. Without a config file it runs on its
defaults, which signalbox config documents.`,
		Args:          unknownCommand,
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2, // edits

		PersistentPreRun: func(*cobra.Command, []string) { g.findInstallation() },
		RunE:             func(cmd *cobra.Command, _ []string) error { return serve(cmd, g) },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&g.load.File, "config", "c", "", "read this TOML `file` (default, if it is there: "+
		installedConfig+")")
	flags.StringVar(&g.state, "state", "", "keep secrets and certificate in this `directory`\n(default "+
		"$STATE_DIRECTORY, with the default config "+installedState+", else\n$XDG_STATE_HOME/signalbox or "+
		"~/.local/state/signalbox)")
	flags.StringArrayVar(&g.load.Set, "set", nil,
		"override one `key=value`, for example turn.realm=example.org; may be repeated")
	flags.BoolVar(&g.load.Dev, "dev", false, "use defaults for development: listen on loopback, never "+
		"drain;\nalso allow peers on loopback, and /api/turn without a key")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	g.strictFlag(root)
	root.AddCommand(serveCommand(g), quickstartCommand(g), checkCommand(g), configCommand(g), doctorCommand(g),
		benchCommand(g), credsCommand(g), tokenCommand(g), notifyCommand(g), sdkCommand(), importCoturnCommand(),
		importEturnalCommand(),
		versionCommand())
	root.AddCommand(adminCommands(g)...)
	root.AddCommand(buildCommands(root)...)
	return root
}

func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see signalbox --help"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("there is no command %q: %s", args[0], hint)}
}

// noArgs refuses arguments, as a usage error.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unexpected argument %q", args[0])}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), signalbox.Version())
			return err
		},
	}
}
