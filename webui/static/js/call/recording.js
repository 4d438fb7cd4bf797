// The button that records the call, and the mark that everybody sees while somebody does. What
// records is loaded when it is needed.
import { byId } from '../dom.js';
import { label, say } from '../i18n.js';

const SAID_MS = 15_000;
const OUTCOMES = { saved: 'record.saved', handed: 'record.handed', cut: 'record.cut', lost: 'record.lost' };

export class Recording {
  #room; // its name
  #stage = null;
  #recorder = null;
  #isStarting = false;
  #leftovers = import('./leftovers.js').then(({ Leftovers }) => new Leftovers());
  #others = new Map(); // peer id -> name, of those who record
  #timer;

  constructor(room) {
    this.#room = room;
    byId('record').hidden = !globalThis.MediaRecorder || !HTMLCanvasElement.prototype.captureStream;
    this.#offer();
    byId('record').addEventListener('click', () => (this.isOn ? this.#recorder.stop() : this.#start()));
  }

  get isOn() {
    return this.#recorder !== null;
  }

  /** There is a call. */
  begin(stage) {
    this.#stage = stage;
    say(byId('record-said'), '');
  }

  /** The call is over, and with it the recording. */
  end() {
    this.#recorder?.stop();
    this.#stage = null;
    this.#others.clear();
    this.#show();
  }

  /** Somebody else records, or not, or is gone. */
  setOther(id, name, isRecording) {
    if (isRecording === this.#others.has(id)) return;
    if (isRecording) this.#others.set(id, name);
    else this.#others.delete(id);
    this.#show();
  }

  async #start() {
    if (this.#isStarting) return;
    this.#isStarting = true;
    try {
      const { Recorder } = await import('./recorder.js');
      const scene = () => this.#stage?.scene ?? { pictures: [], tracks: [] };
      const recorder = new Recorder(scene, (outcome) => this.#ended(outcome));
      const time = new Date().toISOString().slice(0, 16).replace(':', '-');
      await recorder.start(`call-${this.#room.replaceAll(/[^\p{L}\p{N}-]+/gu, '-')}-${time}`);
      if (this.#stage) this.#recorder = recorder;
      else recorder.stop(); // the call has ended while a file was chosen
    } catch (error) {
      if (error.name !== 'AbortError') this.#say('record.failed'); // else the visitor has chosen none
    }
    this.#isStarting = false;
    this.#tell();
  }

  #ended(outcome) {
    this.#recorder = null;
    this.#say(OUTCOMES[outcome]);
    this.#tell();
    this.#offer();
  }

  #offer() {
    this.#leftovers.then((all) => all.refresh()).catch(() => {}); // the browser may have no disk of its own
  }

  #tell() {
    this.#show();
    this.#stage?.tell();
  }

  // Over pictures, it goes after a while.
  #say(key) {
    say(byId('record-said'), key);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stage && say(byId('record-said'), ''), SAID_MS);
  }

  #show() {
    const { isOn } = this;
    byId('record').toggleAttribute('data-active', isOn);
    label(byId('record'), isOn ? 'record.stop' : 'record.start');
    const names = [...this.#others.values()];
    byId('record-mark').hidden = !isOn && !names.length;
    say(byId('record-mark'), isOn ? 'record.own' : names.length ? 'record.others' : '', { names: names.join(', ') });
  }
}
