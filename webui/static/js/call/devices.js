// The choice of devices, where there is one, in the lobby and in the call, and how loud the
// microphone is.
import { MediaError, Meter } from '/signalbox-media.js';
import { byId, h } from '../dom.js';

const KINDS = ['microphone', 'camera', 'speaker'];

export class DeviceChoice {
  #media;
  #trouble;
  #meter = null;
  #frame = 0;

  constructor(media, trouble) {
    this.#media = media;
    this.#trouble = trouble;
    for (const kind of KINDS) {
      byId(`use-${kind}`).addEventListener('change', ({ target }) => this.#use(kind, target.value));
    }
    byId('settings-open').addEventListener('click', () => this.#open());
    byId('settings-close').addEventListener('click', () => byId('settings').close());
    byId('settings').addEventListener('close', () => this.end());
    media.on('devices', () => this.refresh());
    media.on('track', () => this.refresh());
  }

  refresh() {
    for (const kind of KINDS) this.#list(kind);
  }

  /** Has the lobby show it, until `end`. */
  begin() {
    byId('settings').close();
    byId('lobby-devices').append(byId('devices'));
    this.#listen();
  }

  // Shows how loud the microphone is.
  #listen() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#listen());
    const { microphone } = this.#media;
    if (this.#meter?.track !== microphone) {
      this.#meter?.stop();
      this.#meter = microphone && new Meter(microphone);
    }
    const level = (this.#meter?.level ?? 0).toFixed(2);
    for (const id of ['lobby-mic', 'level']) byId(id).style.setProperty('--level', level);
  }

  end() {
    cancelAnimationFrame(this.#frame);
    this.#meter?.stop();
    this.#meter = null;
  }

  #open() {
    byId('call-devices').append(byId('devices'));
    this.refresh();
    byId('devices-none').hidden = KINDS.some((kind) => !byId(`use-${kind}`).parentElement.hidden);
    byId('settings').showModal();
    this.#listen();
  }

  #list(kind) {
    const select = byId(`use-${kind}`);
    const named = this.#media.devices[kind].filter(({ label }) => label);
    const used = this.#media.deviceOf(kind);
    select.replaceChildren(...named.map(({ deviceId, label }) => h('option', { value: deviceId }, label)));
    // The system's own choice has a place among the speakers only where the browser lists it.
    if (kind === 'speaker' && !named.some(({ deviceId }) => deviceId === 'default')) {
      select.prepend(h('option', { value: '', t: 'device.system' }));
    }
    select.value = used || (kind === 'speaker' ? select.options[0].value : '');
    select.parentElement.hidden = named.length < 2;
  }

  async #use(kind, id) {
    try {
      await this.#media.use(kind, id);
    } catch (error) {
      if (!(error instanceof MediaError)) throw error;
      this.#trouble.show(error); // the old device goes on
    }
    this.refresh();
  }
}
