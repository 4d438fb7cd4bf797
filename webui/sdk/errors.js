// What can go wrong, as a code for programs and a sentence for people.

const SENTENCES = {
  unreachable: 'The signaling server could not be reached.',
  offline: 'The signaling connection is down, and too much is waiting for it already.',
  lost: 'The signaling session was lost: whether this was still carried out is not known.',
  timeout: 'The signaling server did not answer in time.',
  closed: 'The session has been closed.',
  joined: 'This session is in that room already.',
  'too-large': 'The data are longer than the signaling server takes.',
  negotiation: 'The peers could not agree on a session description.',
  declined: 'The call was declined.',
  unanswered: 'Nobody answered the call.',
  canceled: 'The call was canceled.',
};

export class SignalboxError extends Error {
  constructor(code, message) {
    super(message || SENTENCES[code] || `The signaling server refused: ${code}.`);
    this.name = 'SignalboxError';
    this.code = code;
  }
}
