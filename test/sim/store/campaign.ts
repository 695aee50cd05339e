/**
One seed of the crash campaign: a store that starts several times on one disk. Each start ends at a random call, often
during recovery from the last one. The image is made from the contents of the disk. The next start is checked against
all records that earlier starts acknowledged.
*/
import {CrashDisk} from '../../contract/support/crash-disk.ts';
import type {ChangeOutcomes, Loss, DiskContents} from '../disk-contents.ts';
import {createRandom, type SeededRandom} from '../random.ts';
import {Schedule} from '../schedule.ts';
import {runStart, Model} from './store-start.ts';
import {Process, runToEnd} from './process.ts';
import {kindOf, damageAndJudge, type Damage} from './damage.ts';

export type Ending = Loss | 'killed';
export type Outcome = {
	readonly seed: number;
	/** Images by the kind of loss. */
	readonly images: Readonly<Record<Ending, number>>;
	/** Images by the last call and the kind of file. */
	readonly calls: ReadonlyMap<string, number>;
	readonly outcomes: ChangeOutcomes;
	/** Images made during the recovery from the previous image. */
	readonly nested: number;
	/** Failed calls. */
	readonly failed: number;
	readonly acknowledged: number;
	readonly checked: number;
	readonly damages: readonly Damage[];
};

const startsMax = 6;
const stepsMax = 120;
/** Files that are damaged after the final clean close. */
const closedDamages = 3;
const endings: readonly Ending[] = ['all', 'writes', 'sectors', 'sectors', 'none', 'killed', 'killed'];

export function runSeed(seed: number): Outcome {
	const random = createRandom(`store/${seed}`);
	const schedule = new Schedule();
	const model = new Model();
	const images: Record<Ending, number> = {all: 0, writes: 0, sectors: 0, none: 0, killed: 0};
	const calls = new Map<string, number>();
	const outcomes: ChangeOutcomes = {lost: 0, kept: 0, torn: 0};
	let nested = 0;
	let failed = 0;
	const damages: Damage[] = [];
	let disk = new CrashDisk({random});
	const count = random.between(2, startsMax);
	for (let start = 0; start <= count; start++) {
		const {starts} = model;
		const isLast = start === count;
		disk = runOnce(disk.medium, schedule, model, random.child(start), isLast);
		failed += disk.failed;
		if (isLast) break;
		const ending = random.pick(endings);
		images[ending]++;
		if (model.starts === starts) nested++;
		const call = `${disk.calls.at(-1)!.split(' ')[0]!} ${kindOf(disk.lastPath)}`;
		calls.set(call, (calls.get(call) ?? 0) + 1);
		if (ending !== 'killed') model.powerCut();
		disk = new CrashDisk(
			{random},
			ending === 'killed' ? disk.killed(random) : disk.image(random, ending, outcomes),
		);
		damages.push(...damageAndJudge(disk.medium, schedule, random.child(`rot ${start}`), model, false));
	}

	for (let index = 0; index < closedDamages; index++)
		damages.push(...damageAndJudge(disk.medium, schedule, random.child(`rot closed ${index}`), model, true));
	return {
		seed,
		images,
		calls,
		outcomes,
		nested,
		failed,
		acknowledged: model.acknowledged,
		checked: model.checked,
		damages,
	};
}

/** Returns the disk as the process left it. */
function runOnce(
	contents: DiskContents,
	schedule: Schedule,
	model: Model,
	random: SeededRandom,
	isLast: boolean,
): CrashDisk {
	const process = new Process(schedule, random.child('process'));
	const isFailing = !isLast && random.chance(1, 6);
	const disk = new CrashDisk(
		{
			random: random.child('disk'),
			delay: process.delay,
			shortWrites: random.chance(1, 3),
			// As often during the opening as during the work.
			diesAt: isLast ? undefined : random.chance(1, 3) ? random.between(1, 80) : random.between(60, 900),
			...(isFailing ? {failsOneIn: random.between(20, 300), code: random.pick(['EIO', 'ENOSPC'])} : {}),
		},
		contents,
	);
	try {
		runToEnd(
			schedule,
			Promise.race([
				runStart(disk, process, model, random.child('work'), random.between(10, stepsMax)),
				disk.died,
			]),
		);
	} catch (error) {
		if (disk.failed === 0 || (error as {readonly code?: unknown}).code !== 'storage') throw error;
	} finally {
		process.end();
	}

	return disk;
}
