// Which language a page loads, and what becomes of one that can't be loaded.
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

/** The module of a page whose reader prefers these languages, where only those files can be had. */
async function read(t, languages, files, page) {
  const dir = await mkdtemp(join(tmpdir(), 'language-'));
  t.after(() => rm(dir, { recursive: true }));
  for (const language of ['en', 'zh-CN']) await mkdir(join(dir, 'lang', language), { recursive: true });
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  for (const file of ['i18n.js', ...files.map((name) => `lang/${name}.js`)]) {
    await cp(new URL(`../static/js/${file}`, import.meta.url), join(dir, file));
  }
  Object.defineProperty(globalThis, 'navigator', { value: { languages }, configurable: true });
  globalThis.document = { querySelector: () => (page ? { content: page } : null) }; // the meta element
  return import(pathToFileURL(join(dir, 'i18n.js')));
}

test('the first language that there are texts in is loaded', async (t) => {
  for (const [languages, want] of [
    [['de', 'zh-TW', 'en'], 'zh-CN'],
    [['en-GB', 'zh-CN'], 'en'],
    [['de'], 'en'],
  ]) {
    const { locale, t: text } = await read(t, languages, [want]);
    assert.equal(locale(), want, languages);
    assert.equal(text('nav.check'), want === 'en' ? 'Check' : '检测');
  }
});

test('the other language stands in for one that is lost, and the document for both', async (t) => {
  const { locale, t: text } = await read(t, ['zh'], ['en']);
  assert.deepEqual([locale(), text('nav.check')], ['en', 'Check']);
  const { known } = await read(t, ['zh'], []);
  assert.equal(known('nav.check'), false);
});

test('a page has what all share and what is its own, in one language', async (t) => {
  const { t: text } = await read(t, ['en'], ['en', 'en/trust'], 'trust');
  assert.deepEqual([text('nav.check'), text('trust.title') !== 'trust.title'], ['Check', true]);
  const { locale } = await read(t, ['en'], ['en', 'zh-CN', 'zh-CN/trust'], 'trust');
  assert.equal(locale(), 'zh-CN', 'half of it is lost');
});
