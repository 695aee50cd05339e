/** A gossip machine whose pending output is taken after each input, and batches and packets as input. */
import {defaults, type Config} from '../../../../core/config.ts';
import {emptyReady} from '../../../../core/gossip/context.ts';
import {createGossip, type Gossip, type GossipPacket, type GossipReady} from '../../../../core/gossip/gossip.ts';
import type {PacketOf, Watermark} from '../../../../core/gossip/packet.ts';
import {decodeBatch, encodeBatch, type Batch, type NodeId, type Topic} from '../../../../core/message.ts';
import {createRandom} from '../../../sim/random.ts';

export const news = 'news' as Topic;
export const id = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;
export const [self, origin, other, third] = [id(1), id(2), id(3), id(4)] as const;

type BatchOptions = {
	readonly from?: NodeId;
	readonly incarnation?: number;
	readonly count?: number;
	readonly lamport?: number;
	readonly previousLamport?: number;
	readonly size?: number;
	readonly topic?: Topic;
};

/** Stamps are ten times the sequence number unless given. */
export function batchOf(
	firstSeq: number,
	{
		from = origin,
		incarnation = 1,
		count = 1,
		lamport = firstSeq * 10,
		previousLamport = (firstSeq - 1) * 10,
		size = 1,
		topic = news,
	}: BatchOptions = {},
): Batch {
	const bodies = Array.from({length: count}, () => Buffer.alloc(size));
	return decodeBatch(
		encodeBatch(
			{origin: from, incarnation, topic, firstSeq, lamport, previousLamport, sentAtMs: 0},
			bodies,
			'none',
		),
	)!;
}

/** Takes all pending output, and joins it. */
export function takeAll(gossip: Gossip): GossipReady {
	const all = emptyReady();
	for (let ready = gossip.ready(); ready; ready = gossip.ready()) {
		all.packets.push(...ready.packets);
		all.released.push(...ready.released);
		all.serve.push(...ready.serve);
		all.missed.push(...ready.missed);
		all.synced.push(...ready.synced);
		all.backfilled.push(...ready.backfilled);
	}

	return all;
}

export type Machine = {
	readonly gossip: Gossip;
	/** Takes all pending output. */
	readonly take: () => GossipReady;
	readonly push: (
		batch: Batch,
		options?: {
			readonly from?: NodeId;
			readonly hops?: number;
			readonly complete?: boolean;
			readonly repair?: boolean;
		},
	) => GossipReady;
	readonly step: (from: NodeId, packet: GossipPacket) => GossipReady;
	readonly ticks: (count: number) => GossipReady;
	readonly subscribe: (since: number | undefined, subscribers?: readonly NodeId[]) => GossipReady;
};

export function machine({
	reachable = [origin, other, third],
	since = 0,
	subscribers = [self, origin, other, third],
	config = {},
	seed = 1,
	incarnation = 1,
}: {
	readonly reachable?: readonly NodeId[];
	readonly since?: number | 'none';
	readonly subscribers?: readonly NodeId[];
	readonly config?: Partial<Config['gossip']>;
	readonly seed?: number;
	/** Of this process. */
	readonly incarnation?: number;
} = {}): Machine {
	const gossip = createGossip({
		self,
		incarnation,
		random: createRandom(seed),
		config: {...defaults.gossip, ...config},
		tickMs: 25,
	});
	const take = (): GossipReady => takeAll(gossip);
	const subscribe = (time: number | undefined, to: readonly NodeId[] = subscribers): GossipReady => {
		gossip.setSubscriptions(new Map([[news, {subscribers: to, since: time}]]));
		return take();
	};

	subscribe(since === 'none' ? undefined : since);
	gossip.setReachable(reachable);
	take();
	return {
		gossip,
		take,
		subscribe,
		push(batch, {from = origin, hops = 1, complete = true, repair = false} = {}) {
			gossip.step(from, {type: 'push', batch, hops, complete, repair});
			return take();
		},
		step(from, packet) {
			gossip.step(from, packet);
			return take();
		},
		ticks(count) {
			for (let tick = 0; tick < count; tick++) gossip.tick();
			return take();
		},
	};
}

export const seqs = ({released}: GossipReady): number[] => released.map(({batch}) => batch.firstSeq);
export const incarnationsOf = ({released}: GossipReady): string[] =>
	released.map(({batch}) => `${batch.incarnation}/${batch.firstSeq}`);
export const sent = <Type extends GossipPacket['type']>(
	{packets}: GossipReady,
	type: Type,
): Array<{readonly to: NodeId; readonly packet: PacketOf<Type>}> =>
	packets.filter((item): item is {to: NodeId; packet: PacketOf<Type>} => item.packet.type === type);
export const ihave = (...streams: Watermark[]): GossipPacket => ({type: 'ihave', topics: [[news, streams]]});
