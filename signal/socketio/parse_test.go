package socketio

func parse(text []byte) (*Packet, error) {
	p := new(Packet)
	return p, p.parse(text)
}
