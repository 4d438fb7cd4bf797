// The chat of a call: what of a text is a link.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './page.mjs';

open('call');
const { Chat } = await import('../static/js/call/chat.js');

test('an address ends where its sentence goes on, and has the brackets that it opens', () => {
  const links = [];
  const { createElement } = document;
  document.createElement = (tag) => {
    const element = createElement(tag);
    if (tag === 'a') links.push(element);
    return element;
  };
  const chat = new Chat({ onsend() {} });
  for (const [text, ...want] of [
    ['see https://box.example/a, then', 'https://box.example/a'],
    ['(https://box.example/a)', 'https://box.example/a'],
    ['https://box.example/a_(b)', 'https://box.example/a_(b)'],
    ['(https://box.example/a_(b))', 'https://box.example/a_(b)'],
    ['https://box.example/a_(b_(c)).', 'https://box.example/a_(b_(c))'],
    ['((https://box.example/a_(b_(c))))', 'https://box.example/a_(b_(c))'],
    ['https://box.example/a_(b_(c)d) https://box.example/(((e))', 'https://box.example/a_(b_(c)d)',
      'https://box.example/(((e))'],
    ['https://box.example/a_(b', 'https://box.example/a_(b'],
  ]) {
    links.length = 0;
    chat.add('Ann', text);
    assert.deepEqual(links.map(({ textContent }) => textContent), want);
    assert.equal(chat.log.lastElementChild.children[1].textContent, text);
  }
});
