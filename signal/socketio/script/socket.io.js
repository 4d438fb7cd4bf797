// The client of Socket.IO that this box serves: protocol 5 over Engine.IO 4, in ES5. It has what
// pages use: see signal/socketio/script/script.go. It works with npm's server, too.
(function (root) {
  "use strict";

  var SEPARATOR = String.fromCharCode(30);
  var RESERVED = /^(connect|connect_error|disconnect|disconnecting|newListener|removeListener)$/;

  // Emitter calls listeners by the names of events.
  function Emitter() { this.listenersOf = {}; this.any = []; }
  Emitter.prototype.on = Emitter.prototype.addEventListener = function (name, listener) {
    var key = "$" + name;
    (this.listenersOf[key] = this.listenersOf[key] || []).push(listener);
    return this;
  };
  Emitter.prototype.once = function (name, listener) {
    var self = this;
    function once() { self.off(name, once); listener.apply(this, arguments); }
    once.of = listener;
    return this.on(name, once);
  };
  Emitter.prototype.off = Emitter.prototype.removeListener = Emitter.prototype.removeAllListeners =
    Emitter.prototype.removeEventListener = function (name, listener) {
      if (!arguments.length) this.listenersOf = {};
      else if (!listener) delete this.listenersOf["$" + name];
      else {
        this.listenersOf["$" + name] = this.listeners(name).filter(function (l) {
          return l !== listener && l.of !== listener;
        });
      }
      return this;
    };
  Emitter.prototype.listeners = function (name) { return this.listenersOf["$" + name] || []; };
  Emitter.prototype.hasListeners = function (name) { return this.listeners(name).length > 0; };
  Emitter.prototype.tell = function (name) {
    var args = [].slice.call(arguments, 1), self = this;
    this.listeners(name).slice().forEach(function (l) { l.apply(self, args); });
  };

  function inherit(from) {
    from.prototype = Object.create(Emitter.prototype);
    from.prototype.constructor = from;
  }

  function bytesOf(value) {
    if (typeof ArrayBuffer === "undefined") return null;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return null;
  }

  // take replaces binary values by placeholders, and collects them.
  function take(value, binary) {
    var bytes = bytesOf(value), copy;
    if (typeof Blob !== "undefined" && value instanceof Blob) throw new TypeError("send a Blob's arrayBuffer()");
    if (bytes) {
      binary.push(bytes);
      return { _placeholder: true, num: binary.length - 1 };
    }
    if (!value || typeof value !== "object" || value instanceof Date || typeof value.toJSON === "function") return value;
    if (Array.isArray(value)) return value.map(function (item) { return take(item, binary); });
    copy = {};
    Object.keys(value).forEach(function (key) { copy[key] = take(value[key], binary); });
    return copy;
  }

  // put is the way back.
  function put(value, binary) {
    if (!value || typeof value !== "object") return value;
    if (value._placeholder === true) {
      if (!(value.num >= 0 && value.num < binary.length)) throw new Error("illegal attachments");
      return binary[value.num];
    }
    Object.keys(value).forEach(function (key) { value[key] = put(value[key], binary); });
    return value;
  }

  function toBase64(bytes) {
    var text = "", i;
    for (i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
    return btoa(text);
  }

  function fromBase64(text) {
    var raw = atob(text), bytes = new Uint8Array(raw.length), i;
    for (i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes.buffer;
  }

  // Engine is one connection of Engine.IO. It calls on.open, on.packet(text or ArrayBuffer), on.ping and
  // on.close(reason, error), the last once.
  function Engine(url, options, on) {
    this.url = url;
    this.options = options;
    this.on = on;
    this.waiting = [];
    this.state = "opening";
    this.transport = { name: options.transports[0] };
    if (this.transport.name === "websocket") this.openSocket();
    else this.poll();
  }

  Engine.prototype.address = function (transport) {
    var query = { EIO: 4, transport: transport }, more = this.options.query || {}, self = this;
    Object.keys(more).forEach(function (key) { query[key] = more[key]; });
    if (this.id) query.sid = this.id;
    if (transport === "polling") query.t = Date.now().toString(36) + Math.random().toString(36).slice(2, 6);
    return (transport === "websocket" ? self.url.replace(/^http/, "ws") : self.url) + this.options.path + "?" +
      Object.keys(query).filter(function (key) { return query[key] !== undefined; }).map(function (key) {
        return encodeURIComponent(key) + "=" + encodeURIComponent(query[key]);
      }).join("&");
  };

  Engine.prototype.request = function (method, body, done) {
    var self = this, xhr = new XMLHttpRequest(), headers = this.options.extraHeaders || {};
    xhr.open(method, this.address("polling"), true);
    xhr.withCredentials = !!this.options.withCredentials;
    if (method === "POST") xhr.setRequestHeader("Content-type", "text/plain;charset=UTF-8");
    Object.keys(headers).forEach(function (key) { xhr.setRequestHeader(key, headers[key]); });
    xhr.onreadystatechange = function () {
      if (xhr.readyState !== 4 || self.state === "closed") return;
      if (xhr.status === 200) done(xhr.responseText);
      else self.fail("xhr " + (method === "GET" ? "poll" : "post") + " error", xhr.status);
    };
    xhr.send(body);
    return xhr;
  };

  Engine.prototype.poll = function () {
    var self = this;
    this.polling = this.request("GET", null, function (text) {
      self.polling = null;
      text.split(SEPARATOR).forEach(function (packet) {
        if (self.state === "closed") return; // by a listener of an earlier packet
        if (packet.charAt(0) === "b") self.on.packet(fromBase64(packet.slice(1)));
        else self.receive(packet);
      });
      if (self.state === "open" && !self.paused) self.poll();
      self.change();
    });
  };

  Engine.prototype.openSocket = function () {
    var self = this, trial = this.id !== undefined;
    var Socket = root.WebSocket || WebSocket, ws = new Socket(this.address("websocket"));
    ws.binaryType = "arraybuffer";
    this.ws = ws;
    ws.onopen = function () { if (trial) ws.send("2probe"); };
    ws.onmessage = function (event) {
      if (self.state === "closed") return;
      if (trial) {
        if (event.data !== "3probe") return ws.close();
        trial = false;
        self.paused = true;
        return self.change();
      }
      if (typeof event.data === "string") self.receive(event.data);
      else self.on.packet(event.data);
    };
    ws.onerror = function () { if (!trial && self.socketed()) self.fail("websocket error"); };
    ws.onclose = function () {
      if (!trial && self.socketed()) self.end("transport close");
      else if (self.paused) self.end("transport error");
    };
  };

  Engine.prototype.socketed = function () { return this.transport.name === "websocket"; };

  // change changes to the WebSocket once the poll and the post are answered.
  Engine.prototype.change = function () {
    if (!this.paused || this.polling || this.posting || this.socketed() || this.state !== "open") return;
    this.ws.send("5");
    this.transport = { name: "websocket" };
    this.flush();
  };

  Engine.prototype.receive = function (packet) {
    var data = packet.slice(1), handshake;
    switch (packet.charAt(0)) {
      case "0":
        handshake = JSON.parse(data);
        this.id = handshake.sid;
        this.most = handshake.maxPayload || Infinity;
        this.patience = handshake.pingInterval + handshake.pingTimeout;
        this.state = "open";
        this.heard();
        this.on.open();
        if (this.state === "closed") return; // by a listener
        if (!this.socketed() && this.options.upgrade !== false && handshake.upgrades.indexOf("websocket") >= 0 &&
          this.options.transports.indexOf("websocket") >= 0) this.openSocket();
        this.flush();
        break;
      case "1": this.end("transport close"); break;
      case "2": this.heard(); this.send(["3"]); this.on.ping(); break;
      case "4": this.on.packet(data); break;
    }
  };

  Engine.prototype.heard = function () {
    var self = this;
    clearTimeout(this.alarm);
    this.alarm = setTimeout(function () { self.end("ping timeout"); }, this.patience);
  };

  // writable tells whether what is sent now leaves now.
  Engine.prototype.writable = function () {
    return this.state === "open" && !this.posting && (this.socketed() ? this.ws.readyState === 1 : !this.paused);
  };

  Engine.prototype.send = function (packets) {
    this.waiting = this.waiting.concat(packets);
    this.flush();
  };

  Engine.prototype.flush = function () {
    var self = this, body = "", packet;
    if (!this.waiting.length || !this.writable()) return;
    if (this.socketed()) {
      this.waiting.splice(0).forEach(function (p) { self.ws.send(p); });
      return;
    }
    while (this.waiting.length) {
      packet = typeof this.waiting[0] === "string" ? this.waiting[0] : "b" + toBase64(this.waiting[0]);
      if (body && body.length + packet.length + 1 > this.most / 3) break; // in UTF-8 it may be three times as long
      body += (body ? SEPARATOR : "") + packet;
      this.waiting.shift();
    }
    this.posting = this.request("POST", body, function () {
      self.posting = null;
      self.flush();
      self.change();
    });
  };

  Engine.prototype.fail = function (message, status) {
    var error = new Error(message);
    error.type = "TransportError";
    error.description = status;
    this.end("transport error", error);
  };

  Engine.prototype.end = function (reason, error) {
    if (this.state === "closed") return;
    this.state = "closed";
    clearTimeout(this.alarm);
    if (this.polling) this.polling.abort();
    if (this.ws) this.ws.close();
    this.on.close(reason, error);
  };

  // close says what waits and goodbye, behind the post that is under way: the server takes one at a
  // time.
  Engine.prototype.close = function () {
    var self = this, rest = this.waiting.splice(0).concat("1").map(function (p) {
      return typeof p === "string" ? p : "b" + toBase64(p);
    }).join(SEPARATOR);
    function leave() { self.request("POST", rest, function () {}); }
    if (this.state === "open" && !this.socketed()) {
      if (this.posting) this.posting.onreadystatechange = function () { if (this.readyState === 4) leave(); };
      else leave();
    }
    this.end("forced close");
  };

  // Manager keeps a connection, for the sockets of its namespaces.
  function Manager(url, options) {
    if (!(this instanceof Manager)) return new Manager(url, options);
    if (url && typeof url === "object") { options = url; url = undefined; }
    options = options || {};
    Emitter.call(this);
    this.uri = url;
    this.nsps = {};
    this.attempts = 0;
    this.opts = {
      path: "/socket.io", transports: ["polling", "websocket"], reconnection: true, reconnectionAttempts: Infinity,
      reconnectionDelay: 1000, reconnectionDelayMax: 5000, randomizationFactor: 0.5, timeout: 20000, autoConnect: true
    };
    for (var key in options) if (options[key] !== undefined) this.opts[key] = options[key];
    this.opts.path = this.opts.path.replace(/\/$/, "") + "/";
    this._readyState = "closed";
    if (this.opts.autoConnect) this.open();
  }
  inherit(Manager);

  Manager.prototype.reconnection = function (on) {
    if (!arguments.length) return this.opts.reconnection;
    this.opts.reconnection = !!on;
    return this;
  };

  Manager.prototype.open = Manager.prototype.connect = function (done) {
    var self = this;
    done = done || function () {};
    if (this._readyState !== "closed") return this;
    this._readyState = "opening";
    this.skip = false;
    var late = this.opts.timeout === false ? 0 : setTimeout(function () { fail(new Error("timeout")); }, this.opts.timeout);
    var engine = this.engine = new Engine(addressOf(this.uri).origin, this.opts, {
      open: function () {
        clearTimeout(late);
        self._readyState = "open";
        self.tell("open");
        done();
      },
      packet: function (data) { self.receive(data); },
      ping: function () { self.tell("ping"); },
      close: function (reason, error) {
        clearTimeout(late);
        if (self.engine !== engine) return;
        if (self._readyState === "open") self.lost(reason, error);
        else fail(error || new Error(reason));
      }
    });
    function fail(error) {
      clearTimeout(late);
      if (self.engine !== engine || self._readyState !== "opening") return;
      self._readyState = "closed";
      engine.end("forced close");
      self.tell("error", error);
      done(error);
      if (!self.reconnecting && self.attempts === 0) self.again();
    }
    return this;
  };

  Manager.prototype.receive = function (data) {
    var p, match;
    if (typeof data !== "string") {
      if (!this.partial) return this.engine.end("parse error");
      this.partial.binary.push(data);
      if (this.partial.binary.length < this.partial.count) return;
      p = this.partial;
      this.partial = null;
    } else {
      match = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),?)?(\d*)([\s\S]*)$/.exec(data);
      if (!match || this.partial) return this.engine.end("parse error");
      p = { type: +match[1], nsp: match[3] || "/", id: match[4], binary: [], count: +match[2] || 0 };
      try {
        p.data = match[5] ? JSON.parse(match[5]) : undefined;
        if (p.type > 1 && p.type !== 4 && !Array.isArray(p.data)) throw p;
      } catch (e) { return this.engine.end("parse error"); }
      if (p.count) { this.partial = p; return; }
    }
    if (p.count) {
      try { p.data = put(p.data, p.binary); } catch (e) { return this.engine.end("parse error"); }
    }
    if (this.nsps[p.nsp]) this.nsps[p.nsp].receive(p);
  };

  Manager.prototype.send = function (type, nsp, id, data) {
    var binary = [], text = data === undefined ? "" : JSON.stringify(take(data, binary));
    if (binary.length) type += 3;
    if (this.engine) this.engine.send(["4" + type + (binary.length ? binary.length + "-" : "") + (nsp === "/" ? "" : nsp + ",") + id + text]
      .concat(binary));
  };

  Manager.prototype.lost = function (reason, error) {
    this._readyState = "closed";
    this.partial = null;
    this.tell("close", reason, error);
    if (this.opts.reconnection && !this.skip) this.again();
  };

  // again connects again, after a pause.
  Manager.prototype.again = function () {
    var self = this, o = this.opts, delay;
    if (!o.reconnection || this.skip || this.reconnecting) return;
    if (this.attempts >= o.reconnectionAttempts) {
      this.attempts = 0;
      return this.tell("reconnect_failed");
    }
    delay = Math.min(o.reconnectionDelay * Math.pow(2, this.attempts), o.reconnectionDelayMax);
    delay = Math.round(delay * (1 + o.randomizationFactor * (2 * Math.random() - 1)));
    this.reconnecting = true;
    this.timer = setTimeout(function () {
      var attempt = ++self.attempts;
      self.tell("reconnect_attempt", attempt);
      if (self.skip) { self.reconnecting = false; return; }
      self.open(function (error) {
        self.reconnecting = false;
        if (error) {
          self.tell("reconnect_error", error);
          return self.again();
        }
        self.attempts = 0;
        self.tell("reconnect", attempt);
      });
    }, delay);
  };

  Manager.prototype.socket = function (nsp, options) {
    var socket = this.nsps[nsp];
    if (!socket) socket = this.nsps[nsp] = new Socket(this, nsp, options);
    else if (this.opts.autoConnect && !socket.active) socket.connect();
    return socket;
  };

  // release closes the connection that no socket needs any more.
  Manager.prototype.release = function () {
    for (var nsp in this.nsps) if (this.nsps[nsp].active) return;
    this.disconnect();
  };

  Manager.prototype.disconnect = Manager.prototype.close = function () {
    var open = this._readyState === "open", engine = this.engine;
    this.skip = true;
    this.reconnecting = false;
    this.attempts = 0;
    clearTimeout(this.timer);
    if (this._readyState !== "closed") {
      this._readyState = "closed";
      this.engine = undefined;
      engine.close();
    }
    if (open) this.lost("forced close");
  };

  // Socket is a client's place in a namespace.
  function Socket(manager, nsp, options) {
    Emitter.call(this);
    this.io = manager;
    this.nsp = nsp;
    this.auth = options && options.auth;
    this.connected = this.active = this.recovered = false;
    this.acks = {};
    this.ids = 0;
    this.flags = {};
    this.buffer = [];
    var self = this;
    manager.on("open", function () { if (self.active) self.ask(); });
    manager.on("error", function (error) { if (self.active && !self.connected) self.tell("connect_error", error); });
    manager.on("close", function (reason, error) { self.left(reason, error); });
    if (manager.opts.autoConnect) this.connect();
  }
  inherit(Socket);

  Object.defineProperty(Socket.prototype, "disconnected", { get: function () { return !this.connected; } });
  Object.defineProperty(Socket.prototype, "volatile", { get: function () { this.flags.volatile = true; return this; } });

  Socket.prototype.connect = Socket.prototype.open = function () {
    if (this.connected || this.active && this.io._readyState !== "closed") return this;
    this.active = true;
    if (!this.io.reconnecting) this.io.open();
    if (this.io._readyState === "open") this.ask();
    return this;
  };

  Socket.prototype.ask = function () {
    var self = this;
    function ask(auth) { self.io.send(0, self.nsp, "", auth); }
    if (typeof this.auth === "function") this.auth(ask);
    else ask(this.auth);
  };

  Socket.prototype.receive = function (p) {
    var error, ack;
    if (!this.active) return; // disconnected meanwhile
    switch (p.type) {
      case 0:
        if (!p.data || !p.data.sid) {
          error = new Error("It seems you are trying to reach a Socket.IO server in v2.x with a v3.x client, but they " +
            "are not compatible");
          return this.tell("connect_error", error);
        }
        this.id = p.data.sid;
        this.connected = true;
        this.buffer.splice(0).forEach(function (send) { send(); });
        this.tell("connect");
        break;
      case 1:
        this.active = false;
        this.left("io server disconnect");
        this.io.release();
        break;
      case 4:
        this.active = false;
        error = new Error(p.data && p.data.message || p.data);
        error.data = p.data && p.data.data;
        this.io.release();
        this.tell("connect_error", error);
        break;
      case 3:
      case 6:
        ack = this.acks[p.id];
        delete this.acks[p.id];
        if (ack) ack.apply(this, p.data);
        break;
      default:
        this.happen(p);
    }
  };

  Socket.prototype.happen = function (p) {
    var self = this, args = p.data, sent = false;
    if (p.id !== "") {
      args.push(function () {
        if (sent) return;
        sent = true;
        self.io.send(3, self.nsp, p.id, [].slice.call(arguments));
      });
    }
    this.any.slice().forEach(function (listener) { listener.apply(self, args); });
    this.tell.apply(this, args);
  };

  Socket.prototype.left = function (reason, error) {
    var self = this, was = this.connected, acks = this.acks;
    this.connected = false;
    delete this.id;
    this.acks = {};
    this.buffer.forEach(function (send) { if (acks[send.id]) self.acks[send.id] = acks[send.id]; });
    Object.keys(acks).forEach(function (id) {
      if (!self.acks[id] && acks[id].timed) acks[id](new Error("socket has been disconnected"));
    });
    if (was) this.tell("disconnect", reason, error);
  };

  Socket.prototype.timeout = function (milliseconds) { this.flags.timeout = milliseconds; return this; };
  Socket.prototype.compress = function () { return this; };

  Socket.prototype.emit = function (name) {
    var self = this, args = [].slice.call(arguments), flags = this.flags, id = "";
    if (RESERVED.test(name)) throw new Error('"' + name + '" is a reserved event name');
    this.flags = {};
    if (typeof args[args.length - 1] === "function") {
      id = String(this.ids++);
      this.acks[id] = timed(args.pop(), flags.timeout || this.io.opts.ackTimeout, function () {
        delete self.acks[id];
        self.buffer = self.buffer.filter(function (send) { return send.id !== id; });
      });
    }
    function send() { self.io.send(2, self.nsp, id, args); }
    send.id = id;
    if (this.connected && !(flags.volatile && !(this.io.engine && this.io.engine.writable()))) send();
    else if (!flags.volatile) this.buffer.push(send);
    return this;
  };

  // timed is an ack that gets an error first if it takes too long.
  function timed(ack, milliseconds, forget) {
    if (milliseconds === undefined) return ack;
    var timer = setTimeout(function () {
      forget();
      ack(new Error("operation has timed out"));
    }, milliseconds);
    function answer(error) {
      clearTimeout(timer);
      if (error instanceof Error && arguments.length === 1) ack(error);
      else ack.apply(this, [null].concat([].slice.call(arguments)));
    }
    answer.timed = true;
    return answer;
  }

  Socket.prototype.emitWithAck = function () {
    var self = this, args = [].slice.call(arguments), timed = this.flags.timeout || this.io.opts.ackTimeout;
    return new Promise(function (resolve, reject) {
      function ack(first, second) {
        if (first instanceof Error) reject(first);
        else resolve(timed === undefined ? first : second);
      }
      ack.timed = true; // it is told when the connection ends
      args.push(ack);
      self.emit.apply(self, args);
    });
  };

  Socket.prototype.send = function () {
    return this.emit.apply(this, ["message"].concat([].slice.call(arguments)));
  };

  Socket.prototype.onAny = function (listener) { this.any.push(listener); return this; };
  Socket.prototype.prependAny = function (listener) { this.any.unshift(listener); return this; };
  Socket.prototype.offAny = function (listener) {
    this.any = listener ? this.any.filter(function (l) { return l !== listener; }) : [];
    return this;
  };
  Socket.prototype.listenersAny = function () { return this.any; };

  Socket.prototype.disconnect = Socket.prototype.close = function () {
    if (this.connected) this.io.send(1, this.nsp, "");
    this.active = false;
    this.left("io client disconnect");
    this.io.release();
    return this;
  };

  // addressOf takes an address apart, which may be a path on the page's own host.
  function addressOf(url) {
    var here = root.location, match;
    if (!url) url = here.protocol + "//" + here.host;
    if (/^\/\//.test(url)) url = here.protocol + url;
    else if (url.charAt(0) === "/") url = here.protocol + "//" + here.host + url;
    else if (!/^(https?|wss?):\/\//.test(url)) url = (here ? here.protocol : "https:") + "//" + url;
    match = /^(\w+:)\/\/([^\/?#]+)([^?#]*)(?:\?([^#]*))?/.exec(url);
    return { origin: match[1].replace("ws", "http") + "//" + match[2], path: match[3] || "/", query: match[4] };
  }

  var managers = {};

  function io(url, options) {
    if (url && typeof url === "object") { options = url; url = undefined; }
    options = options || {};
    var at = addressOf(url), key = at.origin + (options.path || ""), known = managers[key], manager, query = {};
    if (at.query && !options.query) {
      at.query.split("&").forEach(function (pair) {
        var parts = pair.split("=").map(decodeURIComponent);
        query[parts[0]] = parts[1];
      });
      options.query = query;
    }
    if (options.forceNew || options["force new connection"] || options.multiplex === false || known && known.nsps[at.path]) {
      manager = new Manager(at.origin, options);
    } else {
      manager = known || (managers[key] = new Manager(at.origin, options));
    }
    return manager.socket(at.path, options);
  }

  io.io = io.connect = io["default"] = io;
  io.Manager = Manager;
  io.Socket = Socket;
  io.protocol = 5;

  if (typeof module === "object" && module.exports) module.exports = io;
  else root.io = io;
})(typeof self !== "undefined" ? self : globalThis);
