// The appliance, for tests that need the real thing: SIGNALBOX is the binary.
import { spawn } from 'node:child_process';

/** Starts one, with its state in that directory; resolves once it serves, to {child, port}. */
export async function start(state, ...settings) {
  const own = ['web.listen=127.0.0.1:0', 'web.tls_listen=""', 'turn.listen=127.0.0.1:0', ...settings];
  const child = spawn(process.env.SIGNALBOX, [
    'serve',
    '--dev',
    '--state',
    state,
    ...own.flatMap((each) => ['--set', each]),
  ]);
  let said = '';
  const port = await new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      output.on('data', (text) => {
        said += text;
        const found = /http:\/\/(?:localhost|127\.0\.0\.1):(\d+)\//.exec(said);
        if (found) resolve(Number(found[1]));
      });
    }
    child.on('exit', () => reject(new Error(`signalbox ends:\n${said}`)));
  });
  return { child, port };
}

/** Resolves once it has ended. */
export async function stop({ child }) {
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGINT');
  await ended;
}
