/**
The simulator's command line.

- `--seeds N [--from N]` runs seeds, each twice with equal hashes unless `--once`; `--minutes M` runs until the time is
up.
- `--seed N` replays one seed with its trace, `--events …` with these events of its plan only.
- `--world nodes` or `--world raft` runs one of the two worlds of a seed.
- `--liar` runs seeds of another world: a cluster with a member that lies.

A failing seed is reduced to few events (not with `--as-is`) and printed with the command that replays it. The last line
counts seeds, virtual hours, events and faults. The exit code is 1 if a seed failed, or if a fault never occurred.
*/
import {parseArgs} from 'node:util';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import {simulate} from './node/cluster.ts';
import {lieKinds} from './node/liar/lies.ts';
import {simulateLiar} from './node/liar/run.ts';
import {kinds, planOf} from './node/plan.ts';
import {withoutGlobals} from './without-globals.ts';
import {Totals} from './totals.ts';
import {simulateRaft} from './raft-cluster.ts';
import {runJob, type Job, type Report, type World} from './worker.ts';

const defaultForMs = 40_000;
/** Seeds per job of a worker. */
const blockSeeds = 8;
/** The flags that replay a seed of a world. */
const suffixes: Readonly<Record<World, string>> = {nodes: '', raft: ' --world raft', liar: ' --liar'};
/** Packets that are shown from the end of a trace. */
const tailLines = 200;
/** With this many seeds, every fault must occur. */
const wholeSeeds = 100;
const faultNames: readonly string[] = [
	...kinds,
	'disk-kills',
	'disk-powerCuts',
	'disk-lost',
	'disk-kept',
	'disk-torn',
	'disk-eio',
	'disk-enospc',
	'disk-full',
	'disk-flips',
	'disk-truncations',
	'disk-wipes',
	'net-lost',
	'net-duplicated',
	'net-cut',
	'net-replayed',
	'net-reordered',
	'net-clogged',
	'net-congested',
	'halfOpen',
];

async function main(): Promise<void> {
	const {values} = parseArgs({
		options: {
			seeds: {type: 'string', default: '200'},
			from: {type: 'string', default: '1'},
			seed: {type: 'string'},
			for: {type: 'string', default: String(defaultForMs)},
			events: {type: 'string'},
			world: {type: 'string'},
			liar: {type: 'boolean', default: false},
			once: {type: 'boolean', default: false},
			workers: {type: 'string', default: '2'},
			minutes: {type: 'string'},
			first: {type: 'boolean', default: false},
			'as-is': {type: 'boolean', default: false},
			json: {type: 'boolean', default: false},
		},
	});
	const forMs = number('for', values.for);
	const worlds: readonly World[] = values.liar
		? ['liar']
		: values.world === 'raft' || values.world === 'nodes'
			? [values.world]
			: ['raft', 'nodes'];
	if (values.seed !== undefined) {
		if (values.liar) replayLiar(number('seed', values.seed));
		else if (values.world === 'raft') console.log(JSON.stringify(simulateRaft(number('seed', values.seed))));
		else replay(number('seed', values.seed), forMs, values.events);
		return;
	}

	const from = number('from', values.from);
	const to = values.minutes === undefined ? from + number('seeds', values.seeds) : Number.POSITIVE_INFINITY;
	const untilMs =
		values.minutes === undefined
			? Number.POSITIVE_INFINITY
			: Date.now() + number('minutes', values.minutes) * 60_000;
	const totals = new Totals(report => {
		const only =
			report.plan.length < report.planned ? ` --events ${report.plan.map(({atMs}) => atMs).join(',')}` : '';
		console.log(
			`FAIL npm run sim -- --seed ${report.seed}${suffixes[report.world]}${forMs === defaultForMs ? '' : ` --for ${forMs}`}${only}\n     ${report.failure}\n     ${report.plan.length} of ${report.planned} events are enough: ${report.plan.map(({atMs, kind}) => `${kind}@${atMs}`).join(' ')}`,
		);
	});
	let next = from;
	const job = (): Job | undefined => {
		if (next >= to || Date.now() >= untilMs || (values.first && totals.failed.length > 0)) return undefined;
		const start = next;
		next = Math.min(to, start + blockSeeds);
		return {from: start, to: next, forMs, worlds, isOnce: values.once, shrinks: !values.first && !values['as-is']};
	};

	await Promise.all(Array.from({length: number('workers', values.workers)}, () => work(job, totals)));
	const counts = totals.counts();
	const wanted = values.liar ? lieKinds.map(lie => `lie-${lie}`) : faultNames;
	const missing = wanted.filter(name => (counts[name] ?? 0) === 0);
	const isWhole = totals.seeds >= wholeSeeds && !worlds.every(world => world === 'raft');
	const faults = wanted.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
	console.log(
		Object.entries(counts)
			.map(([name, value]) => `${name} ${value}`)
			.join(', '),
	);
	console.log(`after the heal: agreed within ${totals.agreed()} ms; whole within ${totals.converged()} ms`);
	if (values.json)
		console.log(
			JSON.stringify({
				from,
				seeds: totals.seeds,
				failed: totals.failed,
				virtualMs: totals.virtualMs,
				events: totals.events,
				faults,
				counts,
			}),
		);
	if (isWhole && missing.length > 0) console.log(`Faults that never occurred: ${missing.join(', ')}`);
	console.log(
		`${totals.seeds} seeds, ${totals.failed.length} failed, ${(totals.virtualMs / 3_600_000).toFixed(1)} virtual hours, ${totals.events} events, ${faults} faults`,
	);
	process.exitCode = totals.failed.length > 0 || (isWhole && missing.length > 0) ? 1 : 0;
}

/** Run one worker until no job is left. */
function work(job: () => Job | undefined, totals: Totals): Promise<void> {
	return new Promise((resolve, reject) => {
		const worker = new Worker(new URL(import.meta.url));
		const go = (): void => {
			const given = job();
			if (given)
				worker.postMessage(given); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread
			else void worker.terminate();
		};

		worker.on('message', (report: Report) => {
			if (report.type === 'done') go();
			else totals.take(report);
		});
		worker.once('error', reject);
		worker.once('exit', () => resolve());
		go();
	});
}

/** Run one seed of the world with a liar, with the end of its trace if it fails. */
function replayLiar(seed: number): void {
	const lines: string[] = [];
	try {
		console.log(JSON.stringify(withoutGlobals(() => simulateLiar({seed, trace: line => void lines.push(line)}))));
	} catch (error) {
		console.log([...lines.filter(line => !/[>~]/.test(line)), ...lines.slice(-tailLines)].join('\n'));
		const {stack, cause} = error as Error;
		console.log(stack, cause instanceof Error ? cause.stack : '');
		process.exitCode = 1;
	}
}

/** Run one seed with its trace. @param events times of the events of its plan that are kept */
function replay(seed: number, forMs: number, events: string | undefined): void {
	const wanted = events === undefined ? undefined : new Set(events.split(',').map(Number));
	const plan = planOf(seed, forMs).filter(({atMs}) => wanted?.has(atMs) ?? true);
	const lines: string[] = [];
	try {
		const outcome = withoutGlobals(() => simulate({seed, forMs, plan, trace: line => void lines.push(line)}));
		console.log(
			`${JSON.stringify(outcome)}\nseed ${seed} holds: ${lines.length} lines of trace, fingerprint ${outcome.fingerprint.toString(16)}`,
		);
	} catch (error) {
		// All packets near the end; before that, only events of hosts.
		console.log(
			[...lines.slice(0, -tailLines).filter(line => !/[>~]/.test(line)), ...lines.slice(-tailLines)].join('\n'),
		);
		const {stack, cause} = error as Error;
		console.log(stack, cause instanceof Error ? cause.stack : '');
		process.exitCode = 1;
	}
}

function number(name: string, text: string): number {
	const value = Number(text);
	if (text.trim() === '' || !Number.isFinite(value) || value < 0)
		throw new RangeError(`Expected --${name} to be a non-negative number, got ${JSON.stringify(text)}`);
	return value;
}

// An event of its own, because promise callbacks cannot be drained from within one, and a module's body is one.
if (isMainThread) setImmediate(() => void main());
else
	parentPort!.on('message', (given: Job) =>
		setImmediate(() => runJob(given, report => parentPort!.postMessage(report))),
	);
