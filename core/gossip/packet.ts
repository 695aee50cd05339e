/**
What gossip says. A push carries a batch and has a binary frame of its own; the rest are small control packets, judged here.
Ranges are of sequence numbers, both ends included.
*/
import {isNodeId, parseTopic, type Batch, type NodeId, type Topic} from '../message.ts';

export type Range = {readonly origin: NodeId; readonly incarnation: number; readonly from: number; readonly to: number};
/** What a holder has of a stream: from `low` to `high`, the last with this Lamport stamp. */
export type Watermark = {readonly origin: NodeId; readonly incarnation: number; readonly low: number; readonly high: number; readonly lamport: number};

export type GossipPacket =
	/** `complete`: every subscriber that could be reached got it from the same hand; nobody relays. `repair`: the answer to an `iwant`. */
	| {readonly type: 'push'; readonly batch: Batch; readonly hops: number; readonly complete: boolean; readonly repair: boolean}
	| {readonly type: 'ihave'; readonly topic: Topic; readonly ranges: readonly Range[]}
	/** Batches with a stamp above `since` only. */
	| {readonly type: 'iwant'; readonly topic: Topic; readonly ranges: readonly Range[]; readonly since: number; readonly bytesMax: number}
	/** Everything that an `iwant` asked for, and the budget allowed, has been sent. */
	| {readonly type: 'served'; readonly topic: Topic}
	/** Hashes of what the sender has of its topics. */
	| {readonly type: 'digest'; readonly topics: ReadonlyArray<{readonly topic: Topic; readonly hash: number}>}
	/** What the sender has of a topic whose hash differs; nothing is listed for one that does not. `incarnation`: the sender's own. */
	| {readonly type: 'watermarks'; readonly topic: Topic; readonly isSame: boolean; readonly incarnation: number; readonly streams: readonly Watermark[]; readonly isLast: boolean};
export type GossipControl = Exclude<GossipPacket, {readonly type: 'push'}>;

export const rangesMax = 512;
export const digestTopicsMax = 1024;
export const streamsMax = 4096;

export function parseGossipPacket(value: unknown): GossipControl | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const raw = value as Record<string, unknown>;
	if (raw['type'] === 'digest') {
		const topics = list(raw['topics'], digestTopicsMax, item => {
			const {topic: name, hash} = item;
			const topic = topicOf(name);
			return topic !== undefined && isCount(hash) ? {topic, hash} : undefined;
		});
		return topics && {type: 'digest', topics};
	}

	const topic = topicOf(raw['topic']);
	if (topic === undefined) return undefined;
	switch (raw['type']) {
		case 'ihave': {
			const ranges = list(raw['ranges'], rangesMax, rangeOf);
			return ranges && {type: 'ihave', topic, ranges};
		}

		case 'iwant': {
			const ranges = list(raw['ranges'], rangesMax, rangeOf);
			const {since, bytesMax} = raw;
			return ranges && isCount(since) && isCount(bytesMax) ? {type: 'iwant', topic, ranges, since, bytesMax} : undefined;
		}

		case 'served': return {type: 'served', topic};
		case 'watermarks': {
			const {incarnation, isSame, isLast} = raw;
			const streams = list(raw['streams'], streamsMax, item => {
				const {origin, incarnation: of, low, high, lamport} = item;
				return isNodeId(origin) && isCount(of) && isCount(low) && isCount(high) && isCount(lamport) ? {origin, incarnation: of, low, high, lamport} : undefined;
			});
			return streams && isCount(incarnation) && typeof isSame === 'boolean' && typeof isLast === 'boolean' ? {type: 'watermarks', topic, incarnation, isSame, isLast, streams} : undefined;
		}

		default: return undefined;
	}
}

function rangeOf({origin, incarnation, from, to}: Record<string, unknown>): Range | undefined {
	return isNodeId(origin) && isCount(incarnation) && isCount(from) && isCount(to) && from >= 1 && to >= from ? {origin, incarnation, from, to} : undefined;
}

function topicOf(name: unknown): Topic | undefined {
	const topic = typeof name === 'string' ? parseTopic(name) : undefined;
	return typeof topic === 'string' ? topic : undefined;
}

/** Every item judged; one that is bad spoils the packet. */
function list<Item>(value: unknown, max: number, judge: (item: Record<string, unknown>) => Item | undefined): Item[] | undefined {
	if (!Array.isArray(value) || value.length > max) return undefined;
	const items: Item[] = [];
	for (const raw of value as unknown[]) {
		const item = typeof raw === 'object' && raw !== null ? judge(raw as Record<string, unknown>) : undefined;
		if (item === undefined) return undefined;
		items.push(item);
	}

	return items;
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
