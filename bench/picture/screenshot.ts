/**
A picture of a terminal at a stated size: of a program on a pseudo-terminal, after keys were typed, or of a file with
escape sequences.

```
node bench/picture/screenshot.ts --size 120x36 --out shot.png --keys ':help\r' --wait 3000 -- npm start -- --port 5001
node bench/picture/screenshot.ts --size 120x36 --out shot.svg --input frame.ansi --title 'dapss-tui'
```
The program runs for `--wait` (2000 ms) before the first keys, and for `--pause` (1000 ms) after each `--keys`, because
a program does not report when it has drawn. PNG needs a monospaced font on this machine (Debian: fonts-dejavu-core), otherwise
only the SVG is written, with a warning.
*/
import {readFile, writeFile} from 'node:fs/promises';
import {parseArgs} from 'node:util';
import xterm from '@xterm/headless';
import {screenToSvg} from './svg.ts';

const {values, positionals} = parseArgs({
	allowPositionals: true,
	options: {
		size: {type: 'string', default: '120x36'},
		out: {type: 'string', default: 'screen.svg'},
		input: {type: 'string'},
		title: {type: 'string'},
		keys: {type: 'string', multiple: true, default: []},
		wait: {type: 'string', default: '2000'},
		pause: {type: 'string', default: '1000'},
	},
});
const [columns = 120, rows = 36] = values.size.split('x').map(Number);
const terminal = new xterm.Terminal({
	cols: columns,
	rows,
	allowProposedApi: true,
	convertEol: values.input !== undefined,
	scrollback: 0,
});
const sleep = async (ms: number): Promise<void> =>
	new Promise(resolve => {
		setTimeout(resolve, ms);
	});
const write = async (text: string | Uint8Array): Promise<void> =>
	new Promise(resolve => {
		terminal.write(text, resolve);
	});

if (values.input !== undefined) await write(await readFile(values.input));
else await runProgram();
const svg = screenToSvg(terminal, values.title);
const svgPath = values.out.replace(/\.png$/, '.svg');
if (values.out.endsWith('.png')) await writePng(svg, values.out);
else await writeFile(svgPath, svg);
terminal.dispose();

async function runProgram(): Promise<void> {
	const [command, ...rest] = positionals;
	if (command === undefined) throw new Error('Expected `--input FILE` or a command after `--`');
	const {spawn} = await import('@lydell/node-pty');
	const program = spawn(command, rest, {
		cols: columns,
		rows,
		name: 'xterm-256color',
		env: {...process.env, FORCE_COLOR: '1'},
	});
	let pending: Promise<void> = Promise.resolve();
	program.onData(data => {
		pending = pending.then(() => write(data));
	});
	terminal.onData(reply => program.write(reply)); // Some programs query the type of the terminal.
	await sleep(Number(values.wait));
	for (const keys of values.keys) {
		program.write(keys.replaceAll('\\r', '\r').replaceAll('\\t', '\t').replaceAll('\\e', '\u001B'));
		await sleep(Number(values.pause));
	}

	await pending;
	program.kill('SIGTERM');
}

async function writePng(text: string, path: string): Promise<void> {
	const {Resvg} = await import('@resvg/resvg-js');
	// resvg supports neither `textLength` nor a fallback font: letters of another font would overlap.
	const png = new Resvg(text, {
		fitTo: {mode: 'zoom', value: 2},
		font: {loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans Mono', monospaceFamily: 'DejaVu Sans Mono'},
	})
		.render()
		.asPng();
	if (png.length < 4096) {
		await writeFile(path.replace(/\.png$/, '.svg'), text);
		process.stderr.write('No monospaced font was found: only the SVG is written\n');
		return;
	}

	await writeFile(path, png);
}
