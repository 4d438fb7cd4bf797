// As much of a document as the scripts of pages ask for: elements that are made, told apart and
// replaced. It has no layout, and finds nothing by selectors but the file of the page's own texts.

class Node {
  parentNode = null;

  remove() {
    this.parentNode?.childNodes.splice(this.parentNode.childNodes.indexOf(this), 1);
    this.parentNode = null;
  }

  replaceWith(other) {
    this.parentNode.insertBefore(other, this);
    this.remove();
  }
}

class Text extends Node {
  constructor(text) {
    super();
    this.textContent = String(text);
  }

  isEqualNode(other) {
    return other instanceof Text && other.textContent === this.textContent;
  }
}

class Element extends Node {
  childNodes = [];
  listeners = {};
  value = '';
  open = false;
  #attributes = new Map();

  constructor(tag) {
    super();
    this.tagName = tag.toUpperCase();
    this.dataset = new Proxy({}, {
      get: (_, name) => this.getAttribute(`data-${dashed(name)}`) ?? undefined,
      set: (_, name, value) => this.setAttribute(`data-${dashed(name)}`, value) ?? true,
    });
  }

  get textContent() {
    return this.childNodes.map((child) => child.textContent).join('');
  }

  set textContent(text) {
    this.replaceChildren(...(text === '' ? [] : [text]));
  }

  get children() {
    return this.childNodes.filter((child) => child instanceof Element);
  }

  get firstElementChild() {
    return this.children[0] ?? null;
  }

  get lastElementChild() {
    return this.children.at(-1) ?? null;
  }

  get hidden() {
    return this.#attributes.has('hidden');
  }

  set hidden(is) {
    this.toggleAttribute('hidden', is);
  }

  set className(names) {
    this.setAttribute('class', names);
  }

  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    this.#attributes.set(name, String(value));
  }

  toggleAttribute(name, is) {
    if (is) this.setAttribute(name, '');
    else this.#attributes.delete(name);
  }

  isEqualNode(other) {
    const attributes = (element) => JSON.stringify([...element.#attributes].sort());
    return other instanceof Element && other.tagName === this.tagName && attributes(other) === attributes(this) &&
      other.childNodes.length === this.childNodes.length &&
      this.childNodes.every((child, index) => child.isEqualNode(other.childNodes[index]));
  }

  append(...children) {
    for (const child of children) this.insertBefore(child instanceof Node ? child : new Text(child), null);
  }

  insertBefore(child, before) {
    child.remove();
    this.childNodes.splice(before ? this.childNodes.indexOf(before) : this.childNodes.length, 0, child);
    child.parentNode = this;
  }

  replaceChildren(...children) {
    for (const child of [...this.childNodes]) child.remove();
    this.append(...children);
  }

  addEventListener(type, listener) {
    this.listeners[type] = listener;
  }

  /** Resolves when the page has done what it does at that event. */
  fire(type) {
    return this.listeners[type]({ type, preventDefault() {} });
  }

  focus() {}

  close() {
    this.open = false;
  }

  showModal() {
    this.open = true;
  }
}

const dashed = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const elements = new Map();

/** Names the page, before its modules are imported. */
export function open(page) {
  document.querySelector = () => ({ content: page });
}

globalThis.document = {
  hidden: false,
  listeners: {},
  documentElement: new Element('html'),
  body: new Element('body'),
  createElement: (tag) => new Element(tag),
  getElementById: (id) => elements.get(id) ?? elements.set(id, new Element('div')).get(id),
  querySelector: () => null,
  querySelectorAll: () => [],
  addEventListener: Element.prototype.addEventListener,
  fire: Element.prototype.fire,
};
globalThis.navigator ??= { languages: ['en'] };
