/**
The recording in the README: the demo in a terminal, one frame at the end of each step, as an SVG that moves by itself.

```
npm run build && node_modules/.bin/node bench/picture/demo-recording.ts
```
*/
import {writeFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {spawn} from '@lydell/node-pty';
import xterm from '@xterm/headless';
import {screenToSvg} from './svg.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const [columns, rows] = [112, 36];
/** How long a frame is shown, seconds. */
const frameS = 5;
/** A step that takes longer has failed, milliseconds. */
const stepMs = 60_000;
/** The panes catch up with what the guide says, milliseconds. */
const settleMs = 1500;

const terminal = new xterm.Terminal({cols: columns, rows, allowProposedApi: true, scrollback: 0});
const program = spawn(process.execPath, [here('../../dist/cli.js'), 'demo'], {
	cols: columns,
	rows,
	name: 'xterm-256color',
	env: {...process.env, FORCE_COLOR: '1'},
});
const ended = new Promise<void>(resolve => {
	program.onExit(() => resolve());
});
let changed: () => void = () => undefined;
program.onData(data => terminal.write(data, () => changed()));

const text = (): string =>
	Array.from({length: rows}, (_, row) => terminal.buffer.active.getLine(row)?.translateToString(true) ?? '').join(
		'\n',
	);

/** Resolves when the screen matches. @throws after a minute */
function shown(pattern: RegExp): Promise<void> {
	const {promise, resolve, reject} = Promise.withResolvers<void>();
	const timer = setTimeout(() => reject(new Error(`The screen did not show ${pattern}:\n${text()}`)), stepMs);
	changed = () => {
		if (!pattern.test(text())) return;
		clearTimeout(timer);
		resolve();
	};
	changed();
	return promise;
}

const frames: string[] = [];
for (let step = 1; ; step++) {
	await shown(new RegExp(`step ${step} of \\d.* r repeat`));
	await new Promise(resolve => setTimeout(resolve, settleMs));
	frames.push(screenToSvg(terminal, 'dapss-tui demo'));
	if (!/n next step/.test(text())) break;
	if (step === 1) program.write('5'); // The step says to watch the partition.
	program.write('n');
}

program.write('q');
await shown(/Quit\?/);
program.write('y');
await ended;
await writeFile(process.argv[2] ?? here('../demo.svg'), animated(frames));

/** One picture that shows the frames one after the other, for ever. */
function animated(pictures: readonly string[]): string {
	const {length} = pictures;
	const [, size = ''] = /<svg [^>]*?(width="[^"]+" height="[^"]+" viewBox="[^"]+")/.exec(pictures[0]!) ?? [];
	const shownPercent = (100 / length).toFixed(3);
	const style =
		`@keyframes show{0%,${shownPercent}%{visibility:visible}${shownPercent}1%,100%{visibility:hidden}}` +
		`.frame{visibility:hidden;animation:show ${length * frameS}s step-end infinite}` +
		'.frame:first-of-type{visibility:visible}'; // For programs that show a picture without motion.
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" ${size}>`,
		`<style>${style}</style>`,
		...pictures.map(
			(picture, index) => `<g class="frame" style="animation-delay:${index * frameS}s">\n${picture.trim()}\n</g>`,
		),
		'</svg>',
		'',
	].join('\n');
}
