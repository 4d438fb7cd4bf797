package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written "30s". 0 is allowed without a unit.
type Duration time.Duration

func (d Duration) check() error {
	if d < 0 {
		return fmt.Errorf(`%q is not a duration: write "30s", "5m" or "12h"`, time.Duration(d))
	}
	return nil
}

// UnmarshalTOML implements toml.Unmarshaler.
func (d *Duration) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil || parsed < 0 {
			return fmt.Errorf(`%q is not a duration: write "30s", "5m" or "12h"`, v)
		}
		*d = Duration(parsed)
		return nil
	case int64:
		if v == 0 {
			*d = 0
			return nil
		}
	}
	return fmt.Errorf(`%v is not a duration: write "30s", "5m" or "12h"`, v)
}

// Count is a limit of a number of things; 0 means no limit.
type Count int

// UnmarshalTOML implements toml.Unmarshaler.
func (c *Count) UnmarshalTOML(v any) error {
	n, ok := v.(int64)
	if !ok {
		return wrongType("integer", v)
	}
	return take(c, Count(n))
}

func (c Count) check() error {
	switch {
	case c < 0:
		return fmt.Errorf("%d is below 0; 0 means no limit", c)
	case c > math.MaxInt32:
		return fmt.Errorf("%d is more than %d; 0 means no limit", c, math.MaxInt32)
	}
	return nil
}

// take puts a value where it belongs if it may be what it is.
func take[T checked](to *T, next T) error {
	if err := next.check(); err != nil {
		return err
	}
	*to = next
	return nil
}

// Rate is a limit per second; 0 means no limit.
type Rate float64

// UnmarshalTOML implements toml.Unmarshaler.
func (r *Rate) UnmarshalTOML(v any) error {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return wrongType("float", v)
	}
	return take(r, Rate(n))
}

func (r Rate) check() error {
	if n := float64(r); n < 0 || math.IsNaN(n) || math.IsInf(n, 0) {
		return errors.New("want a number of messages a second; 0 means no limit")
	}
	return nil
}

// Size is a number of bytes, written as one or "10MB", "1.5GB", "64KiB".
type Size int64

var sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKMGT]i?)?B?$`)

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			*s = Size(v)
			return nil
		}
	case string:
		if m := sizePattern.FindStringSubmatch(v); m != nil {
			n, err := strconv.ParseFloat(m[1], 64)
			if n *= unit(m[2]); err == nil && n < 1<<62 {
				*s = Size(n)
				return nil
			}
		}
	}
	return notBytes(v)
}

func (s Size) check() error {
	if s < 0 {
		return notBytes(int64(s))
	}
	return nil
}

func notBytes(v any) error {
	return fmt.Errorf(`%v is not a number of bytes: write 500000, "500kB", "10MB" or "2TB"`, v)
}

// unit returns the factor of a prefix: "k", "K", "Ki" and so on; empty: 1.
func unit(prefix string) float64 {
	if prefix == "" {
		return 1
	}
	base := 1000.0
	if strings.HasSuffix(prefix, "i") {
		base = 1024
	}
	return math.Pow(base, float64(1+strings.IndexByte("KMGT", strings.ToUpper(prefix)[0])))
}
