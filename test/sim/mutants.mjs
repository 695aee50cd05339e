/**
Would the simulator notice? `npm run sim:mutants [-- NAME…] [--seeds 500]` plants each mutant in a bundle of its own and runs seeds until
one fails. What must hold of the sources as they are holds on the same seeds (`npm run sim -- --seeds 500`), so that a failure is the
mutant's. The last line is `N of N caught`; the exit code is 1 when one is missed.
*/
import {spawn} from 'node:child_process';
import {dirname} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {bundle} from './bundle.mjs';
import {mutantPlugin, mutants} from './mutants/index.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** A mutant may go round in circles: that is no catch. */
const deadlineMs = 5 * 60_000;
const {values: {seeds}, positionals} = parseArgs({allowPositionals: true, options: {seeds: {type: 'string', default: '500'}}});
const unknown = positionals.filter(name => !mutants.some(mutant => mutant.name === name));
if (unknown.length > 0) {
	console.error(`Expected names of mutants, got ${unknown.join(', ')}`);
	process.exit(2);
}

const wanted = positionals.length === 0 ? mutants : mutants.filter(({name}) => positionals.includes(name));
const missed = [];
console.log('| Mutant | What goes wrong | Caught by | Seed |\n| --- | --- | --- | ---: |');
for (const mutant of wanted) {
	const {failed, failure} = await hunt(await bundle([mutantPlugin(mutant, root)])); // oxlint-disable-line no-await-in-loop -- two workers each
	if (failed.length === 0) missed.push(mutant.name);
	console.log(`| \`${mutant.name}\` | ${mutant.pitfall} | ${failed.length === 0 ? '**missed**' : failure.replace(/^(?:SEED=\d+ \(replays it\), )?at \d+ ms, event \d+: /, '').split(':')[0]} | ${failed[0] ?? `> ${seeds}`} |`);
}

if (missed.length > 0) console.log(`missed: ${missed.join(', ')}`);
console.log(`${wanted.length - missed.length} of ${wanted.length} caught`);
process.exitCode = missed.length > 0 ? 1 : 0;

/** Run seeds until one fails: which, and why. */
function hunt(path) {
	return new Promise(resolve => {
		const child = spawn(process.execPath, [path, '--seeds', seeds, '--once', '--first', '--json'], {stdio: ['ignore', 'pipe', 'inherit']});
		const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
		let text = '';
		child.stdout.setEncoding('utf8').on('data', part => {
			text += part;
		});
		child.once('close', () => {
			clearTimeout(timer);
			if (!text.includes('{')) console.log(`no end: ${text.slice(-200)}`);
			const report = text.split('\n').find(line => line.startsWith('{'));
			const failed = report === undefined ? [] : JSON.parse(report).failed.toSorted((a, b) => a - b);
			const failure = text.split('\n').flatMap((line, at, lines) => (line.startsWith('FAIL') && line.includes(`--seed ${failed[0]}`) ? [lines[at + 1].trim()] : []))[0] ?? '';
			resolve({failed, failure});
		});
	});
}
