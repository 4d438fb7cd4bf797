//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import "errors"

// table is the kernel's table of neighbors, which is not read here.
type table struct{}

func newTable() *table { return new(table) }

func (*table) close() {}

func (*table) resolved() []host { return nil }

func (*table) unresolved() ([]unanswered, error) { return nil, errors.ErrUnsupported }

func (*table) routes(func(route)) error { return errors.ErrUnsupported }
