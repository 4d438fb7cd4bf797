//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package nonblock

import "sync"

// gathering is what waits of a connection whose writes have been gathered once. Whoever writes
// meanwhile, as TLS does on its own, comes behind it.
type gathering struct {
	mu   sync.Mutex // held while something is written, too
	on   bool
	wait *[]byte // nil: nothing waits
}

// worthKeeping is the capacity, in bytes, of the largest buffer that is used again.
const worthKeeping = 32 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (c *conn) Gather() {
	g := c.gathering.Load()
	if g == nil {
		g = new(gathering)
		if !c.gathering.CompareAndSwap(nil, g) {
			g = c.gathering.Load()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = true
}

func (c *conn) Flush() error {
	g := c.gathering.Load()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = false
	if g.wait == nil {
		return nil
	}
	_, err := c.write(*g.wait)
	if *g.wait = (*g.wait)[:0]; cap(*g.wait) <= worthKeeping {
		buffers.Put(g.wait)
	}
	g.wait = nil
	return err
}

// Write writes, or keeps a copy until Flush.
func (c *conn) Write(b []byte) (int, error) {
	g := c.gathering.Load()
	if g == nil {
		return c.write(b)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.on {
		return c.write(b)
	}
	if g.wait == nil {
		g.wait = buffers.Get().(*[]byte)
	}
	*g.wait = append(*g.wait, b...)
	return len(b), nil
}
