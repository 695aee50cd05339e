/**
Programs that read topics through the nodes of a simulated cluster, one topic each or all that the node has: from now,
from the beginning, or from the offset where an earlier one stopped; slowly, so that they fall behind the log and catch
up; over restarts. What they get is judged by `offsets.ts`. They draw from a chance of their own and do nothing but
read, so that a run is the same with and without them.
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
import type {Host} from './host.ts';
import type {Witness} from './witness.ts';

type Program = {
	readonly host: Host;
	readonly node: Node;
	readonly from: From;
	readonly seen: ReadonlyMap<Topic, OffsetReader>;
	reading: BatchReading | undefined;
	/** Messages that it takes before it has enough for now. */
	room: number;
	isFull: boolean;
	/** It has a place in the logs. */
	isOpen: boolean;
	/** Told as gone, of which topic is not known yet: the next message of the topic shows it. */
	untold: number;
	/**
	The last number of each stream; messages that it was not given between two of a stream; and what it was told in all,
	with or without an offset.
	*/
	readonly last: Map<StreamKey, number>;
	/**
	Where the logs ended when it had its place in them: what comes behind came while the node was subscribed for it.
	*/
	readonly ends: Map<Topic, number>;
	passedOver: number;
	told: number;
};

/** A node said that these messages are gone. */
type Claim = {readonly program: Program; readonly topic: Topic; readonly to: number; age: number};

const programsMax = 12;
/** A program counts messages, not bytes. */
const roomBytes = 1024 * 1024;
/** Calls of `act` (some seconds) within which a log shows that it has dropped what a reader was told of. */
const claimAgeMax = 60;

export class Readers {
	readonly #witness: Witness;
	readonly #offsets: Offsets;
	readonly #random: SeededRandom;
	readonly #subscribes: boolean;
	#programs: Program[] = [];
	#claims: Claim[] = [];
	opened = 0;
	/** Gone by retention before they were read. */
	dropped = 0;
	/** Told without an offset: they never came to the log. */
	missed = 0;

	/** @param subscribes whether a node is subscribed while somebody reads; else only what it has anyway is read. */
	constructor(witness: Witness, random: SeededRandom, subscribes: boolean) {
		this.#subscribes = subscribes;
		this.#witness = witness;
		this.#offsets = witness.messages.offsets;
		this.#random = random;
	}

	/** One begins, one stops, or those that had enough go on. */
	act(up: readonly Host[]): void {
		this.#forget();
		this.#judgeClaims();
		const random = this.#random;
		const [what, which] = [random.below(6), random.below(1 << 16)];
		if (what === 0) this.#open(up.filter(({isPaused}) => !isPaused));
		else if (what === 1 && this.#programs.length > 0) this.#close(this.#programs[which % this.#programs.length]!);
		else if (what < 4) this.goOn();
	}

	/** Those that had enough take more. */
	goOn(): void {
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
			.filter(program => program.host === host && program.isOpen && this.#isOn(program))
			.flatMap(({seen}) => seen.get(topic) ?? []);
		if (places.length > 0) return Math.min(...places.map(({next}) => next ?? Infinity));
		const isSent = (host.node?.control.state.subscribers(topic).size ?? 0) > 0; // To all who subscribe.
		// What came while the node was subscribed, its feed has shown.
		return isSent
			? Infinity
			: Math.max(this.#offsets.end({node: host.key, topic}), host.node?.data.topics.get(topic)?.readEnd ?? 0);
	}

	/** Who has not got what its log has. */
	behind(): string[] {
		this.#forget();
		this.goOn();
		return this.#programs.flatMap(({host, seen, from, untold}) =>
			[...seen].flatMap(([topic, {next}]) => {
				const log = this.#witness.logs.get(host)?.get(topic);
				const isEmpty =
					log &&
					(log.messages === 0 ||
						this.#witness.deletions.isHidden(
							log,
							this.#witness.messages.endingAt(host, topic, log.nextOffset),
						));
				const isThere =
					!log ||
					next === log.nextOffset ||
					(next === undefined && (from === 'now' || log.messages === 0)) ||
					(isEmpty && log.nextOffset - next! <= untold);
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
			untold: 0,
			last: new Map(),
			ends: new Map(),
			passedOver: 0,
			told: 0,
		};
		this.#programs.push(program);
		this.opened++;
		const sink: BatchSink = {
			room: () => (program.isFull || !this.#isOn(program) ? 0 : roomBytes),
			take: items => this.#take(program, items),
			dropped: messages => {
				this.dropped += messages;
				program.untold += messages;
				program.told += messages;
				// Of one topic it is known at once.
				if (wanted.length === 1) this.#attribute(program, topic, messages);
			},
			missed: messages => {
				this.missed += messages;
				program.told += messages;
			},
			failed: error => {
				// A disk that fails takes its node down; whoever reads then hears of it first.
				if (this.#isOn(program) && (error as Partial<DapssError>).code !== 'storage')
					this.#offsets.problem ??= new Error(
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

	/** What it has no room for is left to the log, in the middle of what it is handed too. */
	#take(program: Program, items: readonly StoredBatch[]): number {
		if (!this.#isOn(program)) return 0;
		const {from, seen} = program;
		let taken = 0;
		for (const item of items) {
			if (program.room <= 0) break;
			const wrong = this.#witness.deletions.given(
				program.host,
				this.#logOf(program.host, item.batch.topic),
				item.batch,
			);
			if (wrong !== undefined) this.#offsets.problem ??= new Error(wrong);
			taken++;
			this.#expectTold(program, item);
			const {topic} = item.batch;
			const one = seen.get(topic)!;
			const first = typeof from === 'number' ? Math.max(from, item.offset) : item.offset;
			if (one.next !== undefined && first > one.next) this.#attribute(program, topic, first - one.next);
			for (const {offset, origin, incarnation, seq, body} of deliveriesOf(
				item,
				typeof from === 'number' ? from : 0,
			)) {
				one.take({offset, origin, incarnation, seq, digest: hash32(Buffer.from(body).toString('latin1'))});
				program.room--;
			}
		}

		program.isFull = program.room <= 0;
		return taken;
	}

	/**
	Who reads through a node that is subscribed for it misses nothing that comes meanwhile and that it was not told of:
	also what a deletion of the topic took before it came here, for which no offset stands.

	*/
	#expectTold(program: Program, {batch, offset}: StoredBatch): void {
		const {host, ends, last} = program;
		const key = streamKey(batch);
		// What was in the log before may be of an earlier subscription.
		if (offset < (ends.get(batch.topic) ?? Infinity)) return;
		const before = last.get(key);
		last.set(key, lastSeq(batch));
		if (before === undefined || !this.#subscribes || this.#witness.messages.isSpoilt(host)) return;
		program.passedOver += batch.firstSeq - before - 1;
		if (program.passedOver > program.told)
			this.#offsets.problem ??= new Error(
				`what a reader misses is told: ${host.id} gives ${key} ${batch.firstSeq} behind ${before}; ${program.passedOver} were passed over, ${program.told} told`,
			);
	}

	/** So many messages of the topic are gone: as many must have been told. */
	#attribute(program: Program, topic: Topic, messages: number): void {
		const seen = program.seen.get(topic)!;
		program.untold -= messages;
		if (program.untold < 0)
			this.#offsets.problem ??= new Error(
				`what is gone is told: ${program.host.id} ${topic} goes on ${messages} behind ${seen.next}, and ${-program.untold} of these were not told`,
			);
		seen.dropped(messages);
		this.#claims.push({program, topic, to: seen.next ?? 0, age: 0});
	}

	#close(program: Program): void {
		this.#programs = this.#programs.filter(other => other !== program);
		void program.reading?.close();
	}

	/** Only what retention or damage took is gone. */
	#judgeClaims(): void {
		this.#claims = this.#claims.filter(claim => {
			const {
				program: {host},
				topic,
				to,
			} = claim;
			if (!this.#isOn(claim.program) || this.#witness.messages.isSpoilt(host)) return false;
			const log = this.#logOf(host, topic)!;
			const {firstOffset} = log;
			if (
				firstOffset >= to ||
				this.#witness.deletions.isHidden(log, this.#witness.messages.endingAt(host, topic, to))
			)
				return false;
			if (host.isPaused) claim.age = 0;
			else if (++claim.age > claimAgeMax)
				this.#offsets.problem ??= new Error(
					`only what is gone is told as gone: ${host.id} ${topic} up to ${to}, the log begins at ${firstOffset}`,
				);
			return true;
		});
	}

	#logOf(host: Host, topic: Topic): TopicLog | undefined {
		return this.#witness.logs.get(host)?.get(topic);
	}

	/** A program ends with the process of its node. */
	#forget(): void {
		this.#programs = this.#programs.filter(program => this.#isOn(program));
	}

	#isOn({host, node}: Program): boolean {
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
