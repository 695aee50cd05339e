/**
Continues the campaign where the last one ended: `npm run sim:campaign -- --minutes 60`. `ledger.jsonl` next to this
file records, one per line, each range of seeds with its commit and results, and each failed seed that passes again.
Failed seeds run first. The figures in docs/simulator.md are written anew. The exit code is 1 while a failure is open.
*/
import {execFileSync, spawn} from 'node:child_process';
import {appendFileSync, existsSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {openFailures, withFigures} from './campaign-report.ts';

const folder = dirname(fileURLToPath(import.meta.url));
const ledgerPath = join(folder, 'ledger.jsonl');
const {
	values: {minutes},
} = parseArgs({options: {minutes: {type: 'string', default: '60'}}});

const sliceMinutes = 10;

const git = (...args) => execFileSync('git', args, {cwd: folder, encoding: 'utf8'}).trim();
const commit = `${git('rev-parse', '--short=10', 'HEAD')}${git('status', '--porcelain', '--', '../../core', '.', ':!ledger.jsonl') === '' ? '' : '+'}`;
const lines = existsSync(ledgerPath)
	? readFileSync(ledgerPath, 'utf8')
			.split('\n')
			.filter(line => line !== '')
			.map(line => JSON.parse(line))
	: [];

/** Run seeds once (CI runs the seeds of a change twice). Returns the report of `--json`. */
function run(...args) {
	return new Promise((resolve, reject) => {
		const child = spawn(process.execPath, [join(folder, 'run.mjs'), '--json', '--once', ...args], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		let report;
		let rest = '';
		child.stdout.setEncoding('utf8').on('data', text => {
			const whole = (rest + text).split('\n');
			rest = whole.pop();
			for (const line of whole) {
				if (line.startsWith('{')) report = JSON.parse(line);
				else console.log(line);
			}
		});
		child.once('close', () =>
			report ? resolve(report) : reject(new Error(`Expected a report of ${args.join(' ')}, got none`)),
		);
	});
}

function note(line) {
	lines.push(line);
	appendFileSync(ledgerPath, `${JSON.stringify(line)}\n`);
}

for (const seed of openFailures(lines)) {
	const {failed} = await run('--from', `${seed}`, '--seeds', '1');
	if (failed.length === 0) note({holds: seed, commit});
}

/** Run the next seeds for some minutes, and record them. */
async function slice(forMinutes) {
	const from = Math.max(1, ...lines.map(({to = 0}) => to + 1));
	const report = await run('--from', `${from}`, '--minutes', `${forMinutes}`);
	const {seeds, failed, virtualMs, events, faults, counts} = report;
	if (seeds === 0) return;
	const virtualHours = Number((virtualMs / 3_600_000).toFixed(2));
	note({from, to: from + seeds - 1, commit, failed, virtualHours, events, faults, counts});
}

// An interrupted campaign loses its last slice only.
for (let left = Number(minutes); left > 0; left -= sliceMinutes) await slice(Math.min(left, sliceMinutes));
const sum = name => lines.reduce((total, line) => total + (line[name] ?? 0), 0);
const pagePath = join(folder, '../../docs/simulator.md');
writeFileSync(pagePath, withFigures(readFileSync(pagePath, 'utf8'), lines));
const open = openFailures(lines);
if (open.length > 0) console.log(`open: ${open.map(seed => `npm run sim -- --seed ${seed}`).join(', ')}`);
console.log(
	`${Math.max(...lines.map(({to = 0}) => to))} seeds in the ledger, ${open.length} open failures, ${sum('virtualHours').toFixed(1)} virtual hours, ${sum('events')} events, ${sum('faults')} faults`,
);
process.exitCode = open.length > 0 ? 1 : 0;
