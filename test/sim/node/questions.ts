/**
What nodes ask one another for. An answer may say that a stream is stamped too early to be wanted, up to some number:
then it is for the asker to go on behind that. One that asks for the same again and again does not get what lies behind,
and keeps its peers at work.
*/
import type {GossipPacket, Want} from '../../../core/gossip/packet.ts';
import {streamKey, type NodeId, type StreamKey, type Topic} from '../../../core/message.ts';
import type {Host} from './host.ts';

/** Of one life of a node. */
type Asker = {
	/** By peer and topic: the last question, until it is answered. */
	readonly asked: Map<string, readonly Want[]>;
	/** What comes before `next` was said to be too early for one that wants what is later than `since`. */
	readonly told: Map<StreamKey, {readonly next: number; readonly since: number; again: number}>;
};

/** An answer may come too late, when it is waited for no more or taken for that to a later question. */
const againMax = 2;

export class Questions {
	readonly #askers = new Map<Host, Asker>();

	booted(host: Host): void {
		this.#askers.set(host, {asked: new Map(), told: new Map()});
	}

	/** A packet comes in. */
	came(host: Host, from: NodeId, packet: GossipPacket): void {
		if (packet.type !== 'served' && packet.type !== 'ihavenot') return;
		const {asked, told} = this.#askers.get(host)!;
		const {topic} = packet;
		const wants = asked.get(keyOf(from, topic)) ?? [];
		if (packet.type === 'served' || packet.isEnd) asked.delete(keyOf(from, topic));
		if (packet.type !== 'served') return;
		for (const [origin, incarnation, first, next] of packet.passed) {
			const want = wants.find(
				one => one.origin === origin && one.incarnation === incarnation && one.from === first,
			);
			if (!want) continue;
			const stream = streamKey({origin, incarnation, topic});
			const known = told.get(stream);
			if (known?.since !== want.sinceLamport || known.next < next)
				told.set(stream, {next, since: want.sinceLamport, again: 0});
		}
	}

	/** A packet goes out. What is wrong with it, if anything. */
	went(host: Host, to: NodeId, packet: GossipPacket): string | undefined {
		if (packet.type !== 'iwant') return undefined;
		const {asked, told} = this.#askers.get(host)!;
		const {topic, wants} = packet;
		asked.set(keyOf(to, topic), wants);
		for (const {origin, incarnation, from, sinceLamport} of wants) {
			const stream = streamKey({origin, incarnation, topic});
			const known = told.get(stream);
			if (known?.since === sinceLamport && from < known.next && ++known.again > againMax)
				return `${host.id} asks ${to} for ${stream} from ${from} again, was told to go on at ${known.next}`;
		}

		return undefined;
	}
}

function keyOf(peer: NodeId, topic: Topic): string {
	return `${peer} ${topic}`;
}
