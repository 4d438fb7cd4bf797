// Packets of Socket.IO over one connection, which is made again when it is lost.

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
