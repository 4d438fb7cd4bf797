// What listens to what: the base of Manager and Socket.

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
