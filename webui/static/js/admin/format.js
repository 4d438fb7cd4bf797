// Addresses and spans for people.
import { t } from '../i18n.js';

/**
 * Whose an address is, with or without a port: an IPv4 address is somebody's, of IPv6 the /64
 * around it.
 */
export function network(address) {
  const bare = address.match(/^\[(.+)\]/)?.[1] ?? address.replace(/^([\d.]+):\d+$/, '$1');
  const host = bare.replace(/^::ffff:(?=[\d.]+$)/i, ''); // IPv4 in the dress of IPv6: its /64 is all of IPv4
  if (!host.includes(':')) return host;
  const [head, tail] = host.split('::').map((half) => half.split(':').filter(Boolean));
  const groups = tail ? [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail] : head;
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The two largest units of a span in milliseconds. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    ['span.days', Math.floor(seconds / 86_400)],
    ['span.hours', Math.floor(seconds / 3600) % 24],
    ['span.minutes', Math.floor(seconds / 60) % 60],
    ['span.seconds', seconds % 60],
  ];
  const first = parts.findIndex(([, value]) => value > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([key, value]) => t(key, { value })).join(' ');
}
