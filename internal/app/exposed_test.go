package app

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/testkit"
)

// A start says which of its secrets everybody on this machine can read.
func TestAttackF10WhatOthersCanReadIsSaidAtStart(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	for name, tc := range map[string]struct {
		dir, file os.FileMode
		text      string
		says      []string
		saysNot   []string
	}{
		"all": {0o755, 0o644, "[admin]\ntoken = \"0123456789abcdef\"\n[turn]\nsecret = \"0123456789abcdef\"\n",
			[]string{"the state is open to others", "chmod 700 ", "turn.secret, admin.token", "chmod o-rwx"}, nil},
		"none": {0o700, 0o640, "[admin]\ntoken = \"0123456789abcdef\"\n",
			nil, []string{"open to others", "everybody"}},
		"no secrets": {0o700, 0o644, "[log]\nlevel = \"info\"\n", nil, []string{"open to others", "everybody"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			kept, err := state.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(filepath.Dir(dir), "config.toml")
			if err := os.WriteFile(file, []byte(tc.text), tc.file); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{dir: tc.dir, file: tc.file} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := load(config.LoadOptions{File: file, Dev: true, Set: []string{"web.listen=127.0.0.1:0",
				"web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0"}})
			if err != nil {
				t.Fatal(err)
			}
			var log testkit.Log
			app, err := New(cfg, kept, log.Logger())
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Listen(); err != nil {
				t.Fatal(err)
			}
			app.Close()
			for _, want := range tc.says {
				if log.Count(want) == 0 {
					t.Errorf("it does not say %q", want)
				}
			}
			for _, not := range tc.saysNot {
				if log.Count(not) > 0 {
					t.Errorf("it says %q", not)
				}
			}
		})
	}
}
