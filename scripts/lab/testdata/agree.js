// Two ends of a call do at random times what people do, over a signaling line that delays each frame
// at random, and must then agree. Both pages run this, each with its number; all that an end does
// follows from the seed, so that each knows what it must get of the other.
(() => {
  const random = (seed) => () => { // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  const BUSY_MS = 8000; // in which both ends do things
  const AGREED_MS = 15_000; // after the last change
  const QUIET_MS = 2500; // in which nobody negotiates any more

  // What an end does: [when, what, ...]. The first is to join.
  function plan(seed, end) {
    const next = random(seed * 2 + end);
    const chance = (p) => next() < p;
    const on = { audio: chance(0.6), video: chance(0.5), screen: chance(0.2), meta: 0 };
    const start = chance(0.5) ? 0 : next() * 2000;
    const steps = [[start, 'join', { ...on }]];
    for (let n = Math.floor(next() * 7); n > 0; n--) {
      const at = start + next() * (BUSY_MS - start);
      const what = next();
      if (what < 0.18) steps.push([at, 'toggle', 'audio']);
      else if (what < 0.4) steps.push([at, 'toggle', 'video']);
      else if (what < 0.52) steps.push([at, 'switch']);
      else if (what < 0.68) steps.push([at, 'toggle', 'screen']);
      else if (what < 0.74) steps.push([at, 'meta']);
      else if (what < 0.84) steps.push([at, 'restart']);
      else if (what < 0.93) steps.push([at, 'cut']);
      else steps.push([at, 'rejoin']);
    }
    steps.sort(([a], [b]) => a - b);
    for (const [, what, kind] of steps) {
      if (what === 'toggle') on[kind] = !on[kind];
      if (what === 'switch') on.video = true;
      if (what === 'meta') on.meta++;
    }
    return { steps, on, last: steps.at(-1)[0] };
  }

  // A line of which each frame takes its time, in order, both ways: what goes up and down is late
  // together by no more than `most`.
  // Each seed has a line of its own: the address says which.
  const Native = WebSocket;
  const lines = new Map();
  const slowly = (delay) => {
    let last = Promise.resolve();
    return (run) => {
      const late = new Promise((resolve) => setTimeout(resolve, delay()));
      last = Promise.all([last, late]).then(run);
    };
  };
  window.WebSocket = class {
    constructor(url, ...rest) {
      const { sockets, delay, said } = lines.get(new URL(url).search);
      const socket = new Native(url, ...rest);
      sockets.add(socket);
      const [up, down] = [slowly(delay), slowly(delay)];
      this.send = (text) => up(() => {
        if (socket.readyState !== 1) return;
        said('>', text);
        socket.send(text);
      });
      this.close = (code) => up(() => socket.close(code));
      socket.onopen = () => down(() => this.onopen?.());
      socket.onmessage = ({ data }) => down(() => {
        said('<', data);
        this.onmessage?.({ data });
      });
      socket.onerror = () => down(() => this.onerror?.({}));
      socket.onclose = ({ code }) => {
        sockets.delete(socket);
        down(() => this.onclose?.({ code }));
      };
    }
  };

  function picture(width, height) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    let n = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${(n += 20)}, 80%, 50%)`;
      context.fillRect(0, 0, width, height);
    }, 100);
    return canvas.captureStream(10).getVideoTracks()[0];
  }

  function tone() {
    const context = new AudioContext();
    const source = context.createOscillator();
    const sink = context.createMediaStreamDestination();
    source.connect(sink);
    source.start();
    return sink.stream.getAudioTracks()[0];
  }

  const sources = { audio: tone(), video: picture(64, 48), other: picture(80, 48), screen: picture(96, 48) };

  window.agreements = {};

  // `at` is when it begins, `most` by how many ms a frame is late.
  window.agree = (spec) => {
    const agreement = agreements[spec.seed] = { isQuiet: false, mayGo: false, is: null };
    agree(spec, agreement).then((is) => Object.assign(agreement, { is }),
      (error) => Object.assign(agreement, { is: { wrong: String(error.stack ?? error) } }));
  };

  // What the browser says of connections that are not as they should be.
  async function diagnose(room, note) {
    for (const { connection: pc, channel } of room?.peers.values() ?? []) {
      note('ICE', pc.iceConnectionState, 'channel', channel?.readyState, 'SCTP', pc.sctp?.state,
        'DTLS', pc.sctp?.transport.state ?? pc.getSenders()[0]?.transport?.state);
      const interesting = ['candidate-pair', 'inbound-rtp', 'outbound-rtp', 'data-channel', 'transport'];
      const stats = await Promise.race([pc.getStats(), new Promise((resolve) => setTimeout(resolve, 2000, new Map()))]);
      for (const { type, state, nominated, selected, mid, kind, ...entry } of stats.values()) {
        if (!interesting.includes(type)) continue;
        const ends = [entry.localCandidateId, entry.remoteCandidateId].map((id) => stats.get(id))
          .map((end) => end && `${end.candidateType} ${end.address}:${end.port}`);
        note(type, JSON.stringify({ state, nominated, selected, mid, kind, ends: entry.localCandidateId && ends,
          dtls: entry.dtlsState, sent: entry.bytesSent, received: entry.bytesReceived }));
      }
    }
  }

  async function agree({ seed, end, at, most }, agreement) {
    const { connect } = await import('/signalbox.js');
    const { Data } = await import('/signalbox-data.js');
    const own = plan(seed, end);
    const far = plan(seed, 1 - end);
    const next = random(seed * 7 + end);
    const sockets = new Set();
    const search = `?seed=${seed}`;
    const dataChannel = random(seed * 13)() < 0.8;
    const log = [];
    const note = (...words) => log.push([Math.round(Date.now() - at), ...words].join(' '));
    const on = { audio: null, video: null, screen: null }; // the screen is in a stream of its own
    let meta = 0; // what this end says of itself
    let data;
    let got = 0; // texts, since the last change
    let negotiated = performance.now();
    let room;
    let over = false;

    const said = (way, text) => {
      const { type, code, reason, data } = JSON.parse(text);
      const own = data?.signalbox;
      const what = own && [own.tag?.slice(0, 3), own.for?.slice(0, 3), own.link, own.description?.type, own.offer,
        own.want && JSON.stringify(own.want), own.candidates && 'candidates', own.path && 'path'].join(' ');
      note(way, type, code ?? reason ?? what ?? '');
    };
    lines.set(search, { sockets, delay: () => (next() * most) / 2, said });
    const session = await connect({ url: `/signal${search}`, name: `end${end}`, keep: false });
    session.on('state', ({ state, error }) => note('session', state, error?.code));
    session.on('error', ({ error }) => note('session error', error.code));
    await new Promise((resolve) => setTimeout(resolve, at - Date.now()));
    const done = Math.max(own.last, far.last);
    const since = () => Date.now() - at - done;

    const watched = new Set();
    const watch = (peer) => {
      if (watched.has(peer.connection)) return;
      watched.add(peer.connection);
      peer.connection.addEventListener('signalingstatechange', () => {
        negotiated = performance.now();
        note('signaling', peer.connection.signalingState);
      });
    };
    const join = async () => {
      const stream = new MediaStream([on.audio, on.video].filter(Boolean));
      const streams = on.screen ? { screen: new MediaStream([on.screen]) } : {};
      room = session.room(`r${seed}`, { stream, streams, dataChannel });
      data = new Data(room, { meta });
      room.on('peer', ({ peer }) => note('peer', watch(peer) ?? ''));
      room.on('state', ({ peer, state }) => note('state', state, watch(peer) ?? ''));
      room.on('left', ({ reason }) => note('left', reason));
      room.on('error', ({ error }) => note('error', error.code, error.cause));
      room.on('message', ({ data }) => { if (since() > 0 && data === 'still here') got++; });
      await room.join();
    };
    const put = (kind, track) => {
      on[kind] = track;
      const place = kind === 'screen' ? ['video', track, kind] : [kind, track];
      room.replaceTrack(...place).catch((error) => note('replaceTrack', error));
    };
    const act = {
      join: (media) => {
        for (const kind of ['audio', 'video', 'screen']) on[kind] = media[kind] ? sources[kind] : null;
        return join();
      },
      toggle: (kind) => put(kind, on[kind] ? null : sources[kind]),
      switch: () => put('video', on.video === sources.other ? sources.video : sources.other),
      meta: () => data.setMeta(++meta),
      restart: () => { for (const peer of room.peers.values()) peer.restartIce(); },
      cut: () => { for (const socket of sockets) socket.close(); },
      rejoin: () => {
        room.leave();
        return join();
      },
    };
    for (const [when, what, detail] of own.steps) {
      setTimeout(() => {
        note(what, typeof detail === 'object' ? JSON.stringify(detail) : detail ?? '');
        Promise.resolve(act[what](detail)).catch((error) => note(what, 'failed', error.code ?? error));
      }, at + when - Date.now());
    }

    // What is wrong still.
    const looks = [];
    const wrong = async () => {
      const peers = [...(room?.peers.values() ?? [])];
      if (peers.length !== 1) return `${peers.length} peers`;
      const [peer] = peers;
      watch(peer);
      const pc = peer.connection;
      const nothing = !dataChannel && ![own, far].some(({ on }) => on.audio || on.video || on.screen)
        && peer.state === 'connecting';
      if (nothing) return '';
      const connected = [peer.state, pc.connectionState];
      if (connected.some((state) => state !== 'connected')) return connected.join(', ');
      if (pc.signalingState !== 'stable') return pc.signalingState;
      const names = far.on.screen ? 'screen' : '';
      if ([...peer.streams.keys()].join() !== names) return `streams: ${[...peer.streams.keys()]}`;
      const places = { audio: peer.stream, video: peer.stream, screen: peer.streams.get('screen') };
      const now = {};
      for (const [kind, stream] of Object.entries(places)) {
        if (!far.on[kind]) continue;
        const tracks = stream.getTracks()
          .filter((track) => track.kind === (kind === 'audio' ? kind : 'video') && track.readyState === 'live');
        if (!tracks.length) return `no ${kind}`;
        if (tracks.every(({ muted }) => muted)) return `${kind} is muted`;
        now[kind] = 0;
        for (const { track, receiver } of pc.getReceivers().map((receiver) => ({ receiver, track: receiver.track }))) {
          if (!tracks.includes(track)) continue;
          for (const entry of (await receiver.getStats()).values()) {
            if (entry.type !== 'inbound-rtp') continue;
            now[kind] += kind === 'audio' ? entry.packetsReceived : entry.framesDecoded ?? 0;
          }
        }
      }
      // Frames and packets come in bursts on a busy machine.
      looks.push({ at: performance.now(), now });
      const last = looks.findLast(({ at }) => performance.now() - at > 1500)?.now ?? {};
      for (const [kind, count] of Object.entries(now)) {
        if (!(count > (last[kind] ?? 0))) return `no ${kind} comes: ${count}`;
      }
      if (dataChannel) {
        room.send('still here');
        if (!got) return 'no text';
        if (data.metaOf(peer) !== far.on.meta) return `meta: ${data.metaOf(peer)}, not ${far.on.meta}`;
      }
      return '';
    };
    let agreed = null;
    let what = 'not looked yet';
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      if (since() < 0) continue;
      if (agreement.isQuiet) {
        if (agreement.mayGo) break; // the other end goes, too
        continue;
      }
      what = await Promise.race([wrong(), new Promise((resolve) => setTimeout(resolve, 2000, 'statistics don\'t come'))]);
      if (!what && agreed === null) agreed = since();
      if (what && agreed !== null) {
        note('no longer:', what);
        agreed = null;
      }
      if (since() > AGREED_MS + QUIET_MS + 1000) break;
      // The other end may need longer: this one stays.
      if (agreed !== null && performance.now() - negotiated > QUIET_MS) agreement.isQuiet = true;
    }
    over = agreement.isQuiet;
    if (!over) await diagnose(room, note);
    const rebuilds = [...(room?.peers.values() ?? [])].reduce((n, peer) => n + (peer.rebuilds ?? 0), 0);
    session.close();
    const late = agreed === null || agreed > AGREED_MS;
    return { agreed, rebuilds, wrong: late ? what || 'late' : over ? '' : 'still negotiating', log: log.join('\n') };
  }
  return true;
})()
