// What pages call.

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
