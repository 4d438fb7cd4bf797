// Errors: a code for programs and a sentence for people.

const SENTENCES = {
  unreachable: 'The signaling server could not be reached.',
  'no-hub': 'No signaling server answers under this URL.',
  'origin-refused': 'The signaling server does not allow pages of this origin.',
  'csp-refused': 'The Content-Security-Policy does not allow the signaling server.',
  'too-many-tabs': 'Too many tabs are connected without WebSockets.',
  offline: 'The signaling connection is down; too much waits.',
  lost: 'The session was lost, perhaps before this was done.',
  timeout: 'There was no answer.',
  closed: 'The session has been closed.',
  joined: 'The session is already in the room.',
  'too-large': 'The data is too large.',
  'no-webrtc': 'WebRTC is missing or not allowed.',
  'bad-data': "This can't be sent.",
  'no-channel': 'No data channel is open.',
  negotiation: 'The peers could not agree.',
  declined: 'The other end declined.',
  unanswered: 'Nobody answered.',
  canceled: 'Canceled.',
};

export class SignalboxError extends Error {
  // Each module of the SDK has a copy of this class.
  static [Symbol.hasInstance](error) {
    return error?.name === 'SignalboxError';
  }

  constructor(code, message) {
    super(message || SENTENCES[code] || `The signaling server refused: ${code}.`);
    this.name = 'SignalboxError';
    this.code = code;
  }
}
