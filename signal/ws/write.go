package ws

import (
	"errors"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// Write sends a batch, and the pongs and pings that are due. It also sees to it that a parked
// connection is not silent for too long.
func (c *conn) Write(b *signal.Batch) (again time.Duration, err error) {
	c.SetWriteDeadline(b.Deadline)
	err = c.writeFrames(b)
	if err == nil {
		err = c.writeControl(b)
	}
	again = c.nextPing.Sub(b.Now)
	if left := c.patience(); left > 0 {
		again = min(again, left)
	} else {
		c.recall()
	}
	return again, errors.Join(err, c.out.flush())
}

// writeControl sends control frames. Like writeFrames it is a separate function, so that the
// writer's stack stays small.
func (c *conn) writeControl(b *signal.Batch) error {
	if pong := c.pong.Swap(nil); pong != nil {
		if err := c.out.frame(websocket.PongMessage, []byte(*pong)); err != nil {
			return err
		}
	}
	if b.Over {
		if broken := c.broken.Load(); broken != nil {
			return c.out.close(broken.close, broken.how)
		}
		return c.out.close(b.Code.WebSocket())
	}
	// A ping says up to where the client has all once its pong comes back.
	if b.Now.Before(c.nextPing) && (!b.Urgent || b.Written <= c.pinged || c.server.pulse.Beat != nil) {
		return nil
	}
	c.pinged, c.nextPing = b.Written, b.Now.Add(c.server.pulse.Every)
	switch beat := c.server.pulse.Beat; {
	case beat == nil:
	case len(beat) == 0:
		return nil
	default:
		return c.out.frame(websocket.TextMessage, beat)
	}
	c.unponged.Add(1)
	return c.out.frame(websocket.PingMessage, strconv.AppendUint(nil, b.Written, 10))
}

// worthDeflating is the size in bytes from which compressing a frame (permessage-deflate, RFC 7692)
// pays: a description shrinks to a quarter, a candidate to four fifths, each in 10 µs, which is as
// much as everything else about it costs. A frame to many receivers would be compressed for each of
// them.
const worthDeflating = 1 << 10

func (c *conn) writeFrames(b *signal.Batch) error {
	for f := range b.Frames {
		kind := websocket.TextMessage
		if f.Binary {
			kind = websocket.BinaryMessage
		}
		write := c.out.frame
		if c.deflates && len(f.Body) >= worthDeflating && !f.Many {
			write = c.out.compressed
		}
		if err := write(kind, f.Body); err != nil {
			return err
		}
	}
	return nil
}
