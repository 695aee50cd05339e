/**
The simulator's command line. `--seeds N [--from N]` runs seeds, each twice with equal hashes unless `--once`; `--seed N` replays one, with its
trace; `--minutes M` goes on until the time is over. A failing seed is made smaller and told with the command that replays it. The last
line counts seeds, virtual hours, events and faults; the exit code is 1 when any seed failed.
*/
import {parseArgs} from 'node:util';
import {isMainThread, parentPort, Worker, workerData} from 'node:worker_threads';
import {planOf, simulate, type Outcome} from './node/cluster.ts';
import {kinds, type Event} from './node/plan.ts';

type Job = {readonly seeds: readonly number[]; readonly forMs: number; readonly once: boolean; readonly untilMs: number | undefined; readonly stopsAtFirst: boolean};
type Report = {readonly outcome: Outcome} | {readonly seed: number; readonly failure: string; readonly plan: readonly Event[]; readonly planned: number};

const wall = Date.now.bind(Date);
const defaultForMs = 40_000;
const tailLines = 200;

/** While a run lasts, whoever asks for the machine's time or chance fails. */
function sealed<Result>(work: () => Result): Result {
	const thrower = (name: string) => (): never => {
		throw new Error(`Expected no use of ${name} in a simulated node`);
	};

	const real = {now: Date.now, random: Math.random, performanceNow: performance.now, setTimeout: globalThis.setTimeout, setInterval: globalThis.setInterval, setImmediate: globalThis.setImmediate, nextTick: process.nextTick};
	Date.now = thrower('Date.now');
	Math.random = thrower('Math.random');
	performance.now = thrower('performance.now');
	Object.assign(globalThis, {setTimeout: thrower('setTimeout'), setInterval: thrower('setInterval'), setImmediate: thrower('setImmediate')});
	try {
		return work();
	} finally {
		Date.now = real.now;
		Math.random = real.random;
		performance.now = real.performanceNow;
		Object.assign(globalThis, {setTimeout: real.setTimeout, setInterval: real.setInterval, setImmediate: real.setImmediate});
	}
}

function attempt(seed: number, forMs: number, plan?: readonly Event[]): Outcome | string {
	try {
		return sealed(() => simulate({seed, forMs, ...(plan ? {plan} : {})}));
	} catch (error) {
		return (error as Error).message;
	}
}

/** The rule that a message names, without times and ids: a smaller script must break the same one. */
const ruleOf = (message: string): string => message.replace(/^at \d+ ms, event \d+: /, '').split(':')[0]!;

/** Leave events out as long as the same rule breaks (ddmin, Zeller and Hildebrandt 2002). */
function smaller(seed: number, forMs: number, failure: string): readonly Event[] {
	let events: readonly Event[] = planOf(seed, forMs);
	let parts = 2;
	for (let budget = 60; budget > 0 && events.length > 1;) {
		const size = Math.ceil(events.length / parts);
		let found = false;
		for (let at = 0; at < events.length && budget > 0; at += size, budget--) {
			const rest = [...events.slice(0, at), ...events.slice(at + size)];
			const again = attempt(seed, forMs, rest);
			if (typeof again !== 'string' || ruleOf(again) !== ruleOf(failure)) continue;
			events = rest;
			parts = Math.max(2, parts - 1);
			found = true;
			break;
		}

		if (found) continue;
		if (size === 1) break;
		parts = Math.min(events.length, parts * 2);
	}

	return events;
}

function carryOut({seeds, forMs, once, untilMs, stopsAtFirst}: Job, tell: (report: Report) => void): void {
	for (const seed of seeds) {
		if (untilMs !== undefined && wall() > untilMs) return;
		const outcome = attempt(seed, forMs);
		if (typeof outcome === 'string') {
			tell({seed, failure: outcome, plan: stopsAtFirst ? [] : smaller(seed, forMs, outcome), planned: planOf(seed, forMs).length});
			if (stopsAtFirst) return;
			continue;
		}

		const again = once ? outcome : attempt(seed, forMs);
		if (typeof again === 'string' || again.fingerprint !== outcome.fingerprint) tell({seed, failure: 'determinism: two runs of one seed differ', plan: [], planned: 0});
		else tell({outcome});
	}
}

async function main(): Promise<void> {
	const {values} = parseArgs({
		options: {
			'seeds': {type: 'string', default: '200'}, 'from': {type: 'string', default: '1'}, 'seed': {type: 'string'}, 'for': {type: 'string', default: String(defaultForMs)},
			'events': {type: 'string'}, 'once': {type: 'boolean', default: false}, 'workers': {type: 'string', default: '2'}, 'minutes': {type: 'string'}, 'first': {type: 'boolean', default: false}, 'json': {type: 'boolean', default: false},
		},
	});
	const forMs = Number(values.for);
	if (values.seed !== undefined) return replay(Number(values.seed), forMs, values.events);
	const from = Number(values.from);
	const count = values.minutes === undefined ? Number(values.seeds) : 10_000_000;
	const workers = Math.min(Number(values.workers), count);
	if (!(count >= 1) || !(from >= 0) || !(workers >= 1)) throw new RangeError(`Expected --seeds, --from and --workers to be numbers from 1 on, got ${values.seeds}, ${values.from}, ${values.workers}`);
	const untilMs = values.minutes === undefined ? undefined : wall() + Number(values.minutes) * 60_000;
	const totals = new Map<string, number>();
	const add = (name: string, value: number): void => void totals.set(name, (totals.get(name) ?? 0) + value);
	let [seeds, virtualMs, events, failures] = [0, 0, 0, 0];
	const agreed: number[] = [];
	const converged: number[] = [];
	const failed: number[] = [];
	const take = (report: Report): void => {
		if ('failure' in report) {
			failures++;
			failed.push(report.seed);
			const indexes = report.plan.length > 0 ? ` --events ${report.plan.map(({atMs}) => atMs).join(',')}` : '';
			console.log(`FAIL npm run sim -- --seed ${report.seed}${forMs === defaultForMs ? '' : ` --for ${forMs}`}${indexes}\n     ${report.failure}\n     ${report.plan.length} of ${report.planned} events are enough: ${report.plan.map(({atMs, kind}) => `${kind}@${atMs}`).join(' ')}`);
			return;
		}

		const {outcome} = report;
		seeds++;
		virtualMs += outcome.virtualMs;
		events += outcome.events;
		agreed.push(outcome.agreedMs);
		converged.push(outcome.convergedMs);
		for (const [name, value] of [...Object.entries(outcome.faults), ...Object.entries(outcome.work)]) add(name, value);
	};

	await Promise.all(Array.from({length: workers}, (_, index) => new Promise<void>((resolve, reject) => {
		const job: Job = {seeds: Array.from({length: Math.ceil(count / workers)}, (_unused, at) => from + index + at * workers).filter(seed => seed < from + count), forMs, once: values.once, untilMs, stopsAtFirst: values.first};
		const worker = new Worker(new URL(import.meta.url), {workerData: job});
		worker.on('message', take);
		worker.once('error', reject);
		worker.once('exit', () => resolve());
	})));
	const percentile = (numbers: readonly number[], share: number): number => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? 0;
	const faultNames: readonly string[] = [...kinds, 'disk-kills', 'disk-powerCuts', 'disk-lost', 'disk-kept', 'disk-torn', 'disk-eio', 'disk-enospc', 'disk-flips', 'disk-truncations', 'disk-wipes', 'net-lost', 'net-duplicated', 'net-cut', 'net-replayed', 'net-reordered', 'net-clogged', 'net-congested', 'halfOpen'];
	const missing = faultNames.filter(name => (totals.get(name) ?? 0) === 0);
	console.log([...totals].map(([name, value]) => `${name} ${value}`).join(', '));
	console.log(`after the heal: agreed within p50 ${percentile(agreed, 0.5)}, p99 ${percentile(agreed, 0.99)}, worst ${percentile(agreed, 1)} ms; whole within p50 ${percentile(converged, 0.5)}, p99 ${percentile(converged, 0.99)}, worst ${percentile(converged, 1)} ms`);
	if (values.json) console.log(JSON.stringify({from, seeds, failed, virtualMs, events, totals: Object.fromEntries(totals)}));
	const isWhole = seeds + failures >= 100;
	if (isWhole && missing.length > 0) console.log(`Faults that never struck: ${missing.join(', ')}`);
	const faults = faultNames.reduce((sum, name) => sum + (totals.get(name) ?? 0), 0);
	console.log(`${seeds + failures} seeds, ${failures} failed, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${events} events, ${faults} faults`);
	process.exitCode = failures > 0 || (isWhole && missing.length > 0) ? 1 : 0;
}

/** One seed, with everything that happened; `--events` keeps the named events of its script only. */
function replay(seed: number, forMs: number, events: string | undefined): void {
	const wanted = events === undefined ? undefined : new Set(events.split(',').map(Number));
	const plan = planOf(seed, forMs).filter(({atMs}) => wanted?.has(atMs) ?? true);
	const lines: string[] = [];
	try {
		const outcome = sealed(() => simulate({seed, forMs, plan, trace: line => void lines.push(line)}));
		console.log(`${JSON.stringify(outcome)}\nseed ${seed} holds: ${lines.length} lines of trace, fingerprint ${outcome.fingerprint.toString(16)}`);
	} catch (error) {
		// Packets of the end; of before that what became of hosts.
		console.log([...lines.slice(0, -tailLines).filter(line => !/[>~]/.test(line)), ...lines.slice(-tailLines)].join('\n'));
		console.log((error as Error).stack);
		process.exitCode = 1;
	}
}

// A turn of its own: promise callbacks cannot be run from within one, and a module's body is one.
if (isMainThread) setImmediate(() => void main());
else setImmediate(() => carryOut(workerData as Job, report => parentPort!.postMessage(report)));
