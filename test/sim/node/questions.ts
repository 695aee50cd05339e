/**
What nodes ask one another for. An answer may say that a stream is stamped too early to be wanted, up to some number: then it is for the
asker to go on behind that. One that asks for the same again and again does not get what comes behind, and keeps its peers at work.
*/
import {streamKey, type NodeId, type StreamKey, type Topic} from '../../../core/message.ts';
import type {GossipPacket, Want} from '../../../core/gossip/packet.ts';
import type {Host} from './host.ts';

type Asker = {
	/** By peer and topic: the last question, until it is answered. */
	readonly asked: Map<string, readonly Want[]>;
	/** What an answer said is too early for who wants what is later than `since`. */
	readonly told: Map<StreamKey, {readonly goesOn: number; readonly since: number; again: number}>;
};

/** An answer may be lost on one that has given up waiting for it, or takes it for that to another question. */
const againMax = 2;

export class Questions {
	/** Of each node in this life. */
	readonly #askers = new Map<Host, Asker>();
	/** The first violation: one that is found within a promise callback would be lost otherwise. */
	problem: Error | undefined;

	booted(host: Host): void {
		this.#askers.set(host, {asked: new Map(), told: new Map()});
	}

	/** A packet comes in. */
	came(host: Host, from: NodeId, packet: GossipPacket): void {
		if (packet.type !== 'served' && (packet.type !== 'ihavenot' || !packet.isEnd)) return;
		const {asked, told} = this.#askers.get(host)!;
		const {topic} = packet;
		const wants = asked.get(keyOf(from, topic)) ?? [];
		asked.delete(keyOf(from, topic));
		if (packet.type !== 'served') return;
		for (const [origin, incarnation, first, then] of packet.passed) {
			const want = wants.find(one => one.origin === origin && one.incarnation === incarnation && one.from === first);
			const stream = streamKey({origin, incarnation, topic});
			const known = told.get(stream);
			if (want && !(known?.since === want.sinceLamport && known.goesOn >= then)) told.set(stream, {goesOn: then, since: want.sinceLamport, again: 0});
		}
	}

	/** A packet goes out. */
	went(host: Host, to: NodeId, packet: GossipPacket): void {
		if (packet.type !== 'iwant') return;
		const {asked, told} = this.#askers.get(host)!;
		asked.set(keyOf(to, packet.topic), packet.wants);
		for (const {origin, incarnation, from, sinceLamport} of packet.wants) {
			const known = told.get(streamKey({origin, incarnation, topic: packet.topic}));
			if (known?.since !== sinceLamport || from >= known.goesOn) continue;
			known.again++;
			if (known.again > againMax) {
				this.problem ??= new Error(`what is not wanted is not asked for again and again: ${host.id} asks ${to} for ${origin}:${incarnation}:${packet.topic} from ${from}, was told to go on from ${known.goesOn}`);
				throw this.problem;
			}
		}
	}
}

function keyOf(peer: NodeId, topic: Topic): string {
	return `${peer} ${topic}`;
}
