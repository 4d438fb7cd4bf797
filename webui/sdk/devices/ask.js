// Asks the browser for microphones and cameras.
import { mediaError } from './errors.js';

const TRACK_KINDS = { microphone: 'audio', camera: 'video' };

// Has the browser open devices for slots, each with its ticket: [{slot, ticket, constraints}]. It
// asks for all at once, so that the visitor is asked once, and takes what can be had.
export async function openAll(requests, reason) {
  const cause = await tryToPrefer(requests, reason);
  if (!cause) return;
  if (requests.length > 1) await openEach(requests, reason, cause);
  else failFor(requests[0], cause);
}

// The device that is open goes on until the other one is; if that can't be had, it stays.
export async function switchTo(request) {
  const { slot, ticket } = request;
  let cause = await tryToOpen([request], 'switched');
  if (cause?.name === 'NotReadableError' && slot.track && slot.isCurrent(ticket)) {
    slot.pause(); // phones open one camera at a time
    cause = await tryToOpen([request], 'switched');
  }
  if (cause) failFor(request, cause);
}

// A remembered device that isn't there is no reason to forget about another one. Browsers say so
// before they ask the visitor; to what is only preferred, they don't hold themselves.
async function tryToPrefer(requests, reason) {
  const choosy = requests.filter(({ constraints }) => constraints.deviceId);
  let cause;
  for (const loose of [[], ...choosy.map((request) => [request]), choosy]) {
    const tried = requests.map((request) => (loose.includes(request) ? anyDevice(request) : request));
    cause = await tryToOpen(tried, reason);
    const isWanted = choosy.some(({ slot, ticket }) => slot.isCurrent(ticket));
    if (cause?.name !== 'OverconstrainedError' || !isWanted) break;
  }
  return cause;
}

function anyDevice({ constraints: { deviceId, ...constraints }, ...request }) {
  return { ...request, constraints };
}

async function tryToOpen(requests, reason) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(
      Object.fromEntries(requests.map(({ slot, constraints }) => [TRACK_KINDS[slot.kind], constraints])));
    for (const { slot, ticket } of requests) {
      slot.take(ticket, stream.getTracks().filter(({ kind }) => kind === TRACK_KINDS[slot.kind]), reason);
    }
    return null;
  } catch (cause) {
    return cause;
  }
}

// One missing or blocked device fails the request for all. A refusal just given is not asked for
// again.
async function openEach(requests, reason, cause) {
  const isRefusal = cause.name === 'NotAllowedError';
  const blocked = await Promise.all(requests.map(({ slot }) => isBlocked(slot.kind)));
  const hasRefused = isRefusal && !blocked.includes(true);
  for (const [index, request] of requests.entries()) {
    const { slot, ticket } = request;
    if (hasRefused || blocked[index]) failFor(request, isRefusal ? cause : new DOMException('', 'NotAllowedError'));
    else if (slot.isCurrent(ticket)) await openAll([request], reason);
  }
}

function failFor({ slot, ticket }, cause) {
  slot.fail(ticket, mediaError(slot.kind, cause));
}

async function isBlocked(name) {
  try {
    return (await navigator.permissions.query({ name })).state === 'denied';
  } catch {
    return false; // not every browser can be asked about every device
  }
}
