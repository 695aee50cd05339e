/**
Programs that read topics through the nodes of a simulated cluster. Each reads one topic, or all topics of the node:
from now, from the beginning, or from the offset where an earlier program stopped. They read slowly, so that they lag
after the end of the log and catch up. `offsets.ts` checks the messages that they receive. They have a random source of
their own and only read, so a run is the same with and without them.
*/
import {deliveriesOf} from '../../../core/data/delivery.ts';
import type {BatchSink, Reader} from '../../../core/data/reader.ts';
import type {DapssError} from '../../../core/errors.ts';
import {lastSeq, streamKey, type StoredBatch, type StreamKey, type Topic} from '../../../core/message.ts';
import type {Node} from '../../../core/node/node.ts';
import type {From} from '../../../core/position.ts';
import type {BatchReading} from '../../../core/remote/server.ts';
import type {TopicLog} from '../../../core/topic-log/topic-log.ts';
import type {OffsetReader, Offsets} from '../offsets.ts';
import {hash32, type SeededRandom} from '../random.ts';
import type {Host} from './host/host.ts';
import type {Observer} from './observer/observer.ts';

type Program = {
	readonly host: Host;
	readonly node: Node;
	readonly from: From;
	readonly seen: ReadonlyMap<Topic, OffsetReader>;
	reading: BatchReading | undefined;
	/** Messages that it still accepts before it is full. */
	room: number;
	isFull: boolean;
	/** Its reading has begun. */
	isOpen: boolean;
	/** Messages reported as gone whose topic is not known yet. The next message of the topic shows it. */
	unattributed: number;
	/**
	By stream: the last number.
	*/
	readonly last: Map<StreamKey, number>;
	/**
	The ends of the logs when its reading began. Later messages arrived while the node was subscribed for it.
	*/
	readonly ends: Map<Topic, number>;
	/** Messages between two of a stream that the program did not receive. */
	skipped: number;
	/** Messages reported to it as gone, with or without an offset. */
	reported: number;
};

/** A node reported that these messages are gone. */
type LossReport = {readonly program: Program; readonly topic: Topic; readonly to: number; age: number};

const programsMax = 12;
/** A program counts messages, not bytes. */
const roomBytes = 1024 * 1024;
/** Calls of `act` (some seconds) within which a log shows that it has dropped the messages reported to a reader. */
const reportAgeMax = 60;

export class Readers {
	readonly #observer: Observer;
	readonly #offsets: Offsets;
	readonly #random: SeededRandom;
	readonly #subscribes: boolean;
	#programs: Program[] = [];
	#lossReports: LossReport[] = [];
	opened = 0;
	/** Messages that retention deleted before they were read. */
	dropped = 0;
	/** Messages reported without an offset: they never reached the log. */
	missed = 0;

	/**
	@param subscribes whether a node is subscribed while a program reads; otherwise programs read the log as it is
	*/
	constructor(observer: Observer, random: SeededRandom, subscribes: boolean) {
		this.#subscribes = subscribes;
		this.#observer = observer;
		this.#offsets = observer.messages.offsets;
		this.#random = random;
	}

	/** Start a program, stop one, or let the full ones continue. */
	act(up: readonly Host[]): void {
		this.#removeEnded();
		this.#checkLossReports();
		const random = this.#random;
		const [what, which] = [random.below(6), random.below(1 << 16)];
		if (what === 0) this.#open(up.filter(({isPaused}) => !isPaused));
		else if (what === 1 && this.#programs.length > 0) this.#close(this.#programs[which % this.#programs.length]!);
		else if (what < 4) this.resumeFull();
	}

	/** Full programs accept more. */
	resumeFull(): void {
		for (const program of this.#programs) {
			if (!program.isFull || program.host.isPaused) continue;
			program.isFull = false;
			program.room = this.#random.pick([1, 10, 200]);
			program.reading?.resume();
		}
	}

	/**
	Up to which offset the topic was read through this node: by its slowest program; of a topic that no program reads,
	by anybody.
	*/
	readUpTo(host: Host, topic: Topic): number {
		const places = this.#programs
			.filter(program => program.host === host && program.isOpen && this.#isServed(program))
			.flatMap(({seen}) => seen.get(topic) ?? []);
		if (places.length > 0) return Math.min(...places.map(({next}) => next ?? Infinity));
		const isSent = (host.node?.control.state.subscribers(topic).size ?? 0) > 0; // To all subscribers.
		// Messages that arrived while the node was subscribed were shown in its feed.
		return isSent
			? Infinity
			: Math.max(this.#offsets.end({node: host.key, topic}), host.node?.data.topics.get(topic)?.readEnd ?? 0);
	}

	/** Programs that have not received all messages of their log. */
	lagging(): string[] {
		this.#removeEnded();
		this.resumeFull();
		return this.#programs.flatMap(({host, seen, from, unattributed}) =>
			[...seen].flatMap(([topic, {next}]) => {
				const log = this.#observer.topicLogs.logs.get(host)?.get(topic);
				const isEmpty =
					log &&
					(log.messages === 0 ||
						this.#observer.topicLogs.deletions.isHidden(
							log,
							this.#observer.messages.endingAt(host, topic, log.nextOffset),
						));
				const isThere =
					!log ||
					next === log.nextOffset ||
					(next === undefined && (from === 'now' || log.messages === 0)) ||
					(isEmpty && log.nextOffset - next! <= unattributed);
				return isThere
					? []
					: [`a reader at ${host.id} of ${topic} from ${from} is at ${next}, the log at ${log.nextOffset}`];
			}),
		);
	}

	#open(hosts: readonly Host[]): void {
		const random = this.#random;
		const host = hosts[random.below(Math.max(1, hosts.length))];
		const node = host?.node;
		const topics = [...(node?.data.topics.keys() ?? [])];
		if (!host || !node || node.phase !== 'running' || topics.length === 0 || this.#programs.length >= programsMax)
			return;
		const topic = random.pick(topics);
		const end = this.#offsets.end({node: host.key, topic});
		const from: From = random.pick(['now', 'beginning', end, random.below(end + 1)]);
		// An offset is one of a topic.
		const wanted = typeof from === 'string' && random.chance(1, 2) ? topics : [topic];
		const seen = new Map(
			wanted.map(one => [
				one,
				this.#offsets.reader({node: host.key, topic: one}, typeof from === 'number' ? from : undefined),
			]),
		);
		const program: Program = {
			host,
			node,
			from,
			seen,
			reading: undefined,
			room: random.pick([1, 10, 200]),
			isFull: false,
			isOpen: false,
			unattributed: 0,
			last: new Map(),
			ends: new Map(),
			skipped: 0,
			reported: 0,
		};
		this.#programs.push(program);
		this.opened++;
		const sink: BatchSink = {
			room: () => (program.isFull || !this.#isServed(program) ? 0 : roomBytes),
			take: items => this.#take(program, items),
			dropped: messages => {
				this.dropped += messages;
				program.unattributed += messages;
				program.reported += messages;
				// Of one topic it is known at once.
				if (wanted.length === 1) this.#attribute(program, topic, messages);
			},
			missed: messages => {
				this.missed += messages;
				program.reported += messages;
			},
			failed: error => {
				// A failed disk stops its node. Its readers get the error first.
				if (this.#isServed(program) && (error as Partial<DapssError>).code !== 'storage')
					this.#offsets.violations.record(
						`a log can be read: ${host.id} ${wanted.join(' ')} from ${from}: ${error.message}`,
					);
			},
		};
		program.reading = this.#subscribes ? node.readBatches(wanted, from, sink) : readLogs(node, wanted, from, sink);
		program.reading.agreed.then(
			() => {
				program.isOpen = true;
				for (const one of wanted) program.ends.set(one, this.#logOf(host, one)?.nextOffset ?? 0);
			},
			() => void (this.#programs = this.#programs.filter(other => other !== program)),
		);
	}

	/** Messages beyond its room stay in the log, also when they are a part of the given batches. */
	#take(program: Program, items: readonly StoredBatch[]): number {
		if (!this.#isServed(program)) return 0;
		const {from, seen} = program;
		let taken = 0;
		for (const item of items) {
			if (program.room <= 0) break;
			const wrong = this.#observer.topicLogs.deletions.given(
				program.host,
				this.#logOf(program.host, item.batch.topic),
				item.batch,
			);
			if (wrong !== undefined) this.#offsets.violations.record(wrong);
			taken++;
			this.#expectReported(program, item);
			const {topic} = item.batch;
			const one = seen.get(topic)!;
			const first = typeof from === 'number' ? Math.max(from, item.offset) : item.offset;
			if (one.next !== undefined && first > one.next) this.#attribute(program, topic, first - one.next);
			for (const {offset, origin, incarnation, seq, body} of deliveriesOf(item)) {
				if (offset < first) continue;
				one.take({offset, origin, incarnation, seq, digest: hash32(Buffer.from(body).toString('latin1'))});
				program.room--;
			}
		}

		program.isFull = program.room <= 0;
		return taken;
	}

	/**
	A program that reads through a subscribed node misses no message that arrives meanwhile without a report. This holds
	for messages that a deletion removed before they arrived, too. Those have no offset.
	*/
	#expectReported(program: Program, {batch, offset}: StoredBatch): void {
		const {host, ends, last} = program;
		const key = streamKey(batch);
		// Earlier messages of the log may be of an earlier subscription.
		if (offset < (ends.get(batch.topic) ?? Infinity)) return;
		const before = last.get(key);
		last.set(key, lastSeq(batch));
		if (before === undefined || !this.#subscribes || this.#observer.messages.hasDamagedLogs(host)) return;
		program.skipped += batch.firstSeq - before - 1;
		if (program.skipped > program.reported)
			this.#offsets.violations.record(
				`missed messages are reported to the reader: ${host.id} gives ${key} ${batch.firstSeq} after ${before}; ${program.skipped} were skipped, ${program.reported} reported`,
			);
	}

	/** This many messages of the topic are gone. As many must have been reported. */
	#attribute(program: Program, topic: Topic, messages: number): void {
		const seen = program.seen.get(topic)!;
		program.unattributed -= messages;
		if (program.unattributed < 0)
			this.#offsets.violations.record(
				`messages that are gone are reported: ${program.host.id} ${topic} continues ${messages} after ${seen.next}, and ${-program.unattributed} of these were not reported`,
			);
		seen.dropped(messages);
		this.#lossReports.push({program, topic, to: seen.next ?? 0, age: 0});
	}

	#close(program: Program): void {
		this.#programs = this.#programs.filter(other => other !== program);
		void program.reading?.close();
	}

	/** Only messages that retention or damage removed are gone. */
	#checkLossReports(): void {
		this.#lossReports = this.#lossReports.filter(report => {
			const {
				program: {host},
				topic,
				to,
			} = report;
			if (!this.#isServed(report.program) || this.#observer.messages.hasDamagedLogs(host)) return false;
			const log = this.#logOf(host, topic)!;
			const {firstOffset} = log;
			if (
				firstOffset >= to ||
				this.#observer.topicLogs.deletions.isHidden(log, this.#observer.messages.endingAt(host, topic, to))
			)
				return false;
			if (host.isPaused) report.age = 0;
			else if (++report.age > reportAgeMax)
				this.#offsets.violations.record(
					`only messages that are gone are reported as gone: ${host.id} ${topic} up to ${to}, the log begins at ${firstOffset}`,
				);
			return true;
		});
	}

	#logOf(host: Host, topic: Topic): TopicLog | undefined {
		return this.#observer.topicLogs.logs.get(host)?.get(topic);
	}

	/** A program ends with the process of its node. */
	#removeEnded(): void {
		this.#programs = this.#programs.filter(program => this.#isServed(program));
	}

	#isServed({host, node}: Program): boolean {
		return host.node === node && node.phase === 'running';
	}
}

/** Read what the node has of topics, whether it is subscribed or not. */
function readLogs({data}: Node, topics: readonly Topic[], from: From, sink: BatchSink): BatchReading {
	let isClosed = false;
	const opened = new Map<Topic, Reader>();
	return {
		agreed: Promise.all(
			topics.map(async topic => {
				const reader = await data.read(topic, from, sink);
				if (isClosed) return data.stopReading(topic, reader);
				opened.set(topic, reader);
				reader.resume();
			}),
		).then(() => undefined),
		resume() {
			for (const reader of opened.values()) reader.resume();
		},
		async close() {
			isClosed = true;
			for (const [topic, reader] of opened) data.stopReading(topic, reader);
		},
	};
}
