/**
A member that lies. Its program is the real one; at the seam to the network, what it sends is changed, and more is sent
in its name. The receivers know who sent a packet, because links are authenticated.

`votes` and `entries` break the assumptions of Raft: no check of safety can hold with them. All other lies leave the
agreed state of the honest nodes equal.
*/
import {encodeEnvelope} from '../../../../core/cluster-state/command.ts';
import {decode, encode} from '../../../../core/codec.ts';
import {lamportMax} from '../../../../core/lamport.ts';
import {encodeBatch, type NodeId, type Topic} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Datagrams, Links} from '../../../../core/ports.ts';
import {decodeRelay, encodeProvenRelayHead, encodeRelayHead, signedPartOf} from '../../../../core/wire/relay-frame.ts';
import {
	decodeControl,
	encodeControl,
	encodePushHead,
	kinds,
	pushHeaderBytes,
	type ControlKind,
} from '../../../../core/wire/wire.ts';
import type {SeededRandom} from '../../random.ts';
import {forgedStampFrame} from '../forged-stamps.ts';
import {simSigner} from '../host/signer.ts';

export const lieKinds = [
	/** Terms far ahead, in all packets but appends. */
	'terms',
	/** Leadership that no voter granted. */
	'leads',
	/** Votes for every candidate, acknowledgements of entries that are not stored. */
	'votes',
	/** Entries that are no commands. */
	'entries',
	/** Snapshots that hold no state of the cluster. */
	'snapshots',
	/** Lamport times far ahead, in messages, commands and answers. */
	'lamport',
	/** Watermarks, digests and answers of gossip that are not true. */
	'digests',
	/** Streams of origins that do not exist. */
	'streams',
	/** Batches in the name of other members, and changed batches of them. */
	'forges',
	/** Incarnations far ahead, members that are called dead or left, rows of other members. */
	'incarnations',
	/** Answers to reads that were not asked of this node. */
	'reads',
	/** Relayed frames in the name of other members, changed ones and recorded ones. */
	'relays',
	/** Frames of every kind with random bytes. */
	'garbage',
] as const;
export type Lie = (typeof lieKinds)[number];

type Raw = Record<string, unknown>;

/** Where the Lamport time is in a batch (`core/message.ts`). */
const lamportAt = 20;
const streamsOfPacket = 300;
const recordedMax = 100;

export type LiarOptions = {
	readonly random: SeededRandom;
	readonly topic: Topic;
	/** The members besides the liar. */
	readonly others: () => readonly NodeId[];
};

export class Liar {
	/** What it lies about now. */
	lies: ReadonlySet<Lie> = new Set();
	node: Node | undefined;
	/** Packets that were changed or made up, by lie. */
	readonly counts = new Map<Lie, number>();
	readonly #options: LiarOptions;
	/** Relayed frames of others that it has carried. */
	readonly #recorded: Buffer[] = [];
	#serial = 0;

	constructor(options: LiarOptions) {
		this.#options = options;
	}

	/** The ports of its node. */
	wrap({links, datagrams}: {readonly links: Links; readonly datagrams: Datagrams}): {
		readonly links: Links;
		readonly datagrams: Datagrams;
	} {
		return {
			links: {
				...links,
				send: (to, pieces) => {
					if (this.lies.size === 0) return links.send(to, pieces);
					for (const frame of this.#madeUp(to)) links.send(to, [frame]);
					return links.send(to, [this.#changed(Buffer.concat(pieces))]);
				},
			},
			datagrams: {
				...datagrams,
				send: (address, bytes, to) =>
					datagrams.send(address, this.lies.size === 0 ? bytes : this.#changed(Buffer.from(bytes)), to),
			},
		};
	}

	#does(lie: Lie, [of, times]: readonly [number, number]): boolean {
		if (!this.lies.has(lie) || !this.#options.random.chance(of, times)) return false;
		this.counts.set(lie, (this.counts.get(lie) ?? 0) + 1);
		return true;
	}

	// What its node sends.

	#changed(frame: Buffer): Buffer {
		const relayed = decodeRelay(frame);
		if (relayed && relayed.from !== this.node?.id) return this.#carried(frame);
		switch (frame[0]) {
			case kinds.raft:
				return this.#rewritten(frame, 'raft', packet => this.#changeRaft(packet));
			case kinds.gossip:
				return this.#rewritten(frame, 'gossip', packet => this.#changeGossip(packet));
			case kinds.swim:
				return this.#rewritten(frame, 'swim', packet => this.#changeSwim(packet));
			case kinds.managed:
				return this.#rewritten(frame, 'managed', packet => {
					if (typeof packet['lamport'] === 'number' && this.#does('lamport', [1, 2]))
						packet['lamport'] = this.#stamp();
				});
			case kinds.push: {
				if (frame.toString('hex', pushHeaderBytes + 2, pushHeaderBytes + 10) !== this.node?.id) {
					// A byte of the last body, or of the proof.
					if (this.#does('forges', [1, 2])) frame[frame.length - 1 - this.#options.random.below(140)]! ^= 1;
					return frame;
				}

				if (this.#does('lamport', [1, 4])) frame.writeUIntBE(this.#stamp(), pushHeaderBytes + lamportAt, 6);
				return frame;
			}

			default:
				return frame;
		}
	}

	/** A frame of another member, as it passes it on. */
	#carried(frame: Buffer): Buffer {
		if (this.#recorded.length < recordedMax) this.#recorded.push(Buffer.from(frame));
		if (!this.#does('relays', [1, 4])) return frame;
		const changed = Buffer.from(frame);
		changed[this.#options.random.below(frame.length)]! ^= 1 << this.#options.random.below(8);
		return changed;
	}

	#rewritten(frame: Buffer, kind: ControlKind, change: (packet: Raw) => void): Buffer {
		const packet = Object(decodeControl(frame)) as Raw;
		change(packet);
		return encodeControl(kind, packet);
	}

	#changeRaft(packet: Raw): void {
		const {type} = packet;
		const isOfLeader = type === 'append' || type === 'snapshot';
		if (!isOfLeader && this.#does('terms', [1, 4])) packet['term'] = this.#term(Number(packet['term']));
		if (type === 'vote-reply' && this.#does('votes', [1, 1])) packet['granted'] = true;
		if (type === 'append-reply' && this.#does('votes', [1, 2])) {
			packet['ok'] = true;
			packet['index'] = Number(packet['index']) + this.#options.random.below(3);
		}

		if (type === 'heartbeat-reply' && this.#does('votes', [1, 2])) packet['round'] = Number(packet['round']) + 5;
		if (type === 'append' && (packet['entries'] as Raw[]).length > 0 && this.#does('entries', [1, 1]))
			for (const entry of packet['entries'] as Raw[])
				if (entry['kind'] === 'command') entry['data'] = this.#bytes(40);
		if (type === 'snapshot' && this.#does('snapshots', [1, 1]))
			packet['data'] = this.#bytes((packet['data'] as Buffer).length);
	}

	#changeGossip(packet: Raw): void {
		const {random} = this.#options;
		if (!this.#does('digests', [1, 2])) return;
		const falsify = (watermark: unknown[]): void => {
			watermark[3] = Number(watermark[3]) + this.#far();
			watermark[4] = random.pick([0, 1, lamportMax, Number(watermark[4])]);
		};

		switch (packet['type']) {
			case 'ihave':
			case 'watermarks':
				for (const [, streams] of packet['topics'] as Array<[unknown, unknown[][]]>)
					for (const watermark of streams) falsify(watermark);
				break;
			case 'told': {
				for (const watermark of packet['streams'] as unknown[][]) falsify(watermark);
				packet['incarnation'] = random.pick([0, 2 ** 32 - 1]);
				break;
			}

			case 'digest': {
				for (const topic of packet['topics'] as unknown[][]) topic[1] = random.below(2 ** 32);
				break;
			}

			case 'served':
			case 'ihavenot': {
				for (const range of (packet['passed'] ?? packet['gaps']) as unknown[][])
					range[3] = random.pick([0, Number(range[2]) + 1, Number(range[2]) + this.#far()]);
				break;
			}

			default:
		}
	}

	#changeSwim(packet: Raw): void {
		if (!this.#does('incarnations', [1, 2])) return;
		const {random, others} = this.#options;
		const own = this.node!.id;
		if (random.chance(1, 4)) packet['incarnation'] = this.#incarnation();
		packet['updates'] = Array.from({length: random.below(6)}, () => [
			random.pick([...others(), own]),
			random.pick(['alive', 'suspect', 'dead', 'refused', 'left']),
			this.#incarnation(),
			random.pick([...others(), own]),
		]);
		for (const row of packet['rows'] as unknown[][]) {
			if (random.chance(1, 2)) row[1] = this.#incarnation();
			if (random.chance(1, 2)) row[2] = random.pick([2 ** 32 - 1, random.below(2 ** 32)]);
			if (random.chance(1, 2)) row[4] = Uint8Array.of(random.below(256));
		}
	}

	// What nobody asked of it.

	*#madeUp(to: NodeId): Generator<Buffer> {
		const {node} = this;
		const {random, topic, others} = this.#options;
		if (!node) return;
		const {term} = node.control.raft;
		const raft = (packet: Raw): Buffer => encodeControl('raft', {group: 0, term, ...packet});
		if (this.#does('terms', [1, 30]))
			yield raft({
				term: this.#term(term),
				...random.pick<Raw>([
					{type: 'append-reply', ok: false, index: 0, hintTerm: 0, rejected: 0},
					{type: 'vote', lastIndex: 2 ** 40, lastTerm: 2 ** 40, isTransfer: true},
					{type: 'vote-reply', granted: false},
					{type: 'heartbeat-reply', round: 1},
				]),
			});
		if (this.#does('leads', [1, 30]))
			yield raft({
				term: term + random.pick([0, 1, 1, 1000]),
				...random.pick<Raw>([
					{type: 'heartbeat', commit: 2 ** 40, round: 1},
					{type: 'append', prevIndex: 2 ** 40, prevTerm: 1, commit: 2 ** 40, entries: []},
					{type: 'timeout-now'},
				]),
			});
		if (this.#does('votes', [1, 30])) {
			yield raft({type: 'vote-reply', granted: true});
			yield raft({type: 'pre-vote-reply', granted: true, term: term + 1});
		}

		if (this.#does('snapshots', [1, 30])) yield raft({term: term + random.pick([0, 1]), ...this.#snapshot(node)});
		if (this.#does('lamport', [1, 30])) {
			yield forgedStampFrame(node, topic);
			const command = random.pick([
				{type: 'delete', topic, node: node.id, until: lamportMax, force: true} as const,
				{type: 'subscribe', topic, node: node.id, since: lamportMax} as const,
			]);
			const seq = 1_000_000 + this.#serial++;
			const {incarnation} = node.options;
			const lamport = random.pick([1, lamportMax]);
			yield raft({
				type: 'propose',
				data: encodeEnvelope({node: node.id, incarnation, seq, answeredBelow: 0, lamport, command}),
			});
		}

		if (this.#does('streams', [1, 60]))
			yield encodeControl('gossip', {
				type: 'ihave',
				topics: [
					[
						topic,
						Array.from({length: random.pick([1, streamsOfPacket])}, () => {
							const high = random.pick([1, this.#far()]);
							return [
								this.#id(),
								random.pick([1, 2 ** 32 - 1]),
								1,
								high,
								random.pick([0, 10, lamportMax]),
							];
						}),
					],
				],
			});
		if (this.#does('streams', [1, 60]))
			yield encodeControl('gossip', {
				type: 'ihave',
				topics: [
					[
						topic,
						Array.from({length: 100}, () => [
							random.pick(others()),
							random.below(2 ** 32),
							1,
							this.#far(),
							random.pick([0, lamportMax]),
						]),
					],
				],
			});
		if (this.#does('forges', [1, 15])) yield this.#forgery(node);
		if (this.#does('reads', [1, 20]))
			yield raft({
				type: 'read-reply',
				context: `${to}:${1 + random.below(3)}:${1 + random.below(200)}`,
				index: random.pick([0, 2 ** 47]),
			});
		if (this.#does('relays', [1, 10])) yield* this.#relayed(node, to);
		if (this.#does('garbage', [1, 10]))
			yield Buffer.concat([Buffer.of(random.pick(Object.values(kinds))), this.#bytes(random.below(100))]);
	}

	/** Frames that it says to have got from another member. */
	*#relayed(node: Node, to: NodeId): Generator<Buffer> {
		const {random, topic, others} = this.#options;
		yield* random.shuffle(this.#recorded.filter(frame => decodeRelay(frame)?.to === to)).slice(0, 1);
		const candidates = others().filter(id => id !== to);
		if (candidates.length === 0) return;
		const {term, leader, commit, lastIndex} = node.control.raft.status();
		const from = leader !== undefined && candidates.includes(leader) ? leader : random.pick(candidates);
		const command = {type: 'unsubscribe', topic, node: to} as const;
		const data = encodeEnvelope({
			node: to,
			incarnation: random.below(100),
			seq: 1_000_000 + this.#serial++,
			answeredBelow: 0,
			lamport: 1,
			command,
		});
		const index = random.pick([commit, lastIndex]);
		const inner = encodeControl('raft', {
			group: 0,
			term,
			...random.pick<Raw>([
				{
					type: 'append',
					prevIndex: index,
					prevTerm: term,
					commit: index + 1,
					entries: [{term, index: index + 1, kind: 'command', data}],
				},
				{type: 'append-reply', ok: true, index: lastIndex + 1, hintTerm: term, rejected: 0},
				{type: 'vote-reply', granted: true},
				{type: 'timeout-now'},
				{type: 'heartbeat', commit: 2 ** 40, round: 1},
			]),
		});
		const origin = {from, to, incarnation: 1 + random.below(50), counter: 1 + random.below(2 ** 31)};
		const own = simSigner(node.id);
		yield random.pick([
			Buffer.concat([encodeRelayHead(from, to), inner]),
			Buffer.concat([
				encodeProvenRelayHead({
					...origin,
					publicKey: random.pick([own, simSigner(from)]).publicKey,
					signature: own.sign(signedPartOf(origin, inner)),
				}),
				inner,
			]),
		]);
	}

	/** A batch that would be the next of another member, with a proof that the liar can make. */
	#forgery(node: Node): Buffer {
		const {random, topic, others} = this.#options;
		const {
			control: {state},
			options: {
				lamport: {now},
				io: {proofs},
			},
		} = node;
		const origin = random.pick(others());
		const kind = random.pick(['none', 'mac', 'own signature', 'random signature']);
		const bytes = encodeBatch(
			{
				origin,
				incarnation: (state.instance(origin)?.incarnation ?? 0) + random.pick([0, 0, 1]),
				topic,
				firstSeq: random.pick([1, 1 + random.below(200)]),
				lamport: now + 1,
				previousLamport: 0,
				sentAtMs: 0,
			},
			[Buffer.from('forged')],
			kind === 'none' || kind === 'mac' ? kind : {index: 0, size: 1},
		);
		if (kind === 'mac') proofs.addMac(bytes);
		if (kind === 'own signature') proofs.sign([bytes]);
		if (kind === 'random signature') {
			Buffer.from(simSigner(origin).publicKey).copy(bytes, bytes.length - 100);
			this.#bytes(64).copy(bytes, bytes.length - 68);
		}

		return Buffer.concat([encodePushHead({hops: 1, complete: true, repair: random.chance(1, 2)}), bytes]);
	}

	/** A snapshot that no node can restore: it is of another index, cluster or time, or no state at all. */
	#snapshot(node: Node): Raw {
		const {random} = this.#options;
		const {commit, configuration, term} = node.control.raft.status();
		const index = commit + random.pick([1, 1000, 2 ** 46]);
		const state = {...(decode(node.control.state.save()) as Raw), applied: index};
		const data = random.pick<() => Uint8Array>([
			() => this.#bytes(100),
			() => new Uint8Array(0),
			() => encode({...state, version: 99}),
			() => encode({...state, applied: index + 1}),
			() => encode({...state, clusterId: 'another'}),
			() => encode({...state, members: []}),
			() => encode({...state, sessions: 7}),
			() => encode({...state, topics: [['t', [[node.id, lamportMax]]]]}),
		])();
		return {type: 'snapshot', index, snapshotTerm: term, configuration, offset: 0, size: data.length, data};
	}

	#term(term: number): number {
		return this.#options.random.pick([term + 1, term + 1000, term + 2 ** 30, term + 2 ** 44, 2 ** 48 - 1]);
	}

	/** Too far for any node to accept. */
	#stamp(): number {
		return this.#options.random.pick([2 ** 41, 2 ** 47, lamportMax]);
	}

	#incarnation(): number {
		return this.#options.random.pick([1, 100, 2 ** 20, 2 ** 28, 2 ** 31, 2 ** 32 - 1]);
	}

	#far(): number {
		return this.#options.random.pick([1, 1000, 2 ** 40]);
	}

	#id(): string {
		return this.#bytes(8).toString('hex');
	}

	#bytes(count: number): Buffer {
		return Buffer.from(Array.from({length: count}, () => this.#options.random.below(256)));
	}
}
