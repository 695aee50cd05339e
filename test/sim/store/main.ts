/**
The command line of the crash campaign. `--images N [--from N]` runs seeds from there on until N images were made;
`--seed N` runs one seed and prints what it did. A failing seed prints the command that replays it, and the exit code is
1, also if a kind of loss never occurred. The last line counts images, damaged files and compared records.
*/
import {parseArgs} from 'node:util';
import {runSeed, type Outcome} from './campaign.ts';
import {withoutGlobals} from '../without-globals.ts';

/** With this many images, every kind of loss must occur. */
const wholeImages = 100;

class Counts {
	readonly #counts = new Map<string, number>();

	add(name: string, count = 1): void {
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
	}

	get sum(): number {
		return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
	}

	of(name: string): number {
		return this.#counts.get(name) ?? 0;
	}

	toString(): string {
		return [...this.#counts]
			.toSorted(([a], [b]) => (a < b ? -1 : 1))
			.map(([name, count]) => `${name} ${count}`)
			.join(', ');
	}
}

class Totals {
	seeds = 0;
	failed = 0;
	nested = 0;
	acknowledged = 0;
	checked = 0;
	failedCalls = 0;
	readonly images = new Counts();
	readonly calls = new Counts();
	readonly files = new Counts();
	readonly changes = new Counts();
	readonly damages = new Counts();

	add({images, calls, outcomes, nested, failed, acknowledged, checked, damages}: Outcome): void {
		this.seeds++;
		this.nested += nested;
		this.failedCalls += failed;
		this.acknowledged += acknowledged;
		this.checked += checked;
		for (const [loss, count] of Object.entries(images)) this.images.add(loss, count);
		for (const [call, count] of calls) {
			this.calls.add(call, count);
			this.files.add(call.slice(call.indexOf(' ') + 1), count);
		}

		for (const [outcome, count] of Object.entries(outcomes)) this.changes.add(outcome, count);
		for (const {file, kind, verdict} of damages) this.damages.add(`${file} ${kind} ${verdict}`);
	}
}

function main(): void {
	const {values} = parseArgs({
		options: {
			images: {type: 'string', default: '1000'},
			from: {type: 'string', default: '1'},
			seed: {type: 'string'},
		},
	});
	const images = wholeNumber('images', values.images);
	const totals = new Totals();
	const first = wholeNumber('from', values.seed ?? values.from);
	for (let seed = first; values.seed === undefined ? totals.images.sum < images : seed === first; seed++) {
		try {
			totals.add(withoutGlobals(() => runSeed(seed)));
		} catch (error) {
			totals.failed++;
			console.log(
				`FAIL npm run sim:crash -- --seed ${seed}\n     ${values.seed === undefined ? (error as Error).message : (error as Error).stack}`,
			);
			if (totals.failed >= 20) break;
		}
	}

	console.log(`the last call: ${totals.calls.toString()}`);
	console.log(`unsynced changes: ${totals.changes.toString()}; failed calls: ${totals.failedCalls}`);
	console.log(`damage: ${totals.damages.toString()}`);
	const missing =
		totals.images.sum < wholeImages
			? []
			: ['all', 'writes', 'sectors', 'none', 'killed'].filter(loss => totals.images.of(loss) === 0);
	if (missing.length > 0) console.log(`Losses that never occurred: ${missing.join(', ')}`);
	console.log(
		`${totals.images.sum} images of ${totals.seeds} seeds (lost: ${totals.images.toString()}; at: ${totals.files.toString()}; ${totals.nested} during a recovery), ${totals.damages.sum} damaged files, ${totals.acknowledged} records acknowledged, ${totals.checked} compared, ${totals.failed} failed`,
	);
	process.exitCode = totals.failed > 0 || missing.length > 0 ? 1 : 0;
}

function wholeNumber(name: string, text: string): number {
	const value = Number(text);
	if (!Number.isSafeInteger(value) || value < 0)
		throw new RangeError(`Expected --${name} to be a whole number, got ${text}`);
	return value;
}

// An event of its own, because promise callbacks cannot be drained from within one, and a module's body is one.
setImmediate(main);
