// Calls by name, without a page: who is there, who rings, and the way from a call that was answered
// to a room of its own, in which /call takes over. Both ends propose a room, and take that of the
// one with the smaller id: so two who call each other at once need no order.

const LOBBY = 'names/lobby'; // Lobby in ui.go
const WORD = 'signalbox.room'; // under which the ends of a call propose it
const ROOM = /^[\w-]{22}$/;
const WORD_MS = 8000; // for the far end to propose one
const AGAIN_MS = 30_000; // until a lobby that was full may have a place
const WORDS = 16; // of whoever has one, while a call rings: the newest
const WHY_NOT = { busy: 'busy', unavailable: 'elsewhere' }; // a far end's SDK says so by itself
const inOrder = new Intl.Collator().compare;
const OPTIONS = { dataChannel: false }; // nothing is sent: the room has media

export class Names {
  call = null; // that rings, or is answered and has no room yet: {user, name, isOwn, isAnswered}
  hidden = null; // the code of why the box doesn't say who is there

  #session;
  #told;
  #there = new Map(); // peer id -> user
  #people = null; // see there; null: somebody has come or gone
  #incoming = null; // SDK's
  #abort = null; // what this end has begun, or has answered
  #words = new Map(); // peer id -> the room that it proposes: that of the far end may come before it is known
  #heard = () => {};
  #patience;
  #pause;
  #again; // a timer
  #ends;

  /**
   * `told` is called back: `peopled()`, for each who comes or goes; `rung()`, when a call begins
   * or ends to ring; `ended({user, code})`, when a call did not come about here, with an SDK's
   * code, or `busy`, `missed`, `elsewhere` (the far end is no start page) or `answered-elsewhere`
   * (on another device of this end's); and `answered(room)`.
   */
  constructor(session, told, patience = WORD_MS, pause = AGAIN_MS) {
    this.#patience = patience;
    this.#pause = pause;
    this.#session = session;
    this.#told = told;
    const follow = {
      state: ({ state }) => state === 'open' && this.look(),
      joined: ({ room, peers }) => room === LOBBY && this.#meet(peers, true),
      'peer-joined': ({ room, peer }) => room === LOBBY && this.#meet([peer]),
      'peer-left': ({ room, peer }) => room === LOBBY && this.#there.delete(peer.id) && this.#peopled(),
      call: ({ call }) => this.#rings(call),
      signal: ({ from, data }) => this.#hear(from, data?.[WORD]),
    };
    this.#ends = Object.entries(follow).map(([type, listener]) => session.on(type, listener));
  }

  /** Asks who is there, and goes on to be told. */
  async look() {
    clearTimeout(this.#again);
    try {
      await this.#session.request({ type: 'join', room: LOBBY });
    } catch (error) {
      if (error.code === 'lost' || this.#ends.length === 0) return; // it looks again then, or never
      clearTimeout(this.#again);
      this.#there.clear();
      if (error.code === 'room-full') this.#again = setTimeout(() => this.look(), this.#pause);
      this.hidden = error.code;
      this.#peopled();
    }
  }

  /** Who can be called, as [{user}], in alphabetical order. */
  get people() {
    this.#people ??= [...new Set(this.#there.values())].filter((user) => user !== this.#session.user)
      .sort(inOrder).map((user) => ({ user }));
    return this.#people;
  }

  /** Rings, until somebody answers or this end gives up. */
  async ring(user) {
    if (this.call) return;
    this.#set({ user, name: user, isOwn: true, isAnswered: false });
    await this.#meetIn(user, (signal) => this.#session.call(user, { ...OPTIONS, signal }));
  }

  answer() {
    const call = this.#incoming;
    if (!call) return;
    this.#incoming = null;
    this.#set({ ...this.call, isAnswered: true });
    this.#meetIn(this.call.user, async () => call.accept(OPTIONS));
  }

  /** Ends the call, whichever end has begun it, also one that was answered and has no room yet. */
  end() {
    this.#abort?.abort();
    if (!this.#incoming) return;
    this.#incoming.decline();
    this.#incoming = null;
    this.#set(null);
  }

  close() {
    for (const end of this.#ends.splice(0)) end();
    clearTimeout(this.#again);
    this.end();
  }

  #rings(call) {
    const user = call.user ?? '';
    if (this.call) {
      call.decline('busy');
      return this.#told.ended({ user: user || call.name, code: 'missed' });
    }
    this.#incoming = call;
    this.#set({ user, name: user || call.name, isOwn: false, isAnswered: false });
    call.on('canceled', ({ reason }) => {
      if (this.#incoming !== call) return;
      this.#incoming = null;
      this.#set(null);
      const code = reason === 'answered-elsewhere' ? reason : 'missed';
      this.#told.ended({ user: user || call.name, code });
    });
  }

  // Whoever answers is here already; programs that don't know of rooms are not.
  async #meetIn(user, meet) {
    const { signal } = this.#abort = new AbortController();
    let call = null;
    try {
      call = await meet(signal);
      this.#told.answered(await this.#agree(call, signal));
    } catch (error) {
      call?.hangup();
      if (error.code !== 'canceled') this.#told.ended({ user, code: WHY_NOT[error.reason] ?? error.code });
    }
    this.#abort = null;
    this.#set(null);
  }

  async #agree(call, signal) {
    const { id } = call.peer;
    const { peerId } = this.#session;
    const { isOwn } = this.call;
    const own = randomRoom();
    let timer;
    const word = new Promise((resolve, reject) => {
      const fail = (code) => reject(Object.assign(new Error('no room'), { code }));
      this.#heard = () => this.#words.has(id) && resolve(this.#words.get(id));
      this.#heard();
      signal.addEventListener('abort', () => fail('canceled'));
      if (signal.aborted) fail('canceled');
      call.on('closed', () => fail(isOwn ? 'declined' : 'missed'));
      timer = setTimeout(fail, this.#patience, 'elsewhere');
    });
    const [theirs] = await Promise.all([word, this.#session.signal(id, { [WORD]: own })])
      .finally(() => clearTimeout(timer));
    return peerId < id ? own : theirs;
  }

  // The far end may have said its word before it is known: it must not be shut out by strangers'.
  #hear(from, room) {
    if (!this.call || typeof room !== 'string' || !ROOM.test(room)) return;
    this.#words.delete(from);
    if (this.#words.size === WORDS) this.#words.delete(this.#words.keys().next().value);
    this.#words.set(from, room);
    this.#heard();
  }

  #meet(peers, all = false) {
    if (all) this.#there.clear();
    this.hidden = null;
    for (const { id, user } of peers) if (user) this.#there.set(id, user);
    this.#peopled();
  }

  #peopled() {
    this.#people = null;
    this.#told.peopled();
  }

  #set(call) {
    this.call = call;
    if (!call) this.#words.clear();
    this.#told.rung();
  }
}

function randomRoom() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
