// Records a call: all pictures in one, with their names, and all voices in one. It is loaded once
// somebody wants it.
import { layout } from './layout.js';
import { openDisk } from './disk.js';
import { Tape } from './tape.js';

const WIDTH = 1280;
const HEIGHT = 720;
const FRAMES = 15; // a second
const BITS = 2_500_000; // a second, of the picture
const PIECE_MS = 1000;
const TYPES = ['video/webm;codecs=vp8,opus', 'video/webm', 'video/mp4'];
const INK = '#e7ecef';
const PAPER = '#10161b';

export class Recorder {
  #scene;
  #context = new AudioContext();
  #mix = new MediaStreamAudioDestinationNode(this.#context);
  #voices = new Map(); // track -> node
  #canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
  #pen = this.#canvas.getContext('2d', { alpha: false });
  #tracks = []; // what is recorded
  #recorder = null;
  #tape = null;
  #writing = Promise.resolve();
  #began = 0;
  #ended;

  /**
   * `scene()` gives what there is to record: {pictures: [{video, name, isScreen}], tracks}, the
   * latter of sound; a picture without a video has none now. `ended(outcome)` is called once the
   * file is whole, or can't be: see Tape.end.
   */
  constructor(scene, ended) {
    this.#scene = scene;
    this.#ended = ended;
  }

  /** Asks where to, and begins. If that fails, nothing is left of it. */
  async start(name) {
    try {
      await this.#begin(name);
    } catch (error) {
      this.#free();
      await this.#tape?.end(0);
      throw error;
    }
  }

  async #begin(name) {
    const type = TYPES.find((each) => MediaRecorder.isTypeSupported(each)) ?? '';
    const plain = type.split(';')[0] || 'video/webm';
    this.#tracks = [this.#canvas.captureStream(FRAMES), this.#mix.stream].flatMap((stream) => stream.getTracks());
    const recorder = new MediaRecorder(new MediaStream(this.#tracks), { mimeType: type, videoBitsPerSecond: BITS });
    this.#recorder = recorder;
    this.#tape = new Tape(await openDisk(`${name}.${plain.split('/')[1]}`, plain));
    this.#draw();
    recorder.ondataavailable = ({ data }) => {
      const ms = this.#length;
      this.#writing = this.#writing.then(() => this.#write(data, ms));
    };
    recorder.onstop = () => this.#close();
    recorder.start(PIECE_MS);
    this.#began = performance.now();
    this.#tick();
  }

  stop() {
    if (this.#recorder?.state === 'recording') this.#recorder.stop();
  }

  get #length() {
    return performance.now() - this.#began;
  }

  // Timers nearly stop while the page is hidden; sound doesn't, but it never begins in a Firefox
  // that has nothing to play it on.
  #tick() {
    if (this.#recorder.state !== 'recording') return;
    const beat = new ConstantSourceNode(this.#context, { offset: 0 });
    const next = () => {
      clearTimeout(timer);
      beat.onended = null;
      beat.disconnect();
      this.#draw();
      this.#tick();
    };
    const timer = setTimeout(next, 2000 / FRAMES);
    beat.onended = next;
    beat.connect(this.#mix);
    beat.start();
    beat.stop(this.#context.currentTime + 1 / FRAMES);
  }

  #draw() {
    const { pictures, tracks } = this.#scene();
    this.#listen(tracks);
    const pen = this.#pen;
    pen.fillStyle = PAPER;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.font = '20px system-ui, sans-serif';
    const places = layout(pictures.map(({ isScreen }) => isScreen), WIDTH, HEIGHT);
    for (const [index, { video, name }] of pictures.entries()) {
      const { x, y, width, height } = places[index];
      if (video?.videoWidth) {
        const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
        const [w, h] = [video.videoWidth * scale, video.videoHeight * scale];
        pen.drawImage(video, x + (width - w) / 2, y + (height - h) / 2, w, h);
      }
      pen.fillStyle = INK;
      pen.fillText(name, x + 12, y + height - 12, width - 24);
    }
  }

  #listen(tracks) {
    for (const track of tracks) {
      if (this.#voices.has(track)) continue;
      const node = new MediaStreamAudioSourceNode(this.#context, { mediaStream: new MediaStream([track]) });
      node.connect(this.#mix);
      this.#voices.set(track, node);
    }
    for (const [track, node] of this.#voices) {
      if (tracks.includes(track)) continue;
      node.disconnect();
      this.#voices.delete(track);
    }
  }

  async #write(blob, ms) {
    await this.#tape.write(new Uint8Array(await blob.arrayBuffer()), ms);
    if (this.#tape.isFull) this.stop();
  }

  async #close() {
    const ms = this.#length;
    await this.#writing.catch(console.warn); // such as a piece that can't be read any more
    this.#free();
    this.#ended(await this.#tape.end(ms));
  }

  #free() {
    for (const track of this.#tracks) track.stop();
    this.#context.close();
  }
}
