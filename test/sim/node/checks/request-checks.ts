/**
The messages that nodes request from each other. A reply may say that a stream is too early, up to some number, for the
subscription of the requester. Then the requester must continue after that number. A node that repeats the request does
not get the later messages, and wastes the work of its peers.
*/
import type {GossipPacket, Want} from '../../../../core/gossip/packet.ts';
import {streamKey, type NodeId, type StreamKey, type Topic} from '../../../../core/message.ts';
import type {Host} from '../host/host.ts';

/** One incarnation of a node. */
type Requester = {
	/** By peer and topic: the last request, until it is answered. */
	readonly requested: Map<string, readonly Want[]>;
	/** By stream: messages before `next` were reported as too early for a subscription that starts after `since`. */
	readonly tooEarly: Map<StreamKey, {readonly next: number; readonly since: number; repeats: number}>;
};

/** Repetitions allowed: a reply may arrive after its timeout, or be taken as the reply to a later request. */
const repeatsMax = 2;

export class RequestChecks {
	readonly #requesters = new Map<Host, Requester>();

	booted(host: Host): void {
		this.#requesters.set(host, {requested: new Map(), tooEarly: new Map()});
	}

	/** The node receives a packet. */
	received(host: Host, from: NodeId, packet: GossipPacket): void {
		if (packet.type !== 'served' && packet.type !== 'ihavenot') return;
		const {requested, tooEarly} = this.#requesters.get(host)!;
		const {topic} = packet;
		const wants = requested.get(keyOf(from, topic)) ?? [];
		if (packet.type === 'served' || packet.isEnd) requested.delete(keyOf(from, topic));
		// A node ignores what comes after the end of its subscription, and asks again under the next one (seed 55635).
		if (packet.type !== 'served' || !host.node?.data.isSubscribed(topic)) return;
		for (const [origin, incarnation, first, next] of packet.passed) {
			const want = wants.find(
				one => one.origin === origin && one.incarnation === incarnation && one.from === first,
			);
			if (!want) continue;
			const stream = streamKey({origin, incarnation, topic});
			const known = tooEarly.get(stream);
			if (known?.since !== want.sinceLamport || known.next < next)
				tooEarly.set(stream, {next, since: want.sinceLamport, repeats: 0});
		}
	}

	/** The node sends a packet. Returns the violation. */
	sent(host: Host, to: NodeId, packet: GossipPacket): string | undefined {
		if (packet.type !== 'iwant') return undefined;
		const {requested, tooEarly} = this.#requesters.get(host)!;
		const {topic, wants} = packet;
		requested.set(keyOf(to, topic), wants);
		for (const {origin, incarnation, from, sinceLamport} of wants) {
			const stream = streamKey({origin, incarnation, topic});
			const known = tooEarly.get(stream);
			if (known?.since === sinceLamport && from < known.next && ++known.repeats > repeatsMax)
				return `messages reported as too early are not requested again: ${host.id} requests ${stream} from ${from} again at ${to}, and had to continue at ${known.next}`;
		}

		return undefined;
	}
}

function keyOf(peer: NodeId, topic: Topic): string {
	return `${peer} ${topic}`;
}
