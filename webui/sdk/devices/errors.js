// Why a device can't be had: a code for programs, and a sentence for people.
import { deviceWords } from './words.js';

const CODES = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  InvalidStateError: 'gesture',
  NotFoundError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
  NotSupportedError: 'unsupported',
};

// What the browsers' policies call what has another name there.
const FEATURES = { screen: 'display-capture', speaker: 'speaker-selection' };

export class MediaError extends Error {
  constructor(code, kind, cause) {
    super(deviceWords(code, kind, 'en'));
    this.name = 'MediaError';
    this.code = code;
    this.kind = kind;
    if (cause) this.cause = cause;
  }

  words(language = navigator.language) {
    return deviceWords(this.code, this.kind, language);
  }
}

// What a browser says of a request for that kind of device.
export function mediaError(kind, cause) {
  return new MediaError(codeOf(kind, cause), kind, cause);
}

function codeOf(kind, { name, message, constraint }) {
  const code = CODES[name] ?? 'failed';
  if (name === 'OverconstrainedError') return constraint === 'deviceId' ? 'missing' : 'constraints';
  if (code !== 'denied') return code;
  // Only Chromium tells these apart, and most of them by words.
  if (document.featurePolicy?.allowsFeature(FEATURES[kind] ?? kind) === false) return 'policy';
  if (/by system/i.test(message)) return 'system';
  return kind === 'screen' || /dismissed/i.test(message) ? 'dismissed' : 'denied';
}
