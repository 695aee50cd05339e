/**
Rot at rest: one bit of one file turns over, or the end of a file is gone, while nobody runs. The next start, or the one
after it when that dies half-way, sets the node's own files aside, refuses, says what of a topic is missing, or finds
everything as it was. What it gives out is never wrong. One thing cannot be told from a crash: the newest records of a
log that was not closed, of which nothing later says that they were on the disk.
*/
import type {Topic} from '../../../core/message.ts';
import type {NodeState} from '../../../core/node-state/node-state.ts';
import {CrashDisk} from '../../contract/support/crash-disk.ts';
import type {Platter} from '../platter.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {dataPath, openStore, printOf as printOfState, type Model} from './life.ts';
import {Process, runToEnd} from './process.ts';
import {printOf as printOfRaft} from './raft-model.ts';
import {printOf, readAll} from './topic-model.ts';

/** `untold`: the newest records of a log are gone, as after a crash. */
export type Verdict = 'set aside' | 'refused' | 'told' | 'harmless' | 'untold';
export type Rot = {readonly kind: 'flip' | 'cut'; readonly file: string; readonly verdict: Verdict};

type Refused = {readonly refusal: string};
type Picture = {
	readonly state: NodeState;
	readonly raft: string;
	readonly isEmpty: boolean;
	/** Of Raft's log, by position. */
	readonly records: ReadonlyMap<number, string>;
	readonly topics: ReadonlyMap<
		Topic,
		{readonly next: number; readonly isDamaged: boolean; readonly items: ReadonlyMap<number, string>}
	>;
};

/** Spoils a copy; nothing comes of it when there is no file yet. @param isClean the store was closed, and said so */
export function rot(platter: Platter, schedule: Schedule, random: SeededRandom, model: Model, isClean: boolean): Rot[] {
	const before = picture(copyOf(platter, random), schedule, random);
	if ('refusal' in before) throw new Error(`a store that was left alone opens: ${before.refusal}`);
	const spoiled = copyOf(platter, random);
	const files = spoiled.files().filter(([, {size}]) => size > 0);
	if (files.length === 0) return [];
	const [path, file] = random.pick(files);
	const kind = random.pick(['flip', 'flip', 'cut'] as const);
	if (kind === 'flip') file.flip(random.below(file.size * 8));
	else file.cut(random.below(file.size));
	const name = path.slice(dataPath.length + 1);
	const found = random.chance(1, 2) ? afterCrash(spoiled, schedule, random) : spoiled;
	try {
		const isNewest =
			name.endsWith('.log') &&
			!platter
				.files()
				.some(([other]) => other.endsWith('.log') && other > path && folderOf(other) === folderOf(path));
		return [
			{
				kind,
				file: kindOf(path),
				verdict: judge(
					model,
					before,
					picture(found, schedule, random),
					isNewest && !isClean ? name : undefined,
				),
			},
		];
	} catch (error) {
		throw new Error(`${(error as Error).message} (${kind} in ${name})`, {cause: error});
	}
}

/** @param open the newest segment of a log that was not closed, if that is what was spoiled */
function judge(model: Model, before: Picture, after: Picture | Refused, open: string | undefined): Verdict {
	if ('refusal' in after) return 'refused';
	const isAnother =
		after.state.identity.id !== before.state.identity.id && (before.state.incarnation > 0 || after.state.mustJoin);
	if (isAnother && !(after.isEmpty && after.state.mustJoin))
		throw new Error('a node that was set aside has nothing, and joins again');
	if (!isAnother && before.state.incarnation > 0 && printOfState(after.state) !== printOfState(before.state))
		throw new Error(
			`what a node was is never another: got ${printOfState(after.state)}, had ${printOfState(before.state)}`,
		);
	let verdict: Verdict = isAnother ? 'set aside' : 'harmless';
	if (!isAnother && after.raft !== before.raft) {
		if (!open?.startsWith('raft/')) throw new Error('a damaged Raft log is refused: it was opened with less');
		for (const [position, print] of after.records)
			if (before.records.get(position) !== print)
				throw new Error(`what is damaged is never given out: Raft's log has another record at ${position}`);
		verdict = 'untold';
	}

	// A topic of which nothing was ever written may lose its name: it is made anew when it is used.
	const isKept = ([topic, {next}]: readonly [Topic, {readonly next: number}]): boolean =>
		next > 0 || after.topics.has(topic);
	if (
		[...after.topics.keys()].join('\n') !==
		[...before.topics]
			.filter(isKept)
			.map(([topic]) => topic)
			.join('\n')
	)
		throw new Error(
			`topics keep their names: got ${[...after.topics.keys()].join()}, had ${[...before.topics.keys()].join()}`,
		);
	for (const [topic, {items, next}] of [...before.topics].filter(isKept)) {
		const found = after.topics.get(topic)!;
		// Behind a hole there may be what was written and, without the damage, would have been cut off with it.
		const isWritten = (offset: number, print: string): boolean =>
			items.get(offset) === print || (found.isDamaged && model.topics.get(topic)?.printAt(offset) === print);
		for (const [offset, print] of found.items)
			if (!isWritten(offset, print))
				throw new Error(`what is damaged is never given out: ${topic} has another batch at ${offset}`);
		if (found.isDamaged) verdict = verdict === 'set aside' ? verdict : 'told';
		else if (found.items.size < items.size || found.next < next) {
			if (open === undefined || open.startsWith('raft/'))
				throw new Error(
					`what is missing is told: ${topic} has ${found.items.size} of ${items.size} batches and goes on at ${found.next} of ${next}`,
				);
			if ([...items.keys()].some(offset => offset < found.next && !found.items.has(offset)))
				throw new Error(`what is missing is told: ${topic} has a hole`);
			verdict = 'untold';
		}
	}

	return verdict;
}

/** What a start that dies half-way leaves. */
function afterCrash(platter: Platter, schedule: Schedule, random: SeededRandom): Platter {
	const process = new Process(schedule, random);
	const disk = new CrashDisk({random, delay: process.delay, diesAt: random.between(1, 120)}, platter);
	try {
		runToEnd(schedule, Promise.race([openStore(disk, process, async () => undefined), disk.died]));
	} catch (error) {
		if ((error as {readonly code?: unknown}).code !== 'storage') throw error;
	} finally {
		process.end();
	}

	return random.chance(1, 3)
		? disk.killed(random)
		: disk.image(random, random.pick(['all', 'writes', 'sectors', 'none']));
}

/** Everything that a start finds. */
function picture(platter: Platter, schedule: Schedule, random: SeededRandom): Picture | Refused {
	const process = new Process(schedule, random);
	try {
		return runToEnd(schedule, look(new CrashDisk({random, delay: process.delay}, platter), process, random));
	} catch (error) {
		if ((error as {readonly code?: unknown}).code === 'storage') return {refusal: (error as Error).message};
		throw error;
	} finally {
		process.end();
	}
}

async function look(disk: CrashDisk, process: Process, random: SeededRandom): Promise<Picture> {
	const {
		home: {state, store},
		raftLog,
		topics,
	} = await openStore(disk, process, async () => undefined);
	const found: Array<
		[Topic, {readonly next: number; readonly isDamaged: boolean; readonly items: ReadonlyMap<number, string>}]
	> = [];
	for (const [topic, {log, segments}] of topics) {
		const items = new Map(
			(await readAll(log, random, segments.damaged.length > 0)).map(item => [item.offset, printOf(item)]),
		);
		found.push([topic, {next: log.nextOffset, isDamaged: segments.damaged.length > 0, items}]);
	}

	const records = new Map<number, string>();
	for (let at = raftLog.first; at < raftLog.end;) {
		const read = await raftLog.read(at, 8000);
		for (const {position, bytes} of read.records) records.set(position, Buffer.from(bytes).toString('latin1'));
		at = read.next;
	}

	return {state, raft: printOfRaft(store.recovered), isEmpty: store.isEmpty, records, topics: new Map(found)};
}

function copyOf(platter: Platter, random: SeededRandom): Platter {
	return platter.afterPowerCut(random, 'none');
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** `/data/raft/0000000000000d31.log` → `raft segment`. */
export function kindOf(path: string): string {
	const name = path.slice(dataPath.length + 1);
	const base = name.slice(name.lastIndexOf('/') + 1);
	const owner = name.startsWith('raft/') ? 'raft ' : name.startsWith('topics/') ? 'topic ' : '';
	if (/\.(?:log|corrupt)$/.test(base)) return `${owner}segment`;
	if (base.startsWith('snapshot')) return base.replace(/-\d+/, '');
	return /\.json(?:\.new)?$|^synced$/.test(base) ? `${owner}${base}` : 'folder';
}
