// A namespace: events, acknowledgements, and what waits for the connection.

var RESERVED = /^(connect|connect_error|disconnect|disconnecting|newListener|removeListener)$/;

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
