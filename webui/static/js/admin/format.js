// Numbers for people.
import { locale, t } from '../i18n.js';

const BYTES = ['B', 'kB', 'MB', 'GB', 'TB'];

/** With three digits, which is within half a percent. */
export function bytes(count) {
  let unit = 0;
  while (count >= 1000 && unit < BYTES.length - 1) {
    count /= 1000;
    unit++;
  }
  const digits = count < 10 ? 2 : count < 100 ? 1 : 0;
  return `${number(count, unit ? digits : 0)} ${BYTES[unit]}`;
}

/** Of bytes a second, in bits a second, as networks are measured. */
export function rate(bytesPerSecond) {
  const bits = bytesPerSecond * 8;
  if (bits < 1e6) return `${number(bits / 1e3, 0)} kbit/s`;
  return `${number(bits / 1e6, 1)} Mbit/s`;
}

export function number(value, digits = 0) {
  return value.toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

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
