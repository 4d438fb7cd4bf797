// Engine.IO 4: one connection, by polling and by WebSocket.

// SEPARATOR is between the packets of one payload.
var SEPARATOR = String.fromCharCode(30);

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
