package signal

import "sync/atomic"

// Counters count since the start.
type Counters struct {
	Connections    uint64 `json:"connections"`
	Sessions       uint64 `json:"sessions"`
	Lost           uint64 `json:"lost"`           // connections whose session waited for its client
	Resumes        uint64 `json:"resumes"`        // clients that came back
	ForeignOrigins uint64 `json:"foreignOrigins"` // requests refused for their Origin
	FramesIn       uint64 `json:"framesIn"`
	FramesOut      uint64 `json:"framesOut"`
	BytesIn        uint64 `json:"bytesIn"` // of frames, without what carries them
	BytesOut       uint64 `json:"bytesOut"`
	Signals        uint64 `json:"signals"` // delivered
	Broadcasts     uint64 `json:"broadcasts"`
}

// stats counts without a lock.
type stats struct {
	connections, sessions, foreignOrigins  atomic.Uint64
	lost, resumes                          atomic.Uint64
	framesIn, framesOut, bytesIn, bytesOut atomic.Uint64
	signals, broadcasts                    atomic.Uint64

	refusals [len(reasons)]atomic.Uint64 // as in the table of reasons
}

func (st *stats) refuse(code Code) {
	for i, r := range reasons {
		if r.code == code {
			st.refusals[i].Add(1)
		}
	}
}

func (st *stats) snapshot() (Counters, map[Code]uint64) {
	refusals := make(map[Code]uint64, len(reasons))
	for i, r := range reasons {
		refusals[r.code] = st.refusals[i].Load()
	}
	return Counters{
		Connections:    st.connections.Load(),
		Sessions:       st.sessions.Load(),
		Lost:           st.lost.Load(),
		Resumes:        st.resumes.Load(),
		ForeignOrigins: st.foreignOrigins.Load(),
		FramesIn:       st.framesIn.Load(),
		FramesOut:      st.framesOut.Load(),
		BytesIn:        st.bytesIn.Load(),
		BytesOut:       st.bytesOut.Load(),
		Signals:        st.signals.Load(),
		Broadcasts:     st.broadcasts.Load(),
	}, refusals
}
