import { label, say } from './i18n.js';

const SVG = 'http://www.w3.org/2000/svg';

export function byId(id) {
  return document.getElementById(id);
}

/**
 * Makes an element. Properties: `t` (key of its text), `label` (key of its name), `on` (listeners);
 * others are attributes.
 */
export function h(tag, { t, params, label: name, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(key, value === true ? '' : value);
    }
  }
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  if (t) say(element, t, params);
  if (name) label(element, name);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the page's icons; it says nothing to a screen reader, the control around it does. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(control, name) {
  control.querySelector('use').setAttribute('href', `#i-${name}`);
}

/**
 * Copies text; falls back to a selection where the clipboard is not to be had, as without a secure
 * context.
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { class: 'visually-hidden', readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
