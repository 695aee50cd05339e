/**
The rules that a cluster promises, checked in recordings: one leader in a term, no message twice, the order of each
origin, delivery everywhere. A recording is what one node saw, with a sample of its messages, so a rule may hold only as
far as the recordings show. Several recordings of one cluster are compared.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {topicText} from '../../core/observe/topic-text.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import {deliveredSince} from './format.ts';
import type {Recording} from './recording.ts';

export type Violation = {readonly at: number; readonly file: string; readonly text: string};
export type RuleResult = {
	readonly rule: 'one-leader-per-term' | 'no-duplicates' | 'order-of-origin' | 'delivered-everywhere';
	readonly text: string;
	/** `not shown`: the recordings have nothing that the rule is about. */
	readonly result: 'held' | 'violated' | 'not shown';
	/** Terms or messages that were checked. */
	readonly checked: number;
	readonly violations: readonly Violation[];
};
export type RecordedFile = {
	readonly file: string;
	readonly node: string;
	readonly cluster: string;
	readonly fromMs: number;
	readonly toMs: number;
	readonly frames: number;
	readonly messages: number;
	/** Messages that were delivered and are not in the sample. */
	readonly skipped: number;
};
export type CheckReport = {readonly files: readonly RecordedFile[]; readonly rules: readonly RuleResult[]};

/** Violations of a rule that are kept. */
const violationsMax = 1000;
/** A message that one node has must be at the others after this time, milliseconds. */
const spreadMs = 10_000;

class Rule {
	checked = 0;
	readonly violations: Violation[] = [];
	readonly #rule: RuleResult['rule'];
	readonly #text: string;

	constructor(rule: RuleResult['rule'], text: string) {
		this.#rule = rule;
		this.#text = text;
	}

	violated(at: number, file: string, text: string): void {
		if (this.violations.length < violationsMax) this.violations.push({at, file, text});
	}

	get result(): RuleResult {
		const {checked, violations} = this;
		return {
			rule: this.#rule,
			text: this.#text,
			result: violations.length > 0 ? 'violated' : checked > 0 ? 'held' : 'not shown',
			checked,
			violations,
		};
	}
}

/** What a node delivered in one run of its process. */
export type Process = {
	readonly file: string;
	first: Snapshot;
	last: Snapshot;
	/** The messages of the sample in the order of their delivery, each with the time of its first snapshot. */
	readonly delivered: Array<{readonly message: MessageSnapshot; readonly atMs: number}>;
	/** From here on the sample has every message. */
	completeFromMs: number;
	skipped: number;
};

export function checkRecordings(recordings: readonly Recording[]): CheckReport {
	const rules = {
		leader: new Rule('one-leader-per-term', 'One leader in a term'),
		duplicates: new Rule('no-duplicates', 'No message is delivered twice'),
		order: new Rule('order-of-origin', 'The messages of an origin are delivered in their order'),
		everywhere: new Rule('delivered-everywhere', 'Messages are delivered everywhere'),
	};
	const leaders = new Map<string, {readonly leader: string; readonly label: string}>();
	const processes: Process[] = [];
	const files = recordings.map((recording): RecordedFile => {
		const own = processesOf(recording, (snapshot, events) => {
			checkLeaders(snapshot, events, leaders, rules.leader, recording.path);
			checkMissed(snapshot, events, rules.everywhere, recording.path);
		});
		for (const process of own) checkDeliveries(process, rules.duplicates, rules.order);
		processes.push(...own);
		const {last} = own.at(-1)!;
		return {
			file: recording.path,
			node: labelsOf(last.members)(last.self),
			cluster: recording.header.cluster,
			fromMs: recording.atMs(0),
			toMs: recording.atMs(recording.length - 1),
			frames: recording.length,
			messages: own.reduce((sum, {delivered}) => sum + delivered.length, 0),
			skipped: own.reduce((sum, {skipped}) => sum + skipped, 0),
		};
	});
	rules.leader.checked = leaders.size;
	checkEverywhere(processes, rules.everywhere);
	return {files, rules: Object.values(rules).map(rule => rule.result)};
}

/** The runs of processes in a recording. @param onFrame gets each snapshot with its new events */
export function processesOf(
	recording: Recording,
	onFrame: (snapshot: Snapshot, events: readonly RecordedEvent[]) => void = () => undefined,
): readonly Process[] {
	const processes: Process[] = [];
	let newestMs = Number.NEGATIVE_INFINITY;
	for (let index = 0; index < recording.length; index++) {
		const {snapshot, lost} = recording.frame(index);
		if (!snapshot || lost !== undefined) continue;
		const current = processes.at(-1);
		const news = current && deliveredSince(current.last, snapshot);
		const isSame = current !== undefined && news !== undefined;
		// Events of earlier minutes are in the first snapshot of a node, too.
		onFrame(
			snapshot,
			snapshot.events.filter(({at}) => at >= newestMs || !isSame),
		);
		newestMs = snapshot.events.at(-1)?.at ?? newestMs;
		if (!isSame) {
			processes.push({
				file: recording.path,
				first: snapshot,
				last: snapshot,
				delivered: snapshot.feed.map(message => ({message, atMs: snapshot.atMs})),
				completeFromMs: snapshot.atMs,
				skipped: 0,
			});
			continue;
		}

		if (news.skipped > 0) {
			current.skipped += news.skipped;
			current.completeFromMs = snapshot.atMs;
		}

		for (const message of news.messages) current.delivered.push({message, atMs: snapshot.atMs});
		current.last = snapshot;
	}

	return processes;
}

function checkLeaders(
	{raft, members, clusterId, atMs}: Snapshot,
	events: readonly RecordedEvent[],
	leaders: Map<string, {readonly leader: string; readonly label: string}>,
	rule: Rule,
	file: string,
): void {
	const label = labelsOf(members);
	const see = (term: number, leader: string, at: number): void => {
		const key = `${clusterId} ${term}`;
		const known = leaders.get(key);
		if (!known) leaders.set(key, {leader, label: label(leader)});
		else if (known.leader !== leader) {
			rule.violated(at, file, `Term ${term} has two leaders: ${known.label} and ${label(leader)}`);
			// Reported once for each change, not for each snapshot.
			leaders.set(key, {leader, label: label(leader)});
		}
	};

	for (const event of events)
		if (event.type === 'leader' && event.leader !== undefined) see(event.term, event.leader, event.at);
	if (raft.leader !== undefined) see(raft.term, raft.leader, atMs);
}

function checkMissed({members}: Snapshot, events: readonly RecordedEvent[], rule: Rule, file: string): void {
	for (const event of events) {
		if (event.type !== 'missed' || event.cause === 'retention') continue;
		const from = labelsOf(members)(event.origin);
		const text = `${event.messages} messages of ${from} in ${topicText(event.topic)} are lost: no node has them`;
		if (!rule.violations.some(one => one.at === event.at && one.file === file && one.text === text))
			rule.violated(event.at, file, text);
	}
}

function checkDeliveries({file, delivered, first}: Process, duplicates: Rule, order: Rule): void {
	const seen = new Set<string>();
	const newest = new Map<string, number>();
	const label = labelsOf(first.members);
	for (const {message, atMs} of delivered) {
		const key = keyOf(message);
		const stream = streamOf(message);
		const before = newest.get(stream) ?? -1;
		const text = `#${message.seq} of ${label(message.origin)} in ${topicText(message.topic)}`;
		duplicates.checked++;
		order.checked++;
		if (seen.has(key)) duplicates.violated(atMs, file, `${text} was delivered twice`);
		else if (message.seq < before) order.violated(atMs, file, `${text} was delivered after #${before}`);
		seen.add(key);
		newest.set(stream, Math.max(before, message.seq));
	}
}

/**
Messages that one recorded node delivered are at every other one that was recorded meanwhile, subscribes to the topic,
has every message in its sample, and ended whole. Losses on a disk are violations in any case.
*/
function checkEverywhere(processes: readonly Process[], rule: Rule): void {
	const known = processes.map(({delivered}) => new Set(delivered.map(({message}) => keyOf(message))));
	for (const {file, last, first} of processes) {
		for (const {name, missing} of last.topics) {
			const before = first.topics.find(topic => topic.name === name)?.missing ?? 0;
			if (missing > before)
				rule.violated(last.atMs, file, `The disk lost ${missing - before} messages of ${topicText(name)}`);
		}
	}

	for (const source of processes) {
		for (const [to, target] of processes.entries()) {
			if (source.last.self === target.last.self || source.last.clusterId !== target.last.clusterId) continue;
			if (target.last.partition.state !== 'whole' || (target.last.gossip.missing ?? 0) > 0) continue;
			const topics = subscribedTopics(target);
			const label = labelsOf(target.last.members);
			for (const {message, atMs} of source.delivered) {
				const isShown =
					topics.has(message.topic) &&
					message.sentAtMs > target.completeFromMs &&
					atMs > target.completeFromMs &&
					atMs + spreadMs < target.last.atMs;
				if (!isShown) continue;
				rule.checked++;
				if (!known[to]!.has(keyOf(message)))
					rule.violated(
						atMs,
						target.file,
						`#${message.seq} of ${label(message.origin)} in ${topicText(message.topic)}, which ` +
							`${label(source.last.self)} delivered, is not at ${label(target.last.self)}`,
					);
			}
		}
	}
}

/** Topics to which the node subscribed at the start and at the end. */
function subscribedTopics({first, last}: Process): ReadonlySet<string> {
	const of = (snapshot: Snapshot): readonly string[] =>
		snapshot.topics.filter(({subscribed}) => subscribed).map(({name}) => name);
	const before = new Set(of(first));
	return new Set(of(last).filter(name => before.has(name)));
}

export function keyOf(message: MessageSnapshot): string {
	return `${streamOf(message)} ${message.seq}`;
}

function streamOf({origin, incarnation, topic}: MessageSnapshot): string {
	return `${origin} ${incarnation} ${topic}`;
}
