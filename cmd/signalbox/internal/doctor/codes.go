package doctor

// refusal explains a STUN error code and says what to do.
type refusal struct{ words, fix string }

// refusals explains the codes that a TURN server answers with (RFC 8489 §14.8, RFC 8656 §19). The
// page /check knows the same ones.
func refusals(code int) refusal {
	r, ok := map[int]refusal{
		400: {"the server found the request malformed (400)",
			"another TURN server may answer there: check public_host and which program has the port"},
		401: {"the server refused the password (401)",
			"the credential is fresh, so another TURN server may answer there, or one with another turn.secret: " +
				"check public_host and which program has the port"},
		403: {"the server forbids it (403)", "the source may be banned, or turn.deny_peers may hold the relay's own " +
			"address"},
		437: {"the server already has an allocation of ours (437)", "this passes by itself: run doctor again"},
		438: {"the server keeps calling its own nonce stale (438)",
			"two boxes may answer in turn: let the balancer keep a client at one of them"},
		440: {"the server relays in neither address family that doctor asked for (440)",
			"check public_ip and turn.relay_ip"},
		441: {"the credential is not the one that the allocation was made with (441)",
			"this passes by itself: run doctor again"},
		442: {"the server does not relay over UDP (442)",
			"another server answers there: check public_host and which program has the port"},
		486: {"a limit of allocations is reached (486)",
			"check turn.limits.per_user, per_source and allocations; `signalbox allocations` lists who holds them"},
		500: {"the server failed (500)", "its log says why"},
		508: {"the server has no relay port left, has spent its month's transfer, or is shutting down (508)",
			"widen turn.relay_ports; look at turn.limits.total_per_month"},
	}[code]
	if !ok {
		return refusal{"the server refused", "its log may say why"}
	}
	return r
}
