package doctor

// refusal is a STUN error code in words, with what to do.
type refusal struct{ words, fix string }

// refusals are the codes that a TURN server answers with (RFC 8489 §14.8, RFC 8656 §19). The page
// /check has the same ones.
func refusals(code int) refusal {
	r, ok := map[int]refusal{
		400: {"the server found the request malformed (400)",
			"what answers there may be another TURN server: look at public_host and at who has the port"},
		401: {"the server refused the password (401)",
			"the credential is fresh, so another TURN server may answer there, or one with another turn.secret: " +
				"look at public_host and at who has the port"},
		403: {"the server forbids it (403)", "the source may be banned, or turn.deny_peers may hold the relay's own " +
			"address"},
		437: {"the server has an allocation of ours already (437)", "it passes by itself: run doctor again"},
		438: {"the server's nonce is stale over and over (438)",
			"two boxes may answer in turn: let the balancer keep a client at one of them"},
		440: {"the server relays in neither address family that was asked for (440)",
			"look at public_ip and turn.relay_ip"},
		441: {"the credential is not the one that the allocation was made with (441)",
			"it passes by itself: run doctor again"},
		442: {"the server does not relay over UDP (442)",
			"what answers there is no signalbox: look at public_host and at who has the port"},
		486: {"a limit of allocations is reached (486)",
			"look at turn.limits.per_user, per_source and allocations, and at `signalbox allocations`"},
		500: {"the server failed (500)", "its log says why"},
		508: {"the server has no relay port left, has spent its month's transfer, or is shutting down (508)",
			"widen turn.relay_ports; look at turn.limits.total_per_month"},
	}[code]
	if !ok {
		return refusal{"the server refused", "its log may say why"}
	}
	return r
}
