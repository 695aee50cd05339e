/**
Damage at rest: while no process runs, one bit of one file flips, or the end of a file is lost. The next start, or the
one after it if that start crashes, must do one of four things: set the node's own files aside, refuse to start, report
what a topic lacks, or find everything unchanged. It never returns wrong data. One kind of damage looks like a crash:
lost newest records of a log that was not closed, when no later record shows that they were durable.
*/
import type {Topic} from '../../../core/message.ts';
import type {NodeState} from '../../../core/node-state/node-state.ts';
import {CrashDisk} from '../../contract/support/crash-disk.ts';
import type {DiskContents} from '../disk-contents.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {dataPath, openStore, printOf as printOfState, type Model} from './store-start.ts';
import {Process, runToEnd} from './process.ts';
import {printOf as printOfRaft} from './raft-model.ts';
import {printOf, readAll} from './topic-model.ts';

/** `unreported`: the newest records of a log are missing, as after a crash. */
export type Verdict = 'set aside' | 'refused' | 'reported' | 'harmless' | 'unreported';
export type Damage = {readonly kind: 'flip' | 'cut'; readonly file: string; readonly verdict: Verdict};

type Refused = {readonly refusal: string};
type StoreContents = {
	readonly state: NodeState;
	readonly raft: string;
	readonly isEmpty: boolean;
	/** Records of the Raft log, by position. */
	readonly records: ReadonlyMap<number, string>;
	readonly topics: ReadonlyMap<
		Topic,
		{readonly next: number; readonly isDamaged: boolean; readonly items: ReadonlyMap<number, string>}
	>;
};

/**
Damages a copy and judges the next start. Returns nothing if there is no file. @param isClean the store was closed
*/
export function damageAndJudge(
	contents: DiskContents,
	schedule: Schedule,
	random: SeededRandom,
	model: Model,
	isClean: boolean,
): Damage[] {
	const before = readStore(copyOf(contents, random), schedule, random);
	if ('refusal' in before) throw new Error(`an undamaged store opens: ${before.refusal}`);
	const spoiled = copyOf(contents, random);
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
			!contents
				.files()
				.some(([other]) => other.endsWith('.log') && other > path && folderOf(other) === folderOf(path));
		return [
			{
				kind,
				file: kindOf(path),
				verdict: judge(
					model,
					before,
					readStore(found, schedule, random),
					isNewest && !isClean ? name : undefined,
				),
			},
		];
	} catch (error) {
		throw new Error(`${(error as Error).message} (${kind} in ${name})`, {cause: error});
	}
}

/** @param open the damaged file, if it is the newest segment of a log that was not closed */
function judge(model: Model, before: StoreContents, after: StoreContents | Refused, open: string | undefined): Verdict {
	if ('refusal' in after) return 'refused';
	const isAnother =
		after.state.identity.id !== before.state.identity.id && (before.state.incarnation > 0 || after.state.mustJoin);
	if (isAnother && !(after.isEmpty && after.state.mustJoin))
		throw new Error('a node whose files were set aside is empty and joins again');
	if (!isAnother && before.state.incarnation > 0 && printOfState(after.state) !== printOfState(before.state))
		throw new Error(
			`the state of a node is never another: got ${printOfState(after.state)}, had ${printOfState(before.state)}`,
		);
	let verdict: Verdict = isAnother ? 'set aside' : 'harmless';
	if (!isAnother && after.raft !== before.raft) {
		if (!open?.startsWith('raft/')) throw new Error('a damaged Raft log is refused: it opened with fewer records');
		for (const [position, print] of after.records)
			if (before.records.get(position) !== print)
				throw new Error(`damaged data are never returned: Raft's log has another record at ${position}`);
		verdict = 'unreported';
	}

	// A topic to which nothing was ever written may lose its name. It is created again when it is used.
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
		// After a hole there may be batches that would have been cut off without the damage.
		const isWritten = (offset: number, print: string): boolean =>
			items.get(offset) === print || (found.isDamaged && model.topics.get(topic)?.printAt(offset) === print);
		for (const [offset, print] of found.items)
			if (!isWritten(offset, print))
				throw new Error(`damaged data are never returned: ${topic} has another batch at ${offset}`);
		if (found.isDamaged) verdict = verdict === 'set aside' ? verdict : 'reported';
		else if (found.items.size < items.size || found.next < next) {
			if (open === undefined || open.startsWith('raft/'))
				throw new Error(
					`missing batches are reported: ${topic} has ${found.items.size} of ${items.size} batches and continues at ${found.next} of ${next}`,
				);
			if ([...items.keys()].some(offset => offset < found.next && !found.items.has(offset)))
				throw new Error(`missing batches are reported: ${topic} has a hole`);
			verdict = 'unreported';
		}
	}

	return verdict;
}

/** The contents that a crashing start leaves. */
function afterCrash(contents: DiskContents, schedule: Schedule, random: SeededRandom): DiskContents {
	const process = new Process(schedule, random);
	const disk = new CrashDisk({random, delay: process.delay, diesAt: random.between(1, 120)}, contents);
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
function readStore(contents: DiskContents, schedule: Schedule, random: SeededRandom): StoreContents | Refused {
	const process = new Process(schedule, random);
	try {
		return runToEnd(
			schedule,
			readContents(new CrashDisk({random, delay: process.delay}, contents), process, random),
		);
	} catch (error) {
		if ((error as {readonly code?: unknown}).code === 'storage') return {refusal: (error as Error).message};
		throw error;
	} finally {
		process.end();
	}
}

async function readContents(disk: CrashDisk, process: Process, random: SeededRandom): Promise<StoreContents> {
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

function copyOf(contents: DiskContents, random: SeededRandom): DiskContents {
	return contents.afterPowerCut(random, 'none');
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
