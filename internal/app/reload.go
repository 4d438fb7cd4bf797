package app

import (
	"errors"
	"fmt"
	"strings"

	"signalbox/internal/admin"
	"signalbox/internal/config"
)

// Reloaded says what a reload has done.
type Reloaded = admin.Reloaded

// readAgain is for the admin API.
func readAgain(read func() (Reloaded, error)) (Reloaded, error) {
	if read == nil {
		return Reloaded{}, errors.New("the program that this box is a part of reads its configuration only once")
	}
	return read()
}

// Reload puts another configuration into force without touching running calls. Keys that need a
// restart keep their values: it names them, and all else is put into force. strict: it then returns
// an error and changes nothing, as it does if a value can't be used.
func (a *App) Reload(cfg config.Config, strict bool) (r Reloaded, err error) {
	if err := cfg.Validate(); err != nil {
		return r, err
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	r.Changed = config.Diff(&a.loaded, &cfg)
	r.NeedRestart = config.NeedRestart(r.Changed)
	if len(r.NeedRestart) > 0 {
		waiting := strings.Join(r.NeedRestart, ", ")
		if strict {
			return Reloaded{}, fmt.Errorf("a restart is needed to change %s: nothing has been changed", waiting)
		}
		cfg.Keep(&a.loaded, r.NeedRestart)
		if err := cfg.Validate(); err != nil {
			return Reloaded{}, fmt.Errorf("a restart is needed to change %s, and without that: %w", waiting, err)
		}
		r.Changed = config.Diff(&a.loaded, &cfg)
	}
	if err := putIntoForce(a, &cfg); err != nil {
		return Reloaded{}, err
	}
	a.loaded = cfg
	warnOf(&cfg, a.dir, a.log)
	return r, nil
}

// putIntoForce verifies all and then commits.
func putIntoForce(a *App, cfg *config.Config) error {
	keys, err := credentialKeys(cfg, a.dir)
	if err != nil {
		return err
	}
	turn, err := turnLive(cfg, keys)
	if err != nil {
		return err
	}
	admit, err := a.guard.Prepare(admissionOptions(cfg, a.dir))
	if err != nil {
		return err
	}
	serve, err := a.certs.Prepare([2]string{cfg.TLS.Cert, cfg.TLS.Key})
	if err != nil {
		return err
	}
	signal, err := a.hub.Prepare(hubLive(cfg))
	if err != nil {
		return err
	}
	if err := a.turn.Apply(turn); err != nil {
		return err
	}
	serve()
	admit()
	signal()
	a.hosts.Apply(hostNames(cfg))
	a.rooms.Apply(roomsOptions(cfg))
	a.admin.Apply(adminTokens(cfg))
	a.limits.Store(adminLimits(cfg))
	a.hooks.Apply(hookOptions(cfg))
	a.notices.Apply(notifyOptions(cfg))
	a.ice.Apply(iceLive(cfg, keys))
	return nil
}
