/**
Pulling what is missing. A stream lacks something when somebody is known to have gone further than it has. It is asked
for from one peer at a time: whoever showed that it has it, else the origin, else any subscriber. Requests to a peer
share one packet a topic and a byte budget; the end of an answer is said, and the next request leaves at once, so that a
long catch-up runs at the pace of its own answers.

A peer that has nothing there says so, and where its data go on. Once everybody who could have it has said no, the
stream is moved on and the loss is told.
*/
import type {NodeId, Topic} from '../message.ts';
import type {Context} from './context.ts';
import type {Held} from './held.ts';
import {wantsMax, type Gap, type PacketOf, type Want} from './packet.ts';
import type {Lack, Stream, Streams, TopicStreams} from './streams.ts';

/** First wait for an answer, and the longest after several that did not come. */
const patienceMs = 300;
const patienceMsMax = 1200;
/** Between cycles over the candidates; doubles as often as this. */
const retryMs = 250;
const retryDoublings = 6;
/** No request asks for less than this, unless the whole budget is smaller. */
const shareBytesMin = 64 * 1024;
const claimsMax = 8;
/**
Repair rounds until a gap is given up: when the origin itself has dropped it, and when some who could have it are out of
reach.
*/
const dropRounds = 2;
const giveUpRounds = 30;

/** How it was learnt that a stream lacks something. `peer`: who has it, if known. */
export type Clue = {
	readonly peer: NodeId | undefined;
	readonly high: number;
	readonly inTicks: number;
	readonly isCatchUp: boolean;
};
type Request = {
	readonly peer: NodeId;
	readonly topic: TopicStreams;
	readonly streams: readonly Stream[];
	/** Streams that the answer has brought something of. */
	readonly got: Set<Stream>;
	readonly bytes: number;
	refreshedTick: number;
};
/** What is to be asked of a peer about a topic, while requests are put together. */
type Draft = {readonly peer: NodeId; readonly topic: TopicStreams; readonly streams: Stream[]; readonly wants: Want[]};

export class Repair {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #held: Held;
	readonly #onLost: (stream: Stream, next: number) => void;
	readonly #isBusy: (peer: NodeId, topic: Topic) => boolean;
	/** Streams with a `lack`. */
	readonly #lacking = new Set<Stream>();
	readonly #requests = new Map<NodeId, Map<TopicStreams, Request>>();
	readonly #patience = new Map<NodeId, number>();
	#isUrgent = false;

	/**
	@param onLost everything before `next` is gone for good.
	@param isBusy the peer is being asked for something else of the topic.
	*/
	constructor(
		context: Context,
		streams: Streams,
		held: Held,
		onLost: (stream: Stream, next: number) => void,
		isBusy: (peer: NodeId, topic: Topic) => boolean,
	) {
		this.#context = context;
		this.#streams = streams;
		this.#held = held;
		this.#onLost = onLost;
		this.#isBusy = isBusy;
	}

	/** Streams that lack something. */
	get waiting(): number {
		return this.#lacking.size;
	}

	isAsking(peer: NodeId, name: Topic): boolean {
		const topic = this.#streams.topics.get(name);
		return topic !== undefined && this.#requests.get(peer)?.has(topic) === true;
	}

	/** The stream is known to go on; `peer` has it up to `high`. Not asked for within `inTicks`. */
	lacks(stream: Stream, {peer, high, inTicks, isCatchUp}: Clue): void {
		const {now} = this.#context;
		let {lack} = stream;
		if (!lack) {
			lack = {
				dueTick: now + inTicks,
				asked: undefined,
				isCatchUp,
				claims: new Map(),
				refusals: new Map(),
				tried: new Set(),
				stuckAt: stream.next,
				stuckTick: now,
				cycles: 0,
			};
			stream.lack = lack;
			this.#lacking.add(stream);
		}

		if (peer !== undefined) {
			lack.dueTick = Math.min(lack.dueTick, now + inTicks);
			lack.cycles = 0;
			if (!lack.claims.has(peer) && lack.claims.size >= claimsMax)
				lack.claims.delete(lack.claims.keys().next().value!);
			lack.claims.set(peer, high);
			if (lack.refusals.get(peer) === 0) lack.refusals.delete(peer);
		}

		if (inTicks === 0) this.#isUrgent = true;
	}

	/** A batch of an answer came in, new or not. */
	answered(peer: NodeId, stream: Stream): void {
		const request = this.#requests.get(peer)?.get(stream.topic);
		if (!request) return;
		request.refreshedTick = this.#context.now;
		request.got.add(stream);
	}

	/** The answer is complete, or as much of it as the budget allowed. */
	served(peer: NodeId, topic: TopicStreams): void {
		const request = this.#requests.get(peer)?.get(topic);
		if (request) this.#finish(request, false);
	}

	/** Answer a request: what our log holds is served, of the rest we say where it goes on. */
	serve(from: NodeId, {topic, wants, bytesMax}: PacketOf<'iwant'>): void {
		const {outbox, config} = this.#context;
		const served: Want[] = [];
		const gaps: Gap[] = [];
		for (const want of wants) {
			const stream = this.#streams.find(topic, want.origin, want.incarnation);
			const range = stream?.ranges.find(({to}) => to >= want.from);
			if (range && range.from <= want.from) served.push({...want, to: Math.min(want.to, range.to)});
			else gaps.push([want.origin, want.incarnation, want.from, range?.from ?? 0]);
		}

		if (gaps.length > 0 || served.length === 0)
			outbox.send(from, {type: 'ihavenot', topic, gaps, isEnd: served.length === 0});
		if (served.length > 0)
			outbox.serve({to: from, topic, wants: served, bytesMax: Math.min(bytesMax, config.repairBytes)});
	}

	refused(peer: NodeId, {topic: name, gaps, isEnd}: PacketOf<'ihavenot'>): void {
		for (const [origin, incarnation, from, then] of gaps) {
			const stream = this.#streams.find(name, origin, incarnation);
			if (!stream?.lack || from > stream.next || (then !== 0 && then <= stream.next)) continue;
			stream.lack.refusals.set(peer, then);
			stream.lack.claims.delete(peer);
		}

		const topic = this.#streams.topics.get(name);
		const request = topic && this.#requests.get(peer)?.get(topic);
		if (request && isEnd) this.#finish(request, false);
	}

	/** Who could have what is missing has changed: ask all again. */
	again(): void {
		for (const stream of this.#lacking) {
			stream.lack!.tried.clear();
			stream.lack!.cycles = 0;
			stream.lack!.dueTick = Math.min(stream.lack!.dueTick, this.#context.now + 1);
		}
	}

	gone(peer: NodeId): void {
		for (const request of [...(this.#requests.get(peer)?.values() ?? [])]) this.#finish(request, true);
		this.#patience.delete(peer);
		for (const stream of this.#lacking) {
			stream.lack!.claims.delete(peer);
			stream.lack!.refusals.delete(peer);
		}
	}

	/** The stream is forgotten, or not wanted any more. */
	forget(stream: Stream): void {
		stream.lack = undefined;
		this.#lacking.delete(stream);
	}

	tick(): void {
		const {now} = this.#context;
		for (const [peer, requests] of this.#requests) {
			const patience = this.#patience.get(peer) ?? this.#context.ticks(patienceMs);
			for (const request of requests.values()) {
				if (now - request.refreshedTick <= patience) continue;
				this.#patience.set(peer, Math.min(patience * 2, this.#context.ticks(patienceMsMax)));
				this.#finish(request, true);
			}
		}

		this.#isUrgent = this.#lacking.size > 0;
	}

	/** Put requests together for whatever may be asked for now. */
	pump(): void {
		if (!this.#isUrgent) return;
		this.#isUrgent = false;
		const drafts = new Map<NodeId, Map<TopicStreams, Draft>>();
		for (const stream of this.#lacking) {
			const lack = stream.lack!;
			if (stream.next > stream.known) this.forget(stream);
			else if (!stream.isStill && lack.asked === undefined && lack.dueTick <= this.#context.now)
				this.#draft(stream, lack, drafts);
		}

		for (const [peer, topics] of drafts) this.#send(peer, [...topics.values()]);
	}

	#draft(stream: Stream, lack: Lack, drafts: Map<NodeId, Map<TopicStreams, Draft>>): void {
		const {topic, next, incarnation, origin} = stream;
		const {now} = this.#context;
		if (lack.stuckAt !== next) {
			lack.stuckAt = next;
			lack.stuckTick = now;
		}

		const heldFrom = this.#held.lowest(stream) ?? Number.POSITIVE_INFINITY;
		if (heldFrom <= next) return; // Here already; an older life comes first.
		const isFree = (peer: NodeId): boolean =>
			this.#requests.get(peer)?.has(topic) !== true &&
			!this.#isBusy(peer, topic.name) &&
			(drafts.get(peer)?.get(topic)?.wants.length ?? 0) < wantsMax;
		const candidates = this.#candidates(stream, lack);
		if (candidates.length === 0) {
			this.#exhausted(stream, lack, heldFrom);
			return;
		}

		const free = candidates.filter(isFree);
		if (free.length === 0) return; // Asked when the answer that is awaited is complete.
		const peer = free[this.#context.random.below(free.length)]!;
		let topics = drafts.get(peer);
		if (!topics) {
			topics = new Map();
			drafts.set(peer, topics);
		}

		let draft = topics.get(topic);
		if (!draft) {
			draft = {peer, topic, streams: [], wants: []};
			topics.set(topic, draft);
		}

		draft.streams.push(stream);
		draft.wants.push({
			origin: origin.id,
			incarnation,
			from: next,
			to: Math.min(stream.known, heldFrom - 1),
			sinceLamport: topic.since!,
		});
	}

	/**
	The best kind of peer that is left: those that showed that they have it, else the origin, else any subscriber.
	*/
	#candidates({topic, origin, next}: Stream, {claims, refusals, tried}: Lack): NodeId[] {
		const isAble = (peer: NodeId): boolean => {
			const then = refusals.get(peer);
			return (
				peer !== this.#context.self &&
				this.#context.isReachable(peer) &&
				!tried.has(peer) &&
				(then === undefined || (then !== 0 && then <= next))
			);
		};

		const claimed = [...claims].filter(([peer, high]) => high >= next && isAble(peer)).map(([peer]) => peer);
		if (claimed.length > 0) return claimed;
		return isAble(origin.id) ? [origin.id] : topic.subscribers.filter(isAble);
	}

	/** Nobody is left to ask: begin anew a little later, or give up what nobody has. */
	#exhausted(stream: Stream, lack: Lack, heldFrom: number): void {
		const {topic, origin, next} = stream;
		const {self, now, config, removed} = this.#context;
		const saidNo = (peer: NodeId): boolean => {
			const then = lack.refusals.get(peer);
			return then !== undefined && (then === 0 || then > next);
		};

		const others = new Set([...topic.subscribers, origin.id].filter(peer => peer !== self && !removed.has(peer)));
		const isNobodyLeft = [...others].every(saidNo);
		const stuckTicks = now - lack.stuckTick;
		const isDropped =
			(lack.refusals.get(origin.id) ?? 0) > next &&
			lack.tried.size === 0 &&
			stuckTicks > this.#context.ticks(config.repairMs * dropRounds);
		const goesOn = Math.min(heldFrom, ...[...lack.refusals.values()].filter(then => then > next));
		if (isNobodyLeft) this.#onLost(stream, Number.isFinite(goesOn) ? goesOn : stream.known + 1);
		else if (
			Number.isFinite(goesOn) &&
			(isDropped || stuckTicks > this.#context.ticks(config.repairMs * giveUpRounds))
		)
			this.#onLost(stream, goesOn);
		else {
			lack.tried.clear();
			// Who had nothing yet may have it by now.
			for (const [peer, then] of lack.refusals) if (then === 0) lack.refusals.delete(peer);
			lack.dueTick = now + this.#context.ticks(retryMs * 2 ** Math.min(lack.cycles++, retryDoublings));
			return;
		}

		this.#isUrgent = true;
	}

	#send(peer: NodeId, drafts: readonly Draft[]): void {
		const {outbox, config, now} = this.#context;
		let requests = this.#requests.get(peer);
		if (!requests) {
			requests = new Map();
			this.#requests.set(peer, requests);
		}

		let room = config.repairBytes;
		for (const {bytes} of requests.values()) room -= bytes;
		const least = Math.min(shareBytesMin, config.repairBytes);
		const share = Math.max(least, Math.floor(room / drafts.length));
		for (const {topic, streams, wants} of drafts) {
			if (room < least) return; // The rest when an answer is complete.
			const bytesMax = Math.min(share, room);
			room -= bytesMax;
			requests.set(topic, {peer, topic, streams, got: new Set(), bytes: bytesMax, refreshedTick: now});
			for (const stream of streams) stream.lack!.asked = peer;
			outbox.send(peer, {type: 'iwant', topic: topic.name, wants, bytesMax});
		}
	}

	/** The answer is complete, or will not come. */
	#finish(request: Request, isTimeout: boolean): void {
		const {peer, topic, streams, got} = request;
		this.#requests.get(peer)?.delete(topic);
		if (this.#requests.get(peer)?.size === 0) this.#requests.delete(peer);
		if (!isTimeout) this.#patience.delete(peer);
		for (const stream of streams) {
			const {lack} = stream;
			if (lack?.asked !== peer) continue;
			lack.asked = undefined;
			// An answer that the budget cut may leave a stream out; one that brings nothing at all is none.
			if (isTimeout ? !got.has(stream) : got.size === 0) lack.tried.add(peer);
		}

		this.#isUrgent = true;
	}
}
