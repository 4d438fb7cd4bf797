// Binary values in packets (Socket.IO protocol 5), and in text (Engine.IO 4 over polling).

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
