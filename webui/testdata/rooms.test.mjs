// The rooms of the admin page: what it shows is what was asked for last.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './page.mjs';

const asked = []; // what answers each request
globalThis.fetch = () => new Promise((resolve) => {
  asked.push((total) => resolve(new Response(JSON.stringify({ total, offset: 0, rooms: [] }))));
});
open('admin');
const { RoomPages } = await import('../static/js/admin/rooms.js');

test('an answer that comes late is of no interest', async () => {
  const pages = new RoomPages(() => {});
  const waiting = [];
  for (const search of ['', 't', 'te']) {
    document.getElementById('rooms-search').value = search;
    waiting.push(pages.refresh());
  }
  const shown = async (n, total) => {
    asked[n](total);
    await waiting[n];
    return document.getElementById('rooms-pages').hidden;
  };
  assert.equal(await shown(1, 30), false, 'there are several pages');
  assert.equal(await shown(0, 0), false, 'an older answer has taken its place');
  assert.equal(await shown(2, 0), true, 'the latest one has not');
});
