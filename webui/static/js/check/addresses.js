// What an address says about where it can be reached from.

/** An address without the brackets that IPv6 ones have in URLs, and in Chromium's candidates. */
export function unbracketed(address) {
  return address.replace(/^\[|\]$/g, '');
}

/** An address as it stands before a port. */
export function bracketed(address) {
  return address.includes(':') ? `[${unbracketed(address)}]` : address;
}

/** The address of an endpoint, such as [2001:db8::1]:9. */
export function hostOf(endpoint) {
  return unbracketed(endpoint.replace(/:\d+$/, ''));
}

/** Whether it exists only within a network: private, shared (CGNAT), link-local or loopback. */
export function isLocal(address) {
  const host = unbracketed(address).toLowerCase();
  const mapped = host.match(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/);
  const v4 = (mapped?.[1] ?? host).match(/^(\d+)\.(\d+)\.\d+\.\d+$/);
  if (v4) {
    const [a, b] = [Number(v4[1]), Number(v4[2])];
    return a === 10 || a === 127 || a === 0 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)
      || (a === 169 && b === 254) || (a === 100 && b >= 64 && b < 128);
  }
  return (
    host === '::1' || /^f[cd]/.test(host) || /^fe[89ab]/.test(host) || host === 'localhost' || host.endsWith('.local')
  );
}

/** The family of an address: 4, 6, or 0 for what is none. */
export function family(text) {
  return text.includes(':') ? 6 : /^[\d.]+$/.test(text) ? 4 : 0;
}

/**
 * The family over which a server was asked for a candidate: the browser's own, as the server sees
 * it. 0: the browser doesn't tell.
 */
export function familyOf({ type, address, relatedAddress }) {
  return family((type === 'relay' ? relatedAddress : address) ?? '');
}

/** Whether an address says something: browsers put zeros for what they keep to themselves. */
const isTold = (address) => Boolean(address) && address !== '0.0.0.0' && address !== '::';

/**
 * Whether a relayed candidate tells at which address its server sees the browser, which is its
 * related one (RFC 8445 §5.1.1.2). Firefox repeats the relayed one there.
 */
export function tellsMapped({ address, port, relatedAddress, relatedPort }) {
  return isTold(relatedAddress) && !(relatedAddress === address && relatedPort === port);
}

/** Whether a host is an address, of the same family as another one. */
export function sameFamily(host, address) {
  return family(host) > 0 && family(host) === family(address);
}

/** Whether two spellings are of one address. */
export function sameAddress(a, b) {
  const plain = (text) => (text.includes(':') ? new URL(`http://${bracketed(text)}`).hostname : text);
  return plain(a) === plain(b);
}
