/**
A cluster of gossip machines in virtual time, from a seed: a network that loses frames and splits, nodes that crash and
restart with their log, subscriptions that reach the nodes at different times. Frames pass the real codec. The cluster
checks every release as it happens (once, in order, after its stamp was witnessed) and, at the end, that every node has
all retained messages that it subscribes to.
*/
import {defaults, type Config} from '../../core/config.ts';
import {createGossip, type Gossip, type GossipReady} from '../../core/gossip/gossip.ts';
import {parseGossipPacket} from '../../core/gossip/packet.ts';
import type {Arrival} from '../../core/gossip/streams.ts';
import {Lamport} from '../../core/lamport.ts';
import {
	decodeBatch,
	encodeBatch,
	lastSeq,
	streamKey,
	type Batch,
	type NodeId,
	type StreamKey,
	type Topic,
} from '../../core/message.ts';
import {
	decodeControl,
	decodePushHead,
	encodeControl,
	encodePushHead,
	kinds,
	pushHeaderBytes,
} from '../../core/wire/wire.ts';
import {Network, type LinkOptions} from './network.ts';
import {createRandom, hash32, type SeededRandom} from './random.ts';
import {Schedule} from './schedule.ts';

export const tickMs = 25;

export type ClusterOptions = {
	readonly seed: number | string;
	readonly nodes: number;
	readonly topics?: readonly string[];
	readonly link?: Partial<LinkOptions>;
	readonly config?: Partial<Config['gossip']>;
	/** How long a node takes to notice that a peer came or went. */
	readonly noticeMs?: readonly [number, number];
};

type Stored = {readonly batch: Batch; readonly repaired: boolean};

/** One node: what survives a crash, and its present incarnation. */
export class SimNode {
	readonly id: NodeId;
	readonly log = new Map<Topic, Stored[]>();
	/** Batches that retention removed from the log. */
	readonly dropped = new Set<string>();
	incarnation = 0;
	lamportCeiling = 0;
	isUp = false;
	gossip!: Gossip;
	lamport!: Lamport;
	random: SeededRandom;
	/** By stream: the last sequence number that was released. */
	readonly last = new Map<StreamKey, number>();
	/** By origin and topic: the newest incarnation that was released. */
	readonly newestIncarnation = new Map<string, number>();
	readonly missed: Array<GossipReady['missed'][number]> = [];
	readonly synced: Array<GossipReady['synced'][number]> = [];
	/** The subscriptions as far as this node has learned them. */
	readonly subscriptions = new Map<Topic, Map<NodeId, number>>();
	streams = new Map<Topic, {next: number; lamport: number}>();
	inversions = 0;
	unconfirmed = 0;
	pushedFirst = 0;
	repairedFirst = 0;

	constructor(id: NodeId, random: SeededRandom) {
		this.id = id;
		this.random = random;
	}
}

export class GossipCluster {
	readonly schedule = new Schedule();
	readonly network: Network;
	readonly random: SeededRandom;
	readonly nodes: SimNode[] = [];
	readonly topics: readonly Topic[];
	/** As agreed: topic → node → start. */
	readonly subscriptions = new Map<Topic, Map<NodeId, number>>();
	/** Every published batch. */
	readonly published: Batch[] = [];
	fingerprint = 0;
	/** Frames sent, their bytes, and how many frames were unsolicited pushes. */
	frames = 0;
	bytes = 0;
	pushes = 0;
	/** Batches sent as repairs, and the most hops of a pushed batch. */
	repairs = 0;
	hopsMax = 0;
	readonly #options: ClusterOptions;
	#made = 0;

	constructor(options: ClusterOptions) {
		this.#options = options;
		this.random = createRandom(`${options.seed}/cluster`);
		this.topics = (options.topics ?? ['news']) as readonly Topic[];
		this.network = new Network({
			seed: options.seed,
			schedule: this.schedule,
			inFlightMax: 1_000_000,
			link: options.link,
			deliver: (from, to, bytes) => this.#deliver(from as NodeId, to as NodeId, Buffer.from(bytes)),
		});
		for (let index = 0; index < options.nodes; index++) this.start(this.add());
	}

	/** Add a new node. */
	add(): SimNode {
		const index = this.#made++;
		const id = (index + 1).toString(16).padStart(16, '0') as NodeId;
		const node = new SimNode(id, createRandom(`${this.#options.seed}/node/${index}`));
		for (const [topic, subscribers] of this.subscriptions) node.subscriptions.set(topic, new Map(subscribers));
		this.nodes.push(node);
		return node;
	}

	get up(): SimNode[] {
		return this.nodes.filter(({isUp}) => isUp);
	}

	start(node: SimNode): void {
		node.incarnation++;
		node.isUp = true;
		node.lamport = new Lamport(node.lamportCeiling, 2 ** 40);
		node.streams = new Map();
		node.gossip = createGossip({
			self: node.id,
			incarnation: node.incarnation,
			random: node.random.child(node.incarnation),
			config: {...defaults.gossip, ...this.#options.config},
			tickMs,
		});
		// A node recovers its streams from its log. A stream that retention removed completely is new to it.
		node.last.clear();
		node.newestIncarnation.clear();
		for (const log of node.log.values()) {
			for (const {batch} of log) {
				node.gossip.recover(batch);
				node.lamport.witness(batch.lamport, undefined);
				this.#remember(node, batch);
			}
		}

		this.#passSubscriptions(node);
		const {incarnation} = node;
		const tick = (): void => {
			if (!node.isUp || node.incarnation !== incarnation) return;
			node.gossip.tick();
			this.#pump(node);
			this.schedule.after(tickMs, tick);
		};

		this.schedule.after(node.random.between(1, tickMs), tick);
		this.#noticeAll();
	}

	/** The process ends; its log stays. */
	crash(node: SimNode): void {
		node.unconfirmed += node.gossip.status().unconfirmed;
		node.isUp = false;
		node.lamportCeiling = node.lamport.now + 1000;
		this.#noticeAll();
	}

	partition(sides: ReadonlyArray<readonly NodeId[]>): void {
		this.network.partition(sides);
		this.#noticeAll();
	}

	cut(a: NodeId, b: NodeId): void {
		this.network.cut(a, b);
		this.network.cut(b, a);
		this.#noticeAll();
	}

	heal(): void {
		this.network.heal();
		this.#noticeAll();
	}

	subscribe(node: SimNode, topic: Topic, since = node.lamport.now): void {
		this.#agree(topic, subscribers => subscribers.set(node.id, since));
	}

	unsubscribe(node: SimNode, topic: Topic): void {
		this.#agree(topic, subscribers => subscribers.delete(node.id));
	}

	publish(node: SimNode, topic: Topic, bodies: readonly string[]): Batch {
		let stream = node.streams.get(topic);
		if (!stream) {
			stream = {next: 1, lamport: 0};
			node.streams.set(topic, stream);
		}

		const lamport = node.lamport.stamp();
		const bytes = encodeBatch(
			{
				origin: node.id,
				incarnation: node.incarnation,
				topic,
				firstSeq: stream.next,
				lamport,
				previousLamport: stream.lamport,
				sentAtMs: this.schedule.nowMs,
			},
			bodies.map(body => Buffer.from(body)),
			'none',
		);
		const batch = decodeBatch(bytes)!;
		stream.next += bodies.length;
		stream.lamport = lamport;
		this.published.push(batch);
		this.#store(node, {batch, repaired: false});
		node.gossip.publish(batch);
		this.#pump(node);
		return batch;
	}

	/** Remove the older part of a node's log, as retention does: whole segments. */
	retain(node: SimNode, topic: Topic, keep: number): void {
		const log = node.log.get(topic);
		if (!log || log.length <= keep) return;
		for (const {batch} of log.splice(0, log.length - keep))
			node.dropped.add(`${streamKey(batch)}@${batch.firstSeq}`);
		const floors = new Map<StreamKey, number>();
		for (const {batch} of log) if (!floors.has(streamKey(batch))) floors.set(streamKey(batch), batch.firstSeq);
		node.gossip.retained(topic, floors);
	}

	run(forMs: number): void {
		this.schedule.run(forMs);
	}

	/** Run until `isDone`, at most `maxMs`. Returns the virtual milliseconds that it took, or `undefined`. */
	runUntil(isDone: () => boolean, maxMs: number): number | undefined {
		for (let tookMs = 0; tookMs <= maxMs; tookMs += 50) {
			if (isDone()) return tookMs;
			this.schedule.run(50);
		}

		return undefined;
	}

	/** Messages that a running node retains and a running subscriber lacks. */
	lacking(): string[] {
		const problems: string[] = [];
		for (const topic of this.topics) {
			const retained = new Map<string, Batch>();
			for (const node of this.up)
				for (const {batch} of node.log.get(topic) ?? [])
					retained.set(`${streamKey(batch)}@${batch.firstSeq}`, batch);
			for (const node of this.up) {
				const since = this.subscriptions.get(topic)?.get(node.id);
				if (since === undefined) continue;
				const has = new Set(node.log.get(topic)?.map(({batch}) => `${streamKey(batch)}@${batch.firstSeq}`));
				for (const [key, batch] of retained)
					if (batch.lamport > since && !has.has(key) && !node.dropped.has(key))
						problems.push(`${node.id} lacks ${key}`);
			}
		}

		return problems;
	}

	/** Deliver a control packet to a node as it would arrive over the wire. */
	inject(from: NodeId, to: NodeId, packet: object): void {
		this.#deliver(from, to, encodeControl('gossip', packet));
	}

	#agree(topic: Topic, change: (subscribers: Map<NodeId, number>) => void): void {
		const apply = (subscriptions: Map<Topic, Map<NodeId, number>>): void => {
			if (!subscriptions.has(topic)) subscriptions.set(topic, new Map());
			change(subscriptions.get(topic)!);
		};

		apply(this.subscriptions);
		for (const node of this.nodes) {
			this.schedule.after(this.random.between(0, 200), () => {
				// The log of agreed changes is ordered, so a node is at a prefix of it; here at the newest.
				node.subscriptions.set(topic, new Map(this.subscriptions.get(topic)));
				if (node.isUp) this.#passSubscriptions(node);
			});
		}
	}

	#passSubscriptions(node: SimNode): void {
		node.gossip.setSubscriptions(
			new Map(
				[...node.subscriptions].map(([topic, subscribers]) => [
					topic,
					{subscribers: [...subscribers.keys()].toSorted(), since: subscribers.get(node.id)},
				]),
			),
		);
		this.#pump(node);
	}

	/** Every node notices the new state of its links, each after its own delay. */
	#noticeAll(): void {
		const [least, most] = this.#options.noticeMs ?? [20, 400];
		for (const node of this.nodes) {
			const {incarnation} = node;
			this.schedule.after(node.random.between(least, most), () => {
				if (!node.isUp || node.incarnation !== incarnation) return;
				node.gossip.setReachable(
					this.up
						.filter(
							({id}) =>
								id !== node.id && !this.network.isCut(node.id, id) && !this.network.isCut(id, node.id),
						)
						.map(({id}) => id),
				);
				this.#pump(node);
			});
		}
	}

	#deliver(from: NodeId, to: NodeId, frame: Buffer): void {
		const node = this.nodes.find(({id}) => id === to);
		if (!node?.isUp) return;
		if (frame[0] === kinds.push) {
			const head = decodePushHead(frame);
			const batch = decodeBatch(frame.subarray(pushHeaderBytes));
			if (!head || !batch || !node.lamport.witness(batch.lamport, from))
				throw new Error('Expected a well-formed push');
			node.gossip.step(from, {type: 'push', batch, ...head});
		} else {
			const packet = parseGossipPacket(decodeControl(frame));
			if (!packet) throw new Error('Expected a well-formed control packet');
			node.gossip.step(from, packet);
		}

		this.#pump(node);
	}

	#pump(node: SimNode): void {
		for (let ready = node.gossip.ready(); ready; ready = node.gossip.ready()) {
			node.missed.push(...ready.missed);
			node.synced.push(...ready.synced);
			for (const arrival of ready.released) this.#release(node, arrival);
			for (const {to, packet} of ready.packets) {
				if (packet.type === 'push') {
					this.pushes++;
					this.#send(node.id, to, Buffer.concat([encodePushHead(packet), packet.batch.bytes]));
				} else this.#send(node.id, to, encodeControl('gossip', packet));
			}

			for (const item of ready.serve) this.#serve(node, item);
		}
	}

	#serve(node: SimNode, {to, topic, wants, bytesMax}: GossipReady['serve'][number]): void {
		const {incarnation} = node;
		this.schedule.after(node.random.between(0, 2), () => {
			if (!node.isUp || node.incarnation !== incarnation) return;
			const found: Batch[] = [];
			let bytes = 0;
			for (const {batch} of node.log.get(topic) ?? []) {
				const isWanted = wants.some(
					want =>
						want.origin === batch.origin &&
						want.incarnation === batch.incarnation &&
						batch.firstSeq <= want.to &&
						lastSeq(batch) >= want.from &&
						batch.lamport > want.sinceLamport,
				);
				if (!isWanted) continue;
				found.push(batch);
				bytes += batch.bytes.length;
				if (bytes >= bytesMax) break;
			}

			this.repairs += found.length;
			for (const batch of found)
				this.#send(
					node.id,
					to,
					Buffer.concat([encodePushHead({hops: 0, complete: true, repair: true}), batch.bytes]),
				);
			this.#send(node.id, to, encodeControl('gossip', {type: 'served', topic, passed: []}));
		});
	}

	#send(from: NodeId, to: NodeId, frame: Buffer): void {
		this.frames++;
		this.bytes += frame.length;
		this.network.send(from, to, frame);
	}

	#release(node: SimNode, {batch, repaired, hops}: Arrival): void {
		const key = streamKey(batch);
		const fail = (what: string): never => {
			throw new Error(
				`seed ${this.#options.seed}, ${this.schedule.nowMs} ms, ${node.id}: ${what} ${key} ${batch.firstSeq}+${batch.count}`,
			);
		};

		const since = node.subscriptions.get(batch.topic)?.get(node.id);
		if (since === undefined || batch.lamport <= since) fail('released an unwanted message:');
		const last = node.last.get(key) ?? 0;
		if (batch.firstSeq <= last) fail(`released after ${last}:`);
		if (
			batch.firstSeq !== last + 1 &&
			batch.previousLamport > since! &&
			!node.missed.some(({topic, origin}) => topic === batch.topic && origin === batch.origin)
		)
			fail(`left a gap after ${last}:`);
		const of = `${batch.origin} ${batch.topic}`;
		if (batch.incarnation < (node.newestIncarnation.get(of) ?? 0)) node.inversions++;
		if (node.lamport.now < batch.lamport) fail('released before its stamp was witnessed:');
		if (repaired) node.repairedFirst++;
		else {
			node.pushedFirst++;
			this.hopsMax = Math.max(this.hopsMax, hops);
		}

		this.#store(node, {batch, repaired});
	}

	#store(node: SimNode, stored: Stored): void {
		const {batch} = stored;
		const log = node.log.get(batch.topic);
		if (log) log.push(stored);
		else node.log.set(batch.topic, [stored]);
		this.#remember(node, batch);
		this.fingerprint = hash32(
			`${this.fingerprint} ${this.schedule.nowMs} ${node.id} ${streamKey(batch)} ${batch.firstSeq}`,
		);
	}

	#remember(node: SimNode, batch: Batch): void {
		node.last.set(streamKey(batch), lastSeq(batch));
		const of = `${batch.origin} ${batch.topic}`;
		node.newestIncarnation.set(of, Math.max(batch.incarnation, node.newestIncarnation.get(of) ?? 0));
	}
}
