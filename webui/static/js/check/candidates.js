// How a candidate's priority is shown.

/** RFC 8445 §5.1.2.1: type preference, local preference, 256 - component. */
export function formatPriority(priority) {
  return [priority >>> 24, (priority >>> 8) & 0xffff, priority & 0xff].join(' | ');
}
