// The form for servers that a visitor types in, and the page that people know for it: the trickle
// ICE page of webrtc/samples. Its element ids, its columns and its words are kept, in English in
// every language, so that scripts which were written for that page find them.
import { byId, h } from '../dom.js';
import { say } from '../i18n.js';
import { formatPriority } from './candidates.js';
import { asIceServer, describe, load, problemOf, save } from './servers.js';

export class OwnServers {
  #servers = load();
  #onadd;

  /** `onadd` is called with each server that was typed in, ready to be tested. */
  constructor(onadd) {
    this.#onadd = onadd;
    this.url = byId('url');
    this.username = byId('username');
    this.credential = byId('password');
    this.list = byId('servers');
    byId('server-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add();
    });
    byId('remove').addEventListener('click', () => this.#remove());
    byId('reset').addEventListener('click', () => {
      this.#servers = [];
      this.#store();
    });
    this.list.addEventListener('dblclick', () => this.#edit());
    byId('gather').addEventListener('click', () => gather(this.ready));
    byId('getUserMedia').addEventListener('click', () => openDevices());
    this.#show();
  }

  /**
   * What is to be tested. An entry from an earlier visit has lost its credential and must be
   * completed first.
   */
  get ready() {
    return this.#servers
      .filter((server) => !problemOf(server))
      .map(readied);
  }

  #add() {
    const server = {
      url: this.url.value.trim(),
      username: this.username.value.trim(),
      credential: this.credential.value,
    };
    const problem = problemOf(server);
    say(byId('server-problem'), problem);
    this.url.setAttribute('aria-invalid', String(problem === 'own.problem.url'));
    if (problem) return;
    this.#servers = [...this.#servers.filter(({ url }) => url !== server.url), server];
    this.url.value = this.username.value = this.credential.value = '';
    this.#store();
    this.#onadd(readied(server));
  }

  #remove() {
    const chosen = [...this.list.selectedOptions].map(({ index }) => index);
    this.#servers = this.#servers.filter((_, index) => !chosen.includes(index));
    this.#store();
  }

  #edit() {
    const server = this.#servers[this.list.selectedIndex];
    if (!server) return;
    this.url.value = server.url;
    this.username.value = server.username;
    this.credential.value = server.credential;
    say(byId('server-problem'), problemOf(server));
  }

  #store() {
    save(this.#servers);
    this.#show();
  }

  #show() {
    this.list.replaceChildren(...this.#servers.map((server) => h('option', {
      t: problemOf(server) ? 'own.incomplete' : 'own.entry',
      params: { url: server.url, username: server.username },
    })));
  }
}

function readied(server) {
  return { ...server, origin: 'own', ...describe(server.url) };
}

/** Host candidates have addresses once the visitor has let the page use a device. */
async function openDevices() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of stream.getTracks()) track.stop();
  } catch (error) {
    tell(`getUserMedia: ${error.name}`);
  }
}

function tell(text) {
  byId('error').textContent += `${text}\n`;
}

/** Gathers from all servers at once, as that page does, and lists what comes. */
async function gather(servers) {
  const rows = byId('candidatesBody');
  rows.replaceChildren();
  byId('error').textContent = '';
  byId('error-note').hidden = true;
  byId('gather').disabled = true;
  const begun = performance.now();
  const add = (...cells) => rows.append(h('tr', {}, ...cells));
  const cell = (text, attributes = {}) => h('td', attributes, String(text ?? ''));
  const time = () => cell(((performance.now() - begun) / 1000).toFixed(3), { class: 'number' });
  const types = new Set();
  let pc;
  try {
    pc = new RTCPeerConnection({
      iceServers: servers.map(asIceServer),
      iceTransportPolicy: byId('relay').checked ? 'relay' : 'all',
      iceCandidatePoolSize: Number(byId('iceCandidatePool').value),
    });
    pc.onicecandidateerror = ({ url, errorCode, errorText }) => {
      byId('error-note').hidden = false;
      tell(`The server ${url} returned an error with code=${errorCode}:\n${errorText}`);
    };
    await new Promise((resolve, reject) => {
      pc.onicecandidate = ({ candidate }) => {
        if (!candidate) return resolve();
        if (!candidate.candidate) return;
        types.add(candidate.type);
        add(time(), cell(candidate.type), cell(candidate.foundation), cell(candidate.protocol),
          cell(candidate.address, { class: 'mono' }), cell(candidate.port), cell(formatPriority(candidate.priority)),
          cell(candidate.url, { class: 'mono' }), cell(candidate.relayProtocol));
      };
      pc.createDataChannel('gather');
      pc.setLocalDescription().catch(reject);
    });
    add(time(), cell(finalWord(servers, types), { colspan: 8 }));
  } catch (error) {
    tell(`Error creating offer: ${error.message}`);
  } finally {
    pc?.close();
    byId('gather').disabled = false;
  }
}

/**
 * With several servers it can't be told which has failed; of STUN's answer there need not be
 * a candidate, and of TURN over TCP and TLS no other one than the relay's.
 */
function finalWord(servers, types) {
  const [{ relays, transport }] = servers.length === 1 ? servers : [{}];
  if (!relays || transport !== 'udp' || types.has('relay')) return 'Done';
  return types.has('srflx') ? 'Authentication failed?' : 'Not reachable?';
}
