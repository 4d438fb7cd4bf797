//go:build !linux

package netaddr

import (
	"context"
	"time"
)

// listen hears nothing: Follow looks at every interval.
func listen(context.Context, time.Duration, chan<- struct{}) {}
