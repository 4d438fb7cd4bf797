// Builds the applications of this folder by what they are written for: for each, a page in root/.
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'vite';
import webpack from 'webpack';

await build({
  root: resolve('node_modules/signalbox/example'),
  base: '/vite/',
  logLevel: 'warn',
  esbuild: { jsx: 'automatic' },
  build: { outDir: resolve('root/vite'), emptyOutDir: true },
});

await mkdir('root/webpack', { recursive: true });
await new Promise((done, fail) => {
  webpack({
    mode: 'production',
    entry: resolve('app.js'),
    output: { path: resolve('root/webpack'), filename: 'app.js' },
    performance: false,
  }, (error, stats) => {
    if (error) fail(error);
    else if (stats.hasErrors() || stats.hasWarnings()) fail(new Error(stats.toString()));
    else done();
  });
});
const page = '<!doctype html><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,">';
await writeFile('root/webpack/index.html', `${page}<script src="app.js"></script>`);
