package trouble

// The codes. Each has a row in the table.
const (
	// The way to the box.
	DNSMissing      Code = "dns-missing"
	DNSWrong        Code = "dns-wrong"
	DNSUnanswered   Code = "dns-unanswered"
	NotRunning      Code = "not-running"
	TURNSilent      Code = "turn-silent"
	PortClosed      Code = "port-closed"
	UDPBlocked      Code = "udp-blocked"
	AnswersLost     Code = "answers-lost"
	WrongScheme     Code = "wrong-scheme"
	NotSignalbox    Code = "not-signalbox"
	Proxy           Code = "proxy"
	Unreachable     Code = "unreachable"
	Hairpin         Code = "hairpin"
	Draining        Code = "draining"
	ClockSkew       Code = "clock-skew"
	ClockUnsynced   Code = "clock-unsynced"
	NoHTTPS         Code = "no-https"
	TooSlow         Code = "too-slow"
	WebSocketClosed Code = "websocket-blocked"
	EventsClosed    Code = "events-blocked"
	Signaling       Code = "signaling"
	NoEntry         Code = "no-entry"
	SessionRefused  Code = "session-refused"
	Banned          Code = "banned"
	Ended           Code = "session-over"

	// Certificates.
	CertificateExpired   Code = "certificate-expired"
	CertificateEndsSoon  Code = "certificate-ends-soon"
	CertificateEarly     Code = "certificate-early"
	CertificateName      Code = "certificate-name"
	CertificateUntrusted Code = "certificate-untrusted"
	CertificateUnusable  Code = "certificate-unusable"
	ACMEFailed           Code = "acme-failed"

	// The relay.
	PublicIPWrong      Code = "public-ip-wrong"
	RelayPortsClosed   Code = "relay-ports-closed"
	RelayPortsTaken    Code = "relay-ports-taken"
	RelayPortsFew      Code = "relay-ports-few"
	RelaySilent        Code = "relay-silent"
	RelayLossy         Code = "relay-lossy"
	RelayOpen          Code = "relay-open"
	PrivateOpen        Code = "private-open"
	NoTURN             Code = "no-turn"
	ServersAstray      Code = "servers-astray"
	NotSTUN            Code = "not-stun"
	Malformed          Code = "malformed"
	CredentialRefused  Code = "credential-refused"
	CredentialExpired  Code = "credential-expired"
	Forbidden          Code = "forbidden"
	Passing            Code = "passing"
	StaleNonce         Code = "stale-nonce"
	FamilyMissing      Code = "family-missing"
	TransportMissing   Code = "transport-missing"
	AllocationLimit    Code = "allocation-limit"
	CapacityReached    Code = "capacity-reached"
	ServerFailed       Code = "server-failed"
	Refused            Code = "refused"
	BudgetSpent        Code = "budget-spent"
	LimitReached       Code = "limit-reached"
	GuaranteedToOthers Code = "guaranteed-to-others"

	// This machine.
	NoAddress       Code = "no-address"
	FewDescriptors  Code = "few-descriptors"
	UDPBuffer       Code = "udp-buffer"
	PortTaken       Code = "port-taken"
	PortForbidden   Code = "port-forbidden"
	Unreadable      Code = "unreadable"
	StateUnwritable Code = "state-unwritable"
	StateExposed    Code = "state-exposed"
	StateOther      Code = "state-other"
	DiskFull        Code = "disk-full"
	Configuration   Code = "configuration"
	StartFailed     Code = "start-failed"
)

// table is a func, since the program has no state that all share.
func table() []Trouble {
	return []Trouble{
		{Code: DNSMissing,
			EN: Words{"DNS knows no address of the box's name.",
				"Where the domain is managed, make an A record for it with the box's address (and AAAA, if the box " +
					"has IPv6)."},
			ZH: Words{"DNS 中没有服务器域名的地址。", "在域名管理处为它添加 A 记录，指向服务器的地址（服务器有 IPv6 时再加 AAAA）。"}},
		{Code: DNSWrong,
			EN: Words{"The box's name leads to another machine, or to an address at which nothing answers.",
				"Change its A record to the box's address, or public_ip if that is not this box's address."},
			ZH:   Words{"服务器的域名指向另一台机器，或指向没有回应的地址。", "把它的 A 记录改为服务器的地址；若 public_ip 不是本机地址，则改 public_ip。"},
			Page: []string{"server.family", "overall.family"}},
		{Code: DNSUnanswered,
			EN: Words{"The name server does not answer.",
				"Check this machine's resolver: try another name to see whether it works at all."},
			ZH: Words{"域名服务器没有回应。", "检查本机的解析器：换一个域名试试它是否正常。"}},
		{Code: NotRunning,
			EN: Words{"Nothing listens at the box's web port.",
				"Start signalbox, and check that the port is the one of web.listen or web.tls_listen."},
			ZH:   Words{"服务器的网页端口上没有程序在监听。", "启动 signalbox，并核对端口与 web.listen 或 web.tls_listen 一致。"},
			Page: []string{"overall.lost"}},
		{Code: TURNSilent,
			EN: Words{"A TURN port of the box does not answer.",
				"Check turn.listen, and that public_host or turn.urls names the machine that signalbox runs on; a " +
					"firewall must let the port through, on the box itself, too."},
			ZH: Words{"服务器的某个 TURN 端口没有回应。",
				"检查 turn.listen，以及 public_host 或 turn.urls 是否指向运行 signalbox 的机器；防火墙必须放行该端口，" +
					"包括服务器自己访问自己。"}},
		{Code: PortClosed,
			EN: Words{"A TCP port of the box does not answer.",
				"Open the port in the box's firewall (ufw allow PORT/tcp) and in the cloud provider's, too."},
			ZH:   Words{"服务器的某个 TCP 端口没有回应。", "在服务器防火墙（ufw allow 端口/tcp）和云服务商的防火墙中放行该端口。"},
			Page: []string{"code.701.tcp", "server.timeout.tcp", "code.701.tls", "server.timeout.tls", "box.nothing"}},
		{Code: UDPBlocked,
			EN: Words{"Nothing comes back over UDP.",
				"Open the port for UDP in the box's firewall (ufw allow PORT/udp) and in the cloud provider's, too; " +
					"or this network lets no UDP out: try from another."},
			ZH: Words{"UDP 没有任何回应。",
				"在服务器防火墙（ufw allow 端口/udp）和云服务商的防火墙中为 UDP 放行该端口；也可能是本网络不放行 UDP：换一个网络再试。"},
			Page: []string{"code.701.udp", "server.timeout.udp"}},
		{Code: AnswersLost,
			EN: Words{"A request reaches the box, and its answer does not come back.",
				"Look for a firewall that stops what the box sends, or for another way back, as with two network " +
					"cards or a balancer."},
			ZH:   Words{"请求到达了服务器，但回应没有回来。", "检查是否有防火墙拦截服务器发出的数据，或回程走了另一条路（两块网卡、负载均衡）。"},
			Page: []string{"box.challenged"}},
		{Code: WrongScheme,
			EN: Words{"The port speaks TLS and was asked without, or the other way round.",
				"Write https:// if that is the TLS port (web.tls_listen), and http:// if not."},
			ZH: Words{"该端口使用 TLS，却以明文访问，或相反。", "若是 TLS 端口（web.tls_listen）写 https://，否则写 http://。"}},
		{Code: NotSignalbox,
			EN: Words{"Something else than a signalbox answers there.",
				"Check the URL, and which program has the port."},
			ZH: Words{"那里回应的不是 signalbox。", "核对 URL，以及占用该端口的程序。"}},
		{Code: Proxy,
			EN: Words{"A reverse proxy in front of the box does not pass everything on.",
				"It must pass on every path, and find signalbox where it looks for it (README: Behind a reverse " +
					"proxy)."},
			ZH: Words{"服务器前面的反向代理没有转发全部请求。", "它必须转发所有路径，并能在配置的位置找到 signalbox（见 README 的反向代理一节）。"}},
		{Code: Unreachable,
			EN: Words{"The box can't be reached.", "Check this machine's network and the address."},
			ZH: Words{"无法连接服务器。", "检查本机的网络和地址。"}},
		{Code: Hairpin,
			EN: Words{"This machine does not reach the address by which others reach it; behind a NAT without " +
				"hairpinning that is normal.",
				"Run signalbox doctor URL in another network; if it fails there, too, check that public_host leads " +
					"to this machine and that the NAT forwards the ports."},
			ZH: Words{"本机无法通过外部地址访问自己；在不支持回环（hairpin）的 NAT 后面这是正常的。",
				"在另一个网络中运行 signalbox doctor URL；若那里也失败，检查 public_host 是否指向本机，以及 NAT 是否转发端口。"}},
		{Code: Draining,
			EN: Words{"The box is draining or stopping: it takes no new sessions.",
				"Wait until it is up again, or start it."},
			ZH:   Words{"服务器正在收尾或停止：不接受新会话。", "等它重新启动，或将其启动。"},
			Page: []string{"why.drains"}, Log: []string{"the box drains"}},
		{Code: ClockSkew,
			EN: Words{"The clocks of the box and of the client differ.",
				"Set both by NTP (timedatectl set-ntp true): certificates, room tokens and credentials expire by the " +
					"clock."},
			ZH: Words{"服务器与客户端的时钟不一致。", "两边都用 NTP 校时（timedatectl set-ntp true）：证书、房间令牌和凭据都按时钟过期。"}},
		{Code: ClockUnsynced,
			EN: Words{"Nothing keeps this machine's clock right.",
				"Set it by NTP: timedatectl set-ntp true; a container's clock is its host's."},
			ZH: Words{"本机的时钟没有校准。", "用 NTP 校时：timedatectl set-ntp true；容器的时钟就是宿主机的时钟。"}},
		{Code: NoHTTPS,
			EN: Words{"Without https browsers give no camera and no microphone.",
				"Use the https:// address; tls.mode chooses where its certificate comes from."},
			ZH: Words{"没有 https，浏览器不提供摄像头和麦克风。", "使用 https:// 地址；证书来源由 tls.mode 决定。"}},
		{Code: TooSlow,
			EN: Words{"The checks take too long in all.",
				"See what has failed first; a larger --timeout gives each check longer."},
			ZH: Words{"检查总共耗时过长。", "先看前面失败的项目；更大的 --timeout 给每项检查更多时间。"}},
		{Code: WebSocketClosed,
			EN: Words{"WebSockets don't get through; calls still start over server-sent events.",
				"A reverse proxy must pass on Upgrade and Connection on /signal (README: Behind a reverse proxy)."},
			ZH:   Words{"WebSocket 无法通过；通话仍可经服务器推送事件建立。", "反向代理必须在 /signal 上转发 Upgrade 和 Connection（见 README）。"},
			Page: []string{"overall.sse"}},
		{Code: EventsClosed,
			EN: Words{"Server-sent events don't get through; networks that block WebSockets need them.",
				"A reverse proxy must not buffer /signal/events."},
			ZH: Words{"服务器推送事件无法通过；屏蔽 WebSocket 的网络需要它。", "反向代理不得缓冲 /signal/events。"}},
		{Code: Signaling,
			EN: Words{"The signaling connection does not work, so no call can start.",
				"A reverse proxy must pass on /signal with everything below it; the box's log may say more."},
			ZH:   Words{"信令连接不可用，无法开始通话。", "反向代理必须转发 /signal 及其下的所有路径；服务器日志可能有更多说明。"},
			Page: []string{"overall.signaling"}},
		{Code: NoEntry,
			EN: Words{"The box asks for a password or a token.",
				"Pass the password, or a token that is still valid: --token (`signalbox token` makes one)."},
			ZH:   Words{"服务器要求密码或令牌。", "提供密码或仍然有效的令牌：--token（用 `signalbox token` 生成）。"},
			Page: []string{"overall.unauthorized"}},
		{Code: SessionRefused,
			EN: Words{"The box takes no more sessions from here, or refuses this one.",
				"Check signal.sessions and signal.sessions_per_source, and look at `signalbox status`; its log says " +
					"why."},
			ZH: Words{"服务器不再接受来自这里的会话，或拒绝了该会话。",
				"检查 signal.sessions 和 signal.sessions_per_source，查看 `signalbox status`；原因见其日志。"},
			Page: []string{"overall.refused"}},
		{Code: Banned,
			EN: Words{"This user or address is banned.",
				"Wait until the ban ends, or lift it: signalbox bans, signalbox unban."},
			ZH:   Words{"该用户或地址已被封禁。", "等待封禁结束，或解除：signalbox bans、signalbox unban。"},
			Page: []string{"why.banned"}, Log: []string{"banned"}},
		{Code: Ended,
			EN: Words{"The session of the credential is over.",
				"Connect anew: each session gets a credential of its own."},
			ZH:   Words{"该凭据所属的会话已结束。", "重新连接：每个会话都有自己的凭据。"},
			Page: []string{"why.session"}, Log: []string{"the credential's session is over"}},

		{Code: CertificateExpired,
			EN: Words{"The certificate has expired.",
				"Renew it: browsers refuse the page, and the box hands out no turns: URL."},
			ZH: Words{"证书已过期。", "更新证书：浏览器会拒绝页面，服务器也不再提供 turns: 地址。"}},
		{Code: CertificateEndsSoon,
			EN: Words{"The certificate ends soon, and should have been renewed by now.",
				"Find out why it was not renewed (`signalbox status` and the log say why): browsers refuse an " +
					"expired one."},
			ZH:  Words{"证书即将到期，本应已经更新。", "查明为何没有更新（`signalbox status` 和日志会说明）：浏览器拒绝过期的证书。"},
			Log: []string{"the certificate ends soon"}},
		{Code: CertificateEarly,
			EN: Words{"The certificate is not valid yet.", "Check the clocks of the box and of this machine."},
			ZH: Words{"证书尚未生效。", "检查服务器和本机的时钟。"}},
		{Code: CertificateName,
			EN: Words{"The certificate is not for the box's name.",
				"Get a certificate for that name, or use a name that it is for."},
			ZH: Words{"证书不是为服务器的域名签发的。", "为该域名申请证书，或使用证书上的域名。"}},
		{Code: CertificateUntrusted,
			EN: Words{"Clients don't know the authority that signed the certificate.",
				"Get a certificate that browsers trust (tls.mode \"acme\") and serve its whole chain; or trust the " +
					"box's own authority, with --ca FILE or by way of /trust."},
			ZH: Words{"客户端不认识签发该证书的机构。",
				"使用浏览器信任的证书（tls.mode \"acme\"）并提供完整证书链；或通过 --ca FILE 或 /trust 信任服务器自己的机构。"},
			Page: []string{"code.701.untrusted"}},
		{Code: CertificateUnusable,
			EN: Words{"The certificate can't be used.", "Get another one; the box's log says what is wrong with it."},
			ZH: Words{"证书无法使用。", "换一张证书；服务器日志说明了问题。"}},
		{Code: ACMEFailed,
			EN: Words{"The box gets no certificate from the ACME directory.",
				"See what the directory says: mostly the name does not lead to the box, or port 80 or 443 is closed. " +
					"The box tries again by itself, and at once after a reload."},
			ZH: Words{"服务器无法从 ACME 目录获得证书。",
				"看目录给出的原因：多半是域名没有指向服务器，或 80、443 端口未放行。服务器会自动重试，重新加载后立即重试。"},
			Log: []string{"no new certificate from the ACME directory"}},

		{Code: PublicIPWrong,
			EN: Words{"The relay gives out an address that is not the one by which others reach the box.",
				"Set public_ip to the address at which the internet sees the box; in a container, also use host " +
					"networking."},
			ZH:   Words{"中继给出的地址不是别人访问服务器所用的地址。", "把 public_ip 设为互联网看到的服务器地址；在容器中还要使用宿主机网络。"},
			Page: []string{"reach.elsewhere", "server.local"}},
		{Code: RelayPortsClosed,
			EN: Words{"The relay's ports are closed to the outside: nothing that is sent to them comes in.",
				"Open turn.relay_ports: ufw allow 49152:65535/udp (the default), and in the cloud provider's " +
					"firewall, too."},
			ZH: Words{"中继端口对外关闭：发往它们的数据进不来。",
				"放行 turn.relay_ports：ufw allow 49152:65535/udp（默认范围），云服务商的防火墙也要放行。"},
			Page: []string{"reach.bad", "reach.closed"}},
		{Code: RelayPortsTaken,
			EN: Words{"Other programs have relay ports.",
				"Choose another range in turn.relay_ports, or find the programs that hold them: ss -lunp."},
			ZH: Words{"其他程序占用了中继端口。", "在 turn.relay_ports 中换一个范围，或找出占用者：ss -lunp。"}},
		{Code: RelayPortsFew,
			EN: Words{"There are few relay ports.",
				"Widen turn.relay_ports: each allocation takes one, and a mesh call of eight makes about 60."},
			ZH: Words{"中继端口太少。", "扩大 turn.relay_ports：每个分配占用一个，八人网状通话约需 60 个。"}},
		{Code: RelaySilent,
			EN: Words{"The relay gives out addresses, but no data comes through.",
				"The relay may be unable to reach itself: public_ip must be the address at which others see the box, " +
					"and turn.deny_peers must not hold it; a NAT in front of several boxes needs hairpinning."},
			ZH: Words{"中继给出了地址，但数据无法通过。",
				"中继可能无法到达自己：public_ip 必须是别人看到的地址，turn.deny_peers 不得包含它；多台服务器前的 NAT 需要支持回环。"},
			Page: []string{"server.nodata", "relay.bad"}},
		{Code: RelayLossy,
			EN: Words{"The relay loses packets.",
				"Check the load of the box and of the network, the drops that `signalbox status` counts, and " +
					"turn.limits."},
			ZH: Words{"中继丢包。", "检查服务器和网络的负载、`signalbox status` 统计的丢弃数，以及 turn.limits。"}},
		{Code: RelayOpen,
			EN: Words{"The relay lets through what it must refuse.",
				"Only signalbox with --dev opens loopback: start it without, or find the server that has the port."},
			ZH:   Words{"中继放行了必须拒绝的访问。", "只有 --dev 会放行环回地址：去掉它再启动，或找出占用端口的服务器。"},
			Page: []string{"refusal.login.open"}},
		{Code: PrivateOpen,
			EN: Words{"Private networks are open to every caller, or refusals are odd.",
				"Check turn.peers and turn.allow_peers: with \"room\" and no entry, private networks are closed."},
			ZH: Words{"私有网络对所有人开放，或拒绝的方式异常。", "检查 turn.peers 和 turn.allow_peers：用 \"room\" 且没有条目时，私有网络是关闭的。"}},
		{Code: NoTURN,
			EN: Words{"The box names no TURN server.",
				"Turn it on under [turn] listen; name one in turn.urls, or leave that empty."},
			ZH:   Words{"服务器没有提供 TURN 服务器。", "在 [turn] listen 中开启；在 turn.urls 中写明一个，或留空。"},
			Page: []string{"overall.noturn", "overall.empty"}},
		{Code: ServersAstray,
			EN: Words{"The box hands out addresses that callers can't reach.",
				"public_host and turn.urls name the box in ICE servers: set them to names or addresses that callers " +
					"can reach."},
			ZH: Words{"服务器给出的地址无法被呼叫者访问。", "ICE 服务器的地址来自 public_host 和 turn.urls：设为呼叫者能访问的域名或地址。"}},
		{Code: NotSTUN,
			EN: Words{"Another program has a port that should be STUN's or TURN's.",
				"Check turn.listen, turn.urls and public_host, and which program has the port."},
			ZH: Words{"本应属于 STUN 或 TURN 的端口被其他程序占用。", "检查 turn.listen、turn.urls、public_host 以及占用端口的程序。"}},
		{Code: Malformed, Clients: []int{400},
			EN: Words{"The server found the request malformed (400).",
				"Another TURN server may answer there: check public_host and which program has the port."},
			ZH:   Words{"服务器认为请求格式错误（400）。", "那里可能是另一台 TURN 服务器：检查 public_host 和占用端口的程序。"},
			Page: []string{"code.400"}},
		{Code: CredentialRefused, Clients: []int{401},
			EN: Words{"The server refused the password (401): it was made with another secret, or is another user's.",
				"Whoever makes credentials must use the box's turn.secret, or one of turn.old_secrets. If this box " +
					"made it, " +
					"another TURN server may answer there: check public_host and turn.urls, and which program has " +
					"the port."},
			ZH: Words{"服务器拒绝了密码（401）：它由另一个密钥生成，或属于别的用户。",
				"生成凭据的一方必须使用服务器的 turn.secret 或 turn.old_secrets 之一。若凭据出自本机，那里可能是另一台 TURN 服务器：检查 " +
					"public_host、turn.urls 和占用端口的程序。"},
			Page: []string{"code.401", "why.login", "why.secret"},
			Log:  []string{"unknown user, or wrong password", "wrong password, or minted with another secret"}},
		{Code: CredentialExpired,
			EN: Words{"The credential has expired.",
				"Get a new one. If it is new, the clock of whoever made it is wrong."},
			ZH:   Words{"凭据已过期。", "获取新的凭据。若它是新的，则生成者的时钟不准。"},
			Page: []string{"why.expired"}, Log: []string{"the credential has expired"}},
		{Code: Forbidden, Clients: []int{403},
			EN: Words{"The server forbids it (403).",
				"The source may be banned, or turn.peers, turn.allow_peers or turn.deny_peers may close the peer's " +
					"address."},
			ZH:   Words{"服务器禁止该操作（403）。", "来源可能被封禁，或 turn.peers、turn.allow_peers、turn.deny_peers 不放行对端地址。"},
			Page: []string{"code.403", "why.box", "why.never", "why.denied", "why.private", "why.room", "why.static"},
			Log: []string{"an address of the box itself", "an address that nothing is relayed to",
				"denied: turn.deny_peers", "not a public address: turn.allow_peers", "not in the room: turn.peers",
				"not allowed: turn.static_peers"}},
		{Code: Passing, Clients: []int{437, 441},
			EN: Words{"The server and the client disagree about an allocation (437, 441).",
				"This passes by itself: try again."},
			ZH:   Words{"服务器与客户端对某个分配的状态不一致（437、441）。", "通常会自行恢复：再试一次。"},
			Page: []string{"code.437", "code.441"}},
		{Code: StaleNonce, Clients: []int{438},
			EN: Words{"The server keeps calling its own nonce stale (438).",
				"Two boxes may answer in turn: let the balancer keep a client at one of them."},
			ZH:   Words{"服务器反复认为自己的 nonce 已失效（438）。", "可能有两台服务器轮流回应：让负载均衡把客户端固定到其中一台。"},
			Page: []string{"code.438"}},
		{Code: FamilyMissing, Clients: []int{440},
			EN: Words{"The server relays in no address family that was asked for (440).",
				"Check public_ip and turn.relay_ip; without IPv4, set turn.default_family = \"auto\"."},
			ZH: Words{"服务器不在所要求的地址族中继（440）。",
				"检查 public_ip 和 turn.relay_ip；没有 IPv4 时设 turn.default_family = \"auto\"。"},
			Page: []string{"code.440"}},
		{Code: TransportMissing, Clients: []int{442},
			EN: Words{"The server does not relay over UDP (442).",
				"Another server answers there: check public_host and which program has the port."},
			ZH:   Words{"服务器不经 UDP 中继（442）。", "那里是另一台服务器：检查 public_host 和占用端口的程序。"},
			Page: []string{"code.442"}},
		{Code: AllocationLimit, Clients: []int{486},
			EN: Words{"A limit of allocations is reached (486).",
				"Check turn.limits.per_user and per_source; `signalbox allocations` lists who holds them."},
			ZH:   Words{"已达到分配数量上限（486）。", "检查 turn.limits.per_user 和 per_source；`signalbox allocations` 列出占用者。"},
			Page: []string{"code.486"}},
		{Code: CapacityReached, Clients: []int{508},
			EN: Words{"The server has no relay port left, has spent its month's transfer, or is shutting down (508).",
				"Widen turn.relay_ports; look at turn.limits.allocations and total_per_month."},
			ZH: Words{"服务器没有空闲中继端口、本月流量已用完，或正在停止（508）。",
				"扩大 turn.relay_ports；查看 turn.limits.allocations 和 total_per_month。"},
			Page: []string{"code.508", "why.ports"}, Log: []string{"no port of turn.relay_ports is free"}},
		{Code: ServerFailed, Clients: []int{500},
			EN:   Words{"The server failed (500).", "Its log says why."},
			ZH:   Words{"服务器出错（500）。", "原因见其日志。"},
			Page: []string{"code.500"}},
		{Code: Refused,
			EN:   Words{"The server refused.", "Its log may say why."},
			ZH:   Words{"服务器拒绝了请求。", "原因可能在其日志中。"},
			Page: []string{"code.other", "why.other"}},
		{Code: BudgetSpent,
			EN: Words{"The month's transfer is spent, or nearly: then new allocations are refused (508).",
				"Raise turn.limits.total_per_month, or wait for the next month (UTC)."},
			ZH: Words{"本月流量已用完或将用完：之后新的分配会被拒绝（508）。", "提高 turn.limits.total_per_month，或等到下个月（UTC）。"}},
		{Code: LimitReached,
			EN: Words{"A limit of the configuration is reached.",
				"Raise the limit that is named, or find out who uses it up."},
			ZH:   Words{"达到了配置中的某个上限。", "提高所指出的上限，或找出占用者。"},
			Page: []string{"why.limit"}, Log: []string{"limit reached: "}},
		{Code: GuaranteedToOthers,
			EN: Words{"What is left of relay ports or allocations is guaranteed to other credentials.",
				"Widen turn.relay_ports, or raise turn.limits.allocations."},
			ZH:   Words{"剩余的中继端口或分配名额保留给其他凭据。", "扩大 turn.relay_ports，或提高 turn.limits.allocations。"},
			Page: []string{"why.guaranteed"},
			Log: []string{"what is left of turn.relay_ports or turn.limits.allocations is guaranteed to other " +
				"credentials"}},

		{Code: NoAddress,
			EN: Words{"This machine has no address at which others reach it, so every allocation is refused (440).",
				"Connect it to a network; the box relays as soon as this machine has an address. Check public_ip and " +
					"turn.relay_ip."},
			ZH: Words{"本机没有别人可以访问的地址，所有分配都会被拒绝（440）。",
				"把它接入网络；一有地址，服务器就开始中继。检查 public_ip 和 turn.relay_ip。"},
			Log: []string{"no public address known yet"}},
		{Code: FewDescriptors,
			EN: Words{"A process may open few files.",
				"Raise it: LimitNOFILE=65536 in the unit, or ulimit -n 65536; each session and each allocation takes " +
					"one."},
			ZH: Words{"进程可打开的文件数太少。", "提高上限：在服务单元中写 LimitNOFILE=65536，或 ulimit -n 65536；每个会话和分配各占一个。"}},
		{Code: UDPBuffer,
			EN: Words{"The buffer for incoming UDP is small, and datagrams were dropped for it.",
				"sysctl -w net.core.rmem_max=4194304, and in /etc/sysctl.d."},
			ZH: Words{"接收 UDP 的缓冲区太小，已有数据报因此被丢弃。", "sysctl -w net.core.rmem_max=4194304，并写入 /etc/sysctl.d。"}},
		{Code: PortTaken,
			EN: Words{"Another program has a port that the box needs.", "Stop it, or choose another port."},
			ZH: Words{"另一个程序占用了服务器需要的端口。", "停止它，或换一个端口。"}},
		{Code: PortForbidden,
			EN: Words{"The user that the box runs as may not open a port that it needs.",
				"Let it: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or setcap cap_net_bind_service=+ep on " +
					"the program; or choose a port above 1023."},
			ZH: Words{"运行服务的用户无权打开所需的端口。",
				"给予权限：在服务单元中写 AmbientCapabilities=CAP_NET_BIND_SERVICE，或对程序执行 setcap " +
					"cap_net_bind_service=+ep；也可以选用 1023 以上的端口。"}},
		{Code: Unreadable,
			EN: Words{"The user that the box runs as can't read a file that it needs.",
				"Let it: chgrp signalbox FILE; chmod g+r FILE, or copy the file with install -m 0640 -g signalbox."},
			ZH: Words{"运行服务的用户读不了所需的文件。",
				"给予权限：chgrp signalbox 文件；chmod g+r 文件，或用 install -m 0640 -g signalbox 复制该文件。"}},
		{Code: StateUnwritable,
			EN: Words{"The state directory can't be used.",
				"Give it to the user that the box runs as (chown -R), or name another with --state DIR."},
			ZH: Words{"状态目录不可用。", "把它交给运行服务的用户（chown -R），或用 --state DIR 指定另一个目录。"}},
		{Code: StateExposed,
			EN: Words{"Everybody on this machine can read the box's secrets.",
				"Close the file or directory to others: chmod o-rwx."},
			ZH:  Words{"本机上的任何人都能读到服务器的密钥。", "对其他人关闭该文件或目录：chmod o-rwx。"},
			Log: []string{"the state is open to others"}},
		{Code: StateOther,
			EN: Words{"A signalbox runs here, but not with this state directory.",
				"Name the state directory of the running box: --state DIR (systemd: /var/lib/signalbox), as root or " +
					"as its user."},
			ZH: Words{"本机运行着 signalbox，但用的不是这个状态目录。",
				"指明运行中服务的状态目录：--state DIR（systemd：/var/lib/signalbox），以 root 或该用户运行。"}},
		{Code: DiskFull,
			EN: Words{"The state directory has no room left.", "Make room there: df -h DIR; df -i DIR."},
			ZH: Words{"状态目录所在的磁盘已满。", "腾出空间：df -h 目录；df -i 目录。"}},
		{Code: Configuration,
			EN: Words{"The configuration does not fit this machine, or probably isn't what is wanted.",
				"Change it in the configuration: config.toml explains every key."},
			ZH:  Words{"配置不适合本机，或很可能不是想要的。", "修改配置：config.toml 说明了每个键。"},
			Log: []string{"configuration"}},
		{Code: StartFailed,
			EN: Words{"signalbox does not start here.", "The message says what is missing."},
			ZH: Words{"signalbox 在这里无法启动。", "消息说明了缺少什么。"}},
	}
}
