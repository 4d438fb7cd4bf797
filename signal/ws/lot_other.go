//go:build !linux

package ws

// lot is where connections could wait for their clients without a goroutine of their own.
type lot struct{}

func (*lot) park(*conn) bool { return false }

func (*lot) leave(*conn) {}
