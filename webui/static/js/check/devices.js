// Microphone and camera: as often as the network, it is them. What they need is loaded only when
// somebody asks for it.
import { byId } from '../dom.js';
import { locale, say } from '../i18n.js';

const HEARD = 0.15; // of Meter's scale: more than the noise of a microphone that is muted

let stop = null;

/** Opens both and shows what comes of them, or ends that. */
export async function toggleDevices() {
  if (stop) return stop();
  const button = byId('devices-test');
  button.disabled = true;
  say(byId('devices-problem'), '');
  const module = await import('/signalbox-media.js').catch(() => null);
  button.disabled = false;
  if (!module) return say(byId('devices-problem'), 'part.absent');
  button.disabled = true;
  const { Media, Meter } = module;
  const media = new Media({ remember: false });
  await media.open();
  const meter = media.microphone && new Meter(media.microphone);
  byId('devices-picture').srcObject = media.camera && new MediaStream([media.camera]);
  byId('devices').hidden = false;
  byId('devices-picture').hidden = !media.camera;
  let loudest = 0;
  const timer = setInterval(() => {
    const level = meter?.level ?? 0;
    loudest = Math.max(loudest, level);
    byId('devices-level').value = level;
    tell('microphone', media, loudest > HEARD ? 'devices.hears' : 'devices.silent');
    const { width, height } = media.camera?.getSettings() ?? {};
    tell('camera', media, 'devices.sees', { width, height });
  }, 100);
  stop = () => {
    clearInterval(timer);
    meter?.stop();
    media.close();
    byId('devices').hidden = true;
    say(button, 'devices.test');
    stop = null;
  };
  say(button, 'devices.stop');
  button.disabled = false;
}

function tell(kind, media, words, params) {
  const error = media.errorOf(kind);
  const line = byId(`devices-${kind}`);
  line.dataset.verdict = error ? 'bad' : words === 'devices.silent' ? 'running' : 'good';
  if (error) say(line, 'media.error', { words: () => error.words(locale()) });
  else say(line, words, params);
}
