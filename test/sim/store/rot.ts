/**
Rot at rest: one bit of one file turns over, or the end of a file is gone, while nobody runs. The next start either refuses, or says what is missing,
or finds everything as it was. What it gives out is never wrong. One thing cannot be told from a crash: the newest records of a log that was
not closed, of which nothing later says that they were on the disk.
*/
import {CrashDisk} from '../../contract/crash-disk.ts';
import type {Platter} from '../platter.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {dataPath, openStore, type State} from './life.ts';
import {Process, runToEnd} from './process.ts';
import {printOf} from './raft-model.ts';
import {readAll} from './topic-model.ts';

/** `untold`: the newest records of a log are gone, as after a crash. `unguarded`: node.json says something else, and has no checksum. */
export type Verdict = 'refused' | 'told' | 'harmless' | 'untold' | 'unguarded';
export type Rot = {readonly kind: 'flip' | 'cut'; readonly file: string; readonly verdict: Verdict};

type Refused = {readonly refusal: string};
type Picture = {
	readonly state: State | undefined;
	readonly raft: string;
	readonly topics: ReadonlyMap<string, {readonly next: number; readonly isDamaged: boolean; readonly items: ReadonlyMap<number, string>}>;
};

/** Spoils a copy; nothing comes of it when there is no file yet. @param isClean the store was closed, and said so */
export function rot(platter: Platter, schedule: Schedule, random: SeededRandom, isClean: boolean): Rot[] {
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
	try {
		const isNewest = name.endsWith('.log') && !platter.files().some(([other]) => other.endsWith('.log') && other > path && folderOf(other) === folderOf(path));
		return [{kind, file: kindOf(name), verdict: judge(before, picture(spoiled, schedule, random), isNewest && !isClean ? name : undefined)}];
	} catch (error) {
		throw new Error(`${(error as Error).message} (${kind} in ${name})`, {cause: error});
	}
}

/** @param open the newest segment of a log that was not closed, if that is what was spoiled */
function judge(before: Picture, after: Picture | Refused, open: string | undefined): Verdict {
	if ('refusal' in after) return 'refused';
	if (JSON.stringify(after.state) !== JSON.stringify(before.state)) return 'unguarded';
	let verdict: Verdict = 'harmless';
	if (after.raft !== before.raft) {
		if (!open?.startsWith('raft/')) throw new Error('a damaged Raft log is refused: it was opened with less');
		verdict = 'untold';
	}

	if ([...after.topics.keys()].join('\n') !== [...before.topics.keys()].join('\n')) throw new Error(`topics keep their names: got ${[...after.topics.keys()].join()}, had ${[...before.topics.keys()].join()}`);
	for (const [topic, {items, next}] of before.topics) {
		const found = after.topics.get(topic)!;
		for (const [offset, print] of found.items) if (items.get(offset) !== print) throw new Error(`what is damaged is never given out: ${topic} has another batch at ${offset}`);
		if (found.isDamaged) verdict = 'told';
		else if (found.items.size < items.size || found.next < next) {
			if (open === undefined || open.startsWith('raft/')) throw new Error(`what is missing is told: ${topic} has ${found.items.size} of ${items.size} batches and goes on at ${found.next} of ${next}`);
			if ([...items.keys()].some(offset => offset < found.next && !found.items.has(offset))) throw new Error(`what is missing is told: ${topic} has a hole`);
			verdict = 'untold';
		}
	}

	return verdict;
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
	const {state, recovered, topics} = await openStore(disk, process, async () => undefined);
	const found: Array<[string, {readonly next: number; readonly isDamaged: boolean; readonly items: ReadonlyMap<number, string>}]> = [];
	for (const [topic, {log, segments}] of topics) {
		const items = new Map((await readAll(log, random, segments.damaged.length > 0)).map(({offset, batch, hops, repaired}) => [offset, `${hops} ${repaired} ${Buffer.from(batch.bytes).toString('latin1')}`]));
		found.push([topic, {next: log.nextOffset, isDamaged: segments.damaged.length > 0, items}]);
	}

	return {state, raft: printOf(recovered), topics: new Map(found)};
}

function copyOf(platter: Platter, random: SeededRandom): Platter {
	return platter.afterPowerCut(random, 'none');
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** `raft/0000000000000d31.log` → `raft segment`. */
export function kindOf(name: string): string {
	const folder = name.startsWith('raft/') ? 'raft ' : name.startsWith('topics/') ? 'topic ' : '';
	if (/\.(?:log|corrupt)$/.test(name)) return `${folder}segment`;
	return `${folder}${name.slice(name.lastIndexOf('/') + 1).replace(/^snapshot-\d+/, 'snapshot')}`;
}
