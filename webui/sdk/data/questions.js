// Questions to peers, each of which has one answer.
import { SignalboxError } from '../errors.js';
import { randomID } from '../random.js';

const GONE = 'The peer has gone.';

export class Questions {
  #open = new Map(); // id -> {peer, resolve, reject, timer}

  // Asks the peer by `say`, which is given {id, data} and tells whether that has gone out.
  ask(peer, data, ms, say) {
    return new Promise((resolve, reject) => {
      const id = randomID();
      if (!say({ id, data })) throw new SignalboxError('no-channel');
      const timer = setTimeout(() => this.#end(id)?.reject(new SignalboxError('timeout')), ms);
      this.#open.set(id, { peer, resolve, reject, timer });
    });
  }

  // Takes what a peer answers.
  answered(peer, { id, data, refused, reason }) {
    if (this.#open.get(id)?.peer !== peer) return;
    const { resolve, reject } = this.#end(id);
    if (refused) reject(Object.assign(new SignalboxError(reason ? 'declined' : 'unanswered'), { reason }));
    else resolve(data);
  }

  // The peer has gone, or all of them.
  lose(peer) {
    for (const [id, question] of this.#open) {
      if (!peer || question.peer === peer) this.#end(id).reject(new SignalboxError('lost', GONE));
    }
  }

  #end(id) {
    const question = this.#open.get(id);
    this.#open.delete(id);
    clearTimeout(question?.timer);
    return question;
  }
}

// Lets an application answer by `say`, with data or with a promise of it. The first answer counts.
export function answerOnce(say) {
  let answered = false;
  return async (data) => {
    if (answered) return;
    answered = true;
    try {
      say({ data: await data });
    } catch (error) {
      say({ refused: true, reason: String(error?.message || error || 'refused') });
    }
  };
}
