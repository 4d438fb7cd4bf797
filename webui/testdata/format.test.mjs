// Whom a ban is for.
import assert from 'node:assert/strict';
import { test } from 'node:test';

// The language is what the page's reader prefers.
globalThis.navigator ??= { languages: ['en'] };
const { network } = await import('../static/js/admin/format.js');

test('an address, with or without a port, names an IPv4 host or the /64 of an IPv6 one', () => {
  for (const [address, want] of [
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:50123', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:50123', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2:3:4:5:6]:50123', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['[2001:db8::7]:50123', '2001:db8:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
  ]) assert.equal(network(address), want);
});
