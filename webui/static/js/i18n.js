// Every text of the page. An element remembers its key, so that switching the language changes the
// page in place. Only the texts of the language in use are loaded: those that pages share, and the
// page's own.
const LANGUAGES = ['en', 'zh-CN'];
const REMEMBERED = 'signalbox.language';
const said = new WeakMap(); // element -> {key, params}; such an element is marked with data-said
const labeled = new WeakMap(); // element -> the parameters of its name
const listeners = [];

let { language, texts } = await load(preferred());

function preferred() {
  const chosen = remembered();
  if (LANGUAGES.includes(chosen)) return chosen;
  for (const wanted of navigator.languages ?? [navigator.language]) {
    if (/^zh\b/i.test(wanted)) return 'zh-CN';
    if (/^en\b/i.test(wanted)) return 'en';
  }
  return 'en';
}

// Storage may be denied to a page altogether; the choice then lasts as long as the page.
function remembered() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

// What can't be loaded is made up for by the other language, or else by the words in the document.
async function load(wanted) {
  const own = document.querySelector('meta[name="signalbox-texts"]')?.content;
  for (const name of [wanted, ...LANGUAGES.filter((other) => other !== wanted)]) {
    const files = [`./lang/${name}.js`, ...(own ? [`./lang/${name}/${own}.js`] : [])];
    try {
      const parts = await Promise.all(files.map((file) => import(file)));
      return { language: name, texts: Object.assign({}, ...parts.map((part) => part.default)) };
    } catch {
      // The connection broke, or the box was upgraded meanwhile.
    }
  }
  return { language: 'en', texts: {} };
}

/**
 * The text of a key; `{name}` in it stands for a parameter, which may be a list, or a function that
 * gives it.
 */
export function t(key, params = {}) {
  const text = texts[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const given = params[name];
    const value = typeof given === 'function' ? given() : given;
    return Array.isArray(value) ? value.join(t('list')) : String(value ?? '');
  });
}

/** Whether there is a text of that key: for keys made of codes that come from outside. */
export function known(key) {
  return key in texts;
}

/** Gives an element its text, now and after each change of language. */
export function say(element, key, params) {
  element.toggleAttribute('data-said', Boolean(key));
  said.set(element, { key, params });
  const text = key ? t(key, params) : '';
  // Live regions announce what is set, even if it is what stood there before.
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Gives a control its name, for screen readers and as a tooltip. */
export function label(element, key, params = labeled.get(element)) {
  element.dataset.tLabel = key;
  labeled.set(element, params);
  element.setAttribute('aria-label', t(key, params));
  element.title = t(key, params);
  return element;
}

/** Calls back after each change of language, for what is not an element's text. */
export function onLanguage(listener) {
  listeners.push(listener);
}

export function locale() {
  return language;
}

function apply() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-t]')) {
    if (known(element.dataset.t)) element.textContent = t(element.dataset.t);
  }
  for (const element of document.querySelectorAll('[data-t-label]')) label(element, element.dataset.tLabel);
  for (const element of document.querySelectorAll('[data-t-placeholder]')) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
  for (const element of document.querySelectorAll('[data-said]')) {
    const { key, params } = said.get(element);
    element.textContent = t(key, params);
  }
  for (const listener of listeners) listener();
}

/** Translates what the page holds and makes its switch work. */
export function start() {
  const button = document.getElementById('language');
  button?.addEventListener('click', async () => {
    ({ language, texts } = await load(language === 'en' ? 'zh-CN' : 'en'));
    try {
      localStorage.setItem(REMEMBERED, language);
    } catch {
      // The choice lasts as long as the page.
    }
    apply();
  });
  apply();
  document.documentElement.dataset.ready = '';
}
