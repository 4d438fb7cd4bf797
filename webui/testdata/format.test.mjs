// Numbers for people, and whom a ban is for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './reader.mjs';
import { network } from '../static/js/admin/format.js';
import { bytes } from '../static/js/numbers.js';

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

test('bytes are shown to within half a percent', () => {
  for (const [count, want] of [
    [0, '0 B'], [999, '999 B'], [1000, '1.00 kB'], [1044, '1.04 kB'], [45_678, '45.7 kB'], [123_456, '123 kB'],
    [4_239_000, '4.24 MB'], [7_654_321_000_000, '7.65 TB'], [1_234_567_000_000_000, '1,235 TB'],
  ]) assert.equal(bytes(count), want);
});
