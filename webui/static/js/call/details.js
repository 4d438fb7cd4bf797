// What is known of the connection to one person: figures, a minute of plots, and a report to copy.
import { verdictWords } from '/signalbox-stats.js';
import { byId, copy, h } from '../dom.js';
import { label, locale, say, t } from '../i18n.js';
import { version } from '../origin.js';
import { plot } from './plot.js';
import { milliseconds } from './tiles.js';

const SAID_MS = 2000;

export class Details {
  #shown = null; // {name, stats}
  #off = () => {};
  #timer;

  constructor() {
    byId('details-close').addEventListener('click', () => byId('details').close());
    byId('details-copy').addEventListener('click', () => this.#copy());
    byId('details').addEventListener('close', () => this.#forget());
    addEventListener('resize', () => this.#draw());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  open(name, stats) {
    this.#forget();
    this.#shown = { name, stats };
    this.#off = stats.on('sample', () => this.#draw());
    say(byId('details-title'), 'details.of', { name });
    byId('details').showModal();
    this.#draw();
  }

  /** Somebody has left. */
  closeOf(stats) {
    if (this.#shown?.stats === stats) byId('details').close();
  }

  #forget() {
    this.#off();
    this.#off = () => {};
    this.#shown = null;
  }

  #draw() {
    if (!this.#shown) return;
    const { stats } = this.#shown;
    const { last, samples } = stats;
    say(byId('details-verdict'), 'tile.verdict', { words: () => verdictWords(stats.verdict, locale()) });
    byId('details-figures').replaceChildren(...(last ? figures(last) : []).map(([key, value]) =>
      h('div', {}, h('dt', { t: `details.${key}` }), h('dd', { class: 'numeric' }, value))));
    plot(byId('plot-rtt'), [samples.map(({ rtt }) => rtt)], { unit: 'ms' });
    plot(byId('plot-rate'), ['up', 'down'].map((way) => samples.map((sample) => sample[way].bitrate / 1e6)),
      { unit: 'Mbit/s' });
    plot(byId('plot-loss'), ['up', 'down'].map((way) => samples.map((sample) => percent(sample[way].loss))),
      { unit: '%', least: 5 });
    for (const name of ['rtt', 'rate', 'loss']) label(byId(`plot-${name}`), `details.plot.${name}`);
  }

  async #copy() {
    const { name, stats } = this.#shown;
    const report = { version, at: new Date().toISOString(), page: location.origin, userAgent: navigator.userAgent, name,
      verdict: stats.verdict, samples: stats.samples };
    say(byId('details-copy'), (await copy(JSON.stringify(report, null, 2))) ? 'copied' : 'copy.failed');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => say(byId('details-copy'), 'details.copy'), SAID_MS);
  }
}

function figures({ path, rtt, candidates, up, down }) {
  const whole = (text) => text.replaceAll(' ', '\u00a0'); // a line may end between the two only
  const both = (make) => `${whole(`↑ ${make(up)}`)}  ${whole(`↓ ${make(down)}`)}`;
  return [
    ['path', path ? t(`path.${path.split('-').at(-1)}`) : '–'],
    ['rtt', rtt === null ? '–' : `${milliseconds(rtt)} ms`],
    ['rate', both(({ bitrate }) => `${(bitrate / 1e6).toFixed(2)} Mbit/s`)],
    ['loss', both(({ loss }) => (loss === null ? '–' : `${percent(loss).toFixed(1)} %`))],
    ['video', both(({ video }) => picture(video))],
    ['audio', both(({ audio }) => audio?.codec ?? '–')],
    ['local', candidates ? end(candidates.local) : '–'],
    ['remote', candidates ? end(candidates.remote) : '–'],
  ];
}

function picture(video) {
  return video?.width ? `${video.codec ?? ''} ${video.width}×${video.height}@${Math.round(video.fps)}`.trim() : '–';
}

function end({ type, protocol, address, port }) {
  const host = address?.includes(':') ? `[${address}]` : address;
  return `${t(`candidate.${type}`)} ${protocol}${host ? ` ${host}:${port}` : ''}`;
}

function percent(share) {
  return share === null ? null : share * 100;
}
