package app

import (
	"fmt"
	"strings"
	"time"

	"signalbox/internal/config"
)

// Reload puts another configuration into force without touching running calls, and returns the
// changed keys. If a changed key needs a restart, or a value can't be used, it returns an error
// that says so and changes nothing.
func (a *App) Reload(cfg config.Config) (changed []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	changed = config.Diff(&a.loaded, &cfg)
	if fixed := config.NeedRestart(changed); len(fixed) > 0 {
		return nil, fmt.Errorf("a restart is needed to change %s: nothing has been changed", strings.Join(fixed, ", "))
	}
	keys, err := credentialKeys(&cfg, a.dir)
	if err != nil {
		return nil, err
	}
	turn, err := turnLive(&cfg, keys)
	if err != nil {
		return nil, err
	}
	admit, err := a.guard.Prepare(admissionOptions(&cfg, a.dir))
	if err != nil {
		return nil, err
	}
	serve, err := a.certs.Prepare([2]string{cfg.TLS.Cert, cfg.TLS.Key})
	if err != nil {
		return nil, err
	}
	if err := a.turn.Apply(turn); err != nil {
		return nil, err
	}
	serve()
	admit()
	next := cfg // what it points to stays as it is
	a.rooms.Apply(roomsOptions(&next))
	a.hooks.Apply(hookOptions(&next))
	a.ice.Sign(keys, time.Duration(cfg.TURN.CredentialTTL))
	a.loaded = cfg
	return changed, nil
}
