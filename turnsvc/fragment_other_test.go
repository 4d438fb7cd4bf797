//go:build !linux

package turnsvc

import (
	"testing"

	"signalbox/turnsvc/internal/socket"
)

func keepsWhole(*testing.T, *socket.Relay) bool { return false }
