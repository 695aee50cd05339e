/**
The fuzzer's command line.

- `--minutes N` divides the time among the targets; without it each runs as in CI.
- `--target NAME` runs the targets whose name contains the text; `--runs N` bounds the inputs of each.
- `--seed N` begins with that seed; with `--path P` it replays the input of a failure.
- `--report FILE` writes the results as JSON.

An input that takes more than 100 ms, also when it is repeated, is marked. The exit code is 1 when an input broke
something.
*/
import {writeFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {table} from '../../source/output/table.ts';
import {targets} from './index.ts';
import {runTarget, stallMs, type TargetReport} from './run-target.ts';

const {values} = parseArgs({
	options: {
		minutes: {type: 'string'},
		target: {type: 'string', default: ''},
		runs: {type: 'string'},
		seed: {type: 'string', default: String(Math.floor(Math.random() * 2 ** 30))},
		path: {type: 'string'},
		report: {type: 'string'},
	},
});

function textOf({inputs, tookMs, slowestMs, grownMiB, failure, name}: TargetReport): string[] {
	return [
		name,
		inputs.toLocaleString('en'),
		(tookMs / 1000).toFixed(1),
		`${slowestMs.toFixed(1)}${slowestMs > stallMs ? ' !' : ''}`,
		grownMiB.toFixed(0),
		failure === undefined ? 'passed' : 'FAILED',
	];
}

const {path} = values;
const seed = Number(values.seed);
const chosen = targets.filter(({name}) => name.includes(values.target));
if (chosen.length === 0) {
	console.error(`Expected --target to be a part of: ${targets.map(({name}) => name).join(', ')}`);
	process.exit(2);
}

const forMs = values.minutes === undefined ? undefined : (Number(values.minutes) * 60_000) / chosen.length;
const reports: TargetReport[] = [];
for (const target of chosen) {
	const runs = values.runs === undefined ? (forMs === undefined ? target.runs : Infinity) : Number(values.runs);
	const report = await runTarget(target, {
		seed,
		runs,
		...(forMs !== undefined && {forMs}),
		...(path !== undefined && {path}),
	});
	reports.push(report);
	if (report.failure !== undefined) console.error(`FAIL ${report.name}: ${report.failure}`);
}

console.log(`seed ${seed}`);
console.log(table(['TARGET', 'INPUTS', 'SECONDS', 'SLOWEST MS', 'GROWN MiB', ''], reports.map(textOf)));
if (values.report !== undefined) writeFileSync(values.report, `${JSON.stringify({seed, reports}, undefined, '\t')}\n`);
process.exit(reports.some(({failure}) => failure !== undefined) ? 1 : 0);
