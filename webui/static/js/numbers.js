// Numbers for people, in their language.
import { locale } from './i18n.js';

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
