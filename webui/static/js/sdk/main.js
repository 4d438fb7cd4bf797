// The documentation of the SDK: copies and runs its examples, and opens the contents.
import { byId, copy } from '../dom.js';
import { say, start } from '../i18n.js';

// From /docs/sdk#token=..., for a box that asks for a token.
const token = new URLSearchParams(location.hash.slice(1).replaceAll('+', '%2B')).get('token') ?? undefined;

start();

for (const block of document.querySelectorAll('.doc-code')) {
  const said = block.querySelector('[role="status"]');
  block.querySelector('.doc-copy').addEventListener('click', async () => {
    const done = await copy(block.querySelector('code').textContent);
    say(said, done ? 'copied' : 'copy.failed');
  });
}

for (const example of document.querySelectorAll('.doc-example')) {
  const button = example.querySelector('.doc-run');
  button.addEventListener('click', async () => {
    if (example.dataset.state === 'running') return; // to disable the button would take the focus from it
    button.setAttribute('aria-disabled', 'true');
    await runExample(example, example.querySelector('.doc-output'));
    button.removeAttribute('aria-disabled');
  });
}

async function runExample(example, output) {
  output.hidden = false;
  output.textContent = '';
  example.dataset.state = 'running';
  const print = (line) => output.append(`${line}\n`);
  try {
    const { default: run } = await import(`./${example.dataset.name}.js`);
    await run(print, token);
    example.dataset.state = 'done';
  } catch (error) {
    print([error.code, error.message].filter(Boolean).join(': '));
    example.dataset.state = 'failed';
  }
}

// On a wide screen the contents stay open beside the text; on a phone they fold, and fold again
// when a place has been chosen.
const contents = byId('contents');
const wide = matchMedia('(min-width: 1000px)');
const fold = () => { contents.open = wide.matches; };
fold();
wide.addEventListener('change', fold);
contents.addEventListener('click', (event) => {
  if (event.target.closest('a') && !wide.matches) contents.open = false;
});
