// The form for servers that a visitor types in.
import { byId, h } from '../dom.js';
import { say } from '../i18n.js';
import { describe, load, problemOf, save } from './servers.js';

export class OwnServers {
  #servers = load();

  constructor() {
    this.url = byId('server-url');
    this.username = byId('server-username');
    this.credential = byId('server-credential');
    this.list = byId('servers');
    byId('server-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add();
    });
    byId('server-remove').addEventListener('click', () => this.#remove());
    this.list.addEventListener('change', () => this.#edit());
    this.#show();
  }

  /**
   * What is to be tested. An entry from an earlier visit has lost its credential and must be
   * completed first.
   */
  get ready() {
    return this.#servers
      .filter((server) => !problemOf(server))
      .map((server) => ({ ...server, origin: 'own', ...describe(server.url) }));
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
    this.url.focus();
  }

  #remove() {
    const { url } = this.#servers[this.list.selectedIndex] ?? {};
    if (!url) return;
    this.#servers = this.#servers.filter((server) => server.url !== url);
    this.#store();
  }

  #edit() {
    const server = this.#servers[this.list.selectedIndex];
    if (!server) return;
    this.url.value = server.url;
    this.username.value = server.username;
    this.credential.value = server.credential;
    say(byId('server-problem'), problemOf(server));
    byId('server-remove').disabled = false;
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
    byId('servers-field').hidden = this.#servers.length === 0;
    byId('server-remove').disabled = true;
  }
}
