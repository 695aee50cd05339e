/**
The cost of gossip: a cluster of gossip machines in virtual time, all subscribed to one topic. The cluster first settles
on its number of copies; then the idle cost is measured; then messages are published. Everything that is sent until the
cluster is quiet again, minus the idle cost, is the cost of the messages. Every release is checked: once, in order,
without a gap.
*/
import {defaults} from '../../core/config.ts';
import {createGossip, type Gossip, type GossipPacket, type GossipReady} from '../../core/gossip/gossip.ts';
import {parseGossipPacket} from '../../core/gossip/packet.ts';
import {decodeBatch, encodeBatch, lastSeq, type Batch, type NodeId, type Topic} from '../../core/message.ts';
import {lengthBytes} from '../../core/wire/frame.ts';
import {decodeControl, encodeControl, pushHeaderBytes} from '../../core/wire/wire.ts';
import {createRandom, type SeededRandom} from '../../test/sim/random.ts';
import {Schedule} from '../../test/sim/schedule.ts';
import {idsOf, type Count} from './measure.ts';
import {Wire} from './wire.ts';

export type GossipSetting = {
	readonly seed: number;
	readonly nodes: number;
	/** Frames lost, percent. */
	readonly loss: number;
	/** Messages that are published and measured, after as many to warm up. */
	readonly messages: number;
	readonly publishers: number;
	readonly perSecond: number;
};

export type GossipFigures = {
	readonly fanout: number;
	/** Per node and published message; of these the pushes. */
	readonly packets: number;
	readonly bytes: number;
	readonly pushes: number;
	readonly pushBytes: number;
	/** Sent by a node per second without messages. */
	readonly idlePackets: number;
	readonly idleBytes: number;
	/** Share of received pushes that were duplicates; share of messages that arrived without a push. */
	readonly duplicates: number;
	readonly pulled: number;
	readonly hopsMean: number;
	readonly hopsMax: number;
	/** Time from the publication to 99 % and to all of the nodes: the mean over the messages, and the slowest. */
	readonly to99Ms: number;
	readonly to99MsMax: number;
	readonly to100Ms: number;
	readonly to100MsMax: number;
	/** Messages that some node did not receive. */
	readonly undelivered: number;
	/** Number of nodes that a node sent to: average and maximum. */
	readonly peersMean: number;
	readonly peersMax: number;
	/** Maximum number of streams of a node. */
	readonly streams: number;
};

const tickMs = 25;
const topic = 'news' as Topic;
const bodyBytes = 128;
const warmUpMessages = 750;
const settleMs = 4000;
const idleMs = 8000;
/** A lost message may be requested several times. */
const lastMs = 20_000;

type SimNode = {
	readonly id: NodeId;
	readonly gossip: Gossip;
	readonly peers: Set<number>;
	readonly last: Map<NodeId, number>;
	lamport: number;
	seq: number;
	previousLamport: number;
};
type Message = {readonly atMs: number; readonly atNodeMs: number[]};

export function measureGossip(setting: GossipSetting): GossipFigures {
	return new GossipScale(setting).run();
}

class GossipScale {
	readonly #setting: GossipSetting;
	readonly #schedule = new Schedule();
	readonly #random: SeededRandom;
	readonly #ids: readonly NodeId[];
	readonly #indexOf: ReadonlyMap<NodeId, number>;
	readonly #nodes: readonly SimNode[];
	readonly #wire: Wire<GossipPacket>;
	/**
	All published messages by origin. A log holds a prefix of them, without the messages that the machine knows to be
	missing.
	*/
	readonly #logs = new Map<NodeId, Batch[]>();
	readonly #messages = new Map<Batch, Message>();
	#sent: Count = {packets: 0, bytes: 0};
	#pushed: Count = {packets: 0, bytes: 0};
	#received = 0;
	#pushedFirst = 0;
	#pulledFirst = 0;
	#hops = 0;
	#hopsMax = 0;

	constructor(setting: GossipSetting) {
		this.#setting = setting;
		this.#random = createRandom(`${setting.seed}/gossip/${setting.nodes}`);
		this.#ids = idsOf(setting.nodes, this.#random);
		this.#indexOf = new Map(this.#ids.map((id, index) => [id, index]));
		this.#nodes = this.#ids.map((id, index) => ({
			id,
			peers: new Set(),
			last: new Map(),
			lamport: 0,
			seq: 1,
			previousLamport: 0,
			gossip: createGossip({
				self: id,
				incarnation: 1,
				random: this.#random.child(index),
				config: defaults.gossip,
				tickMs,
			}),
		}));
		this.#wire = new Wire({
			schedule: this.#schedule,
			random: this.#random.child('wire'),
			loss: setting.loss,
			delayMs: [1, 5],
			isOrdered: true,
			deliver: (from, to, packet) => this.#deliver(from, to, packet),
		});
	}

	run(): GossipFigures {
		const {nodes, messages} = this.#setting;
		const subscriptions = new Map([[topic, {subscribers: this.#ids, since: 0}]]);
		for (const [index, {gossip}] of this.#nodes.entries()) {
			gossip.setSubscriptions(subscriptions);
			gossip.setReachable(this.#ids);
			const tick = (): void => {
				this.#schedule.after(tickMs, tick);
				gossip.tick();
				this.#pump(index);
			};

			this.#schedule.after(this.#random.between(1, tickMs), tick);
		}

		this.#schedule.run(settleMs);
		this.#publishAll(warmUpMessages);
		this.#schedule.run(settleMs);
		this.#finish();
		this.#reset();
		this.#schedule.run(idleMs);
		const idle = {
			packets: (this.#sent.packets / nodes / idleMs) * 1000,
			bytes: (this.#sent.bytes / nodes / idleMs) * 1000,
		};
		this.#reset();
		const startMs = this.#schedule.nowMs;
		this.#publishAll(messages);
		this.#schedule.run(settleMs);
		const tookS = (this.#schedule.nowMs - startMs) / 1000;
		const [sent, pushed] = [this.#sent, this.#pushed];
		this.#finish();

		const a = (count: number): number => count / (nodes - 1) / messages;
		const peers = this.#nodes.map(node => node.peers.size);
		const took = (share: number): number[] =>
			[...this.#messages.values()].map(
				({atMs, atNodeMs}) => (atNodeMs[Math.ceil(share * nodes) - 2] ?? Infinity) - atMs,
			);
		const mean = (values: readonly number[]): number =>
			values.reduce((sum, value) => sum + value, 0) / values.length;
		const firsts = this.#pushedFirst + this.#pulledFirst;
		return {
			fanout: Math.max(...this.#nodes.map(({gossip}) => gossip.status().fanout)),
			packets: a(sent.packets - idle.packets * tookS * nodes),
			bytes: a(sent.bytes - idle.bytes * tookS * nodes),
			pushes: a(pushed.packets),
			pushBytes: a(pushed.bytes),
			idlePackets: idle.packets,
			idleBytes: idle.bytes,
			duplicates: (this.#received - this.#pushedFirst) / this.#received,
			pulled: this.#pulledFirst / firsts,
			hopsMean: this.#hops / this.#pushedFirst,
			hopsMax: this.#hopsMax,
			to99Ms: mean(took(0.99)),
			to99MsMax: Math.max(...took(0.99)),
			to100Ms: mean(took(1)),
			to100MsMax: Math.max(...took(1)),
			undelivered: this.#undelivered(),
			peersMean: mean(peers),
			peersMax: Math.max(...peers),
			streams: Math.max(...this.#nodes.map(({gossip}) => gossip.status().streams)),
		};
	}

	/** At a constant rate, each by a random publisher. */
	#publishAll(messages: number): void {
		const {publishers, perSecond} = this.#setting;
		const random = this.#random.child(`publish/${this.#schedule.nowMs}`);
		for (let message = 0; message < messages; message++) {
			this.#publish(Math.floor((random.below(publishers) * this.#nodes.length) / publishers));
			this.#schedule.run(1000 / perSecond);
		}
	}

	#publish(index: number): void {
		const node = this.#nodes[index]!;
		node.lamport++;
		const batch = decodeBatch(
			encodeBatch(
				{
					origin: node.id,
					incarnation: 1,
					topic,
					firstSeq: node.seq,
					lamport: node.lamport,
					previousLamport: node.previousLamport,
					sentAtMs: this.#schedule.nowMs,
				},
				[new Uint8Array(bodyBytes)],
				'mac',
			),
		)!;
		node.seq++;
		node.previousLamport = node.lamport;
		const log = this.#logs.get(node.id);
		if (log) log.push(batch);
		else this.#logs.set(node.id, [batch]);
		this.#messages.set(batch, {atMs: this.#schedule.nowMs, atNodeMs: []});
		node.gossip.publish(batch);
		this.#pump(index);
	}

	#pump(index: number): void {
		const {gossip} = this.#nodes[index]!;
		for (let ready = gossip.ready(); ready; ready = gossip.ready()) {
			for (const {batch, repaired, hops} of ready.released) this.#release(index, batch, repaired, hops);
			for (const {to, packet} of ready.packets) this.#send(index, this.#indexOf.get(to)!, packet);
			for (const item of ready.serve) this.#serve(index, item);
		}
	}

	#send(from: number, to: number, packet: GossipPacket): void {
		this.#nodes[from]!.peers.add(to);
		let carried = packet;
		let bytes = lengthBytes;
		if (packet.type === 'push') {
			bytes += pushHeaderBytes + packet.batch.bytes.length;
			this.#pushed.packets++;
			this.#pushed.bytes += bytes;
		} else {
			const frame = encodeControl('gossip', packet);
			bytes += frame.length;
			const parsed = parseGossipPacket(decodeControl(frame));
			if (!parsed) throw new Error(`Expected a well-formed packet, got ${JSON.stringify(packet)}`);
			carried = parsed;
		}

		this.#sent.packets++;
		this.#sent.bytes += bytes;
		this.#wire.send(from, to, carried);
	}

	#deliver(from: number, to: number, packet: GossipPacket): void {
		const node = this.#nodes[to]!;
		if (packet.type === 'push') {
			node.lamport = Math.max(node.lamport, packet.batch.lamport);
			if (!packet.repair) this.#received++;
		}

		node.gossip.step(this.#ids[from]!, packet);
		this.#pump(to);
	}

	#serve(from: number, {to, topic: of, wants, bytesMax}: GossipReady['serve'][number]): void {
		let bytes = 0;
		for (const want of wants) {
			for (const batch of this.#logs.get(want.origin)?.slice(want.from - 1, want.to) ?? []) {
				if (bytes >= bytesMax) break;
				bytes += batch.bytes.length;
				this.#send(from, this.#indexOf.get(to)!, {type: 'push', batch, hops: 0, complete: true, repair: true});
			}
		}

		this.#send(from, this.#indexOf.get(to)!, {type: 'served', topic: of, passed: []});
	}

	#release(index: number, batch: Batch, isPulled: boolean, hops: number): void {
		const {last, id} = this.#nodes[index]!;
		if (batch.firstSeq !== (last.get(batch.origin) ?? 0) + 1)
			throw new Error(`${id} released ${batch.origin} ${batch.firstSeq} after ${last.get(batch.origin) ?? 0}`);
		last.set(batch.origin, lastSeq(batch));
		this.#messages.get(batch)?.atNodeMs.push(this.#schedule.nowMs);
		if (isPulled) this.#pulledFirst++;
		else {
			this.#pushedFirst++;
			this.#hops += hops;
			this.#hopsMax = Math.max(this.#hopsMax, hops);
		}
	}

	#undelivered(): number {
		let count = 0;
		for (const {atNodeMs} of this.#messages.values()) if (atNodeMs.length < this.#nodes.length - 1) count++;
		return count;
	}

	#finish(): void {
		for (let waitedMs = 0; waitedMs < lastMs && this.#undelivered() > 0; waitedMs += 100) this.#schedule.run(100);
	}

	#reset(): void {
		if (this.#undelivered() > 0) throw new Error('Expected everything to be delivered after the warm-up');
		this.#sent = {packets: 0, bytes: 0};
		this.#pushed = {packets: 0, bytes: 0};
		this.#messages.clear();
		this.#received = 0;
		this.#pushedFirst = 0;
		this.#pulledFirst = 0;
		this.#hops = 0;
		this.#hopsMax = 0;
	}
}
