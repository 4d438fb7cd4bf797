package engine

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// Log is a logger for pion that passes on its warnings and errors. The rest would be formatted for
// each packet, so it is left out.
type Log struct{ To *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (p Log) NewLogger(string) logging.LeveledLogger { return p }

func (Log) Trace(string)          {}
func (Log) Tracef(string, ...any) {}
func (Log) Debug(string)          {}
func (Log) Debugf(string, ...any) {}
func (Log) Info(string)           {}
func (Log) Infof(string, ...any)  {}
func (p Log) Warn(msg string)     { p.To.Warn("turn engine", "msg", msg) }
func (p Log) Error(msg string)    { p.To.Error("turn engine", "msg", msg) }
func (p Log) Warnf(format string, args ...any) {
	p.Warn(fmt.Sprintf(format, args...))
}
func (p Log) Errorf(format string, args ...any) {
	p.Error(fmt.Sprintf(format, args...))
}
