/**
Pull repair. A stream lacks batches when some node is known to have more of it. They are requested from one peer at a
time: a peer known to have them, else the origin, else any subscriber. Requests to a peer share one packet per topic and
a byte budget. Each answer has an explicit end, and the next request leaves at once, so a long catch-up runs at the pace
of its answers.

A peer without the requested batches answers with the next number that it does have. Once every possible holder has
refused, the stream skips the gap and the loss is reported.
*/
import type {NodeId, Topic} from '../message.ts';
import type {Context} from './context.ts';
import type {Held} from './held.ts';
import {wantsMax, type AbsentRange, type DeletedRange, type PacketOf, type Want} from './packet.ts';
import type {Lack, Stream, Streams, TopicStreams} from './streams.ts';

/** First timeout for an answer; doubles up to the maximum while a peer does not answer. */
const answerTimeoutMs = 300;
const answerTimeoutMsMax = 1200;
/** Pause between cycles over the candidates; doubles up to `retryDoublings` times. */
const retryMs = 250;
const retryDoublings = 6;
/** Minimum budget of a request, unless the whole budget is smaller. */
const shareBytesMin = 64 * 1024;
const claimsMax = 8;
/**
Repair rounds until a gap is given up: `dropRounds` when the origin itself no longer holds it, `giveUpRounds` when
possible holders are unreachable.
*/
const dropRounds = 2;
const giveUpRounds = 30;

/** Evidence that a stream lacks batches. `peer`: a holder, if known. `inTicks`: earliest request. */
export type Evidence = {
	readonly peer: NodeId | undefined;
	readonly high: number;
	readonly inTicks: number;
	readonly isCatchUp: boolean;
};
type Request = {
	readonly peer: NodeId;
	readonly topic: TopicStreams;
	readonly streams: readonly Stream[];
	/** Streams that the answer has brought batches of. */
	readonly got: Set<Stream>;
	readonly bytes: number;
	refreshedTick: number;
};
/** A request to a peer about a topic while it is being assembled. */
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
	readonly #timeouts = new Map<NodeId, number>();
	#isUrgent = false;

	/**
	@param onLost everything before `next` is lost for good.
	@param isBusy the peer has an outstanding request for the topic from elsewhere.
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

	/** Number of streams that lack batches. */
	get waiting(): number {
		return this.#lacking.size;
	}

	/** Number of messages that are missing here, as far as this node knows. */
	get missing(): number {
		let missing = 0;
		for (const {known, next} of this.#lacking) missing += Math.max(0, known - next + 1);
		return missing;
	}

	/** The same for each origin, the most first. */
	missingOf(): ReadonlyArray<{readonly origin: NodeId; readonly messages: number}> {
		const byOrigin = new Map<NodeId, number>();
		for (const {origin, known, next} of this.#lacking)
			if (known >= next) byOrigin.set(origin.id, (byOrigin.get(origin.id) ?? 0) + known - next + 1);
		return [...byOrigin]
			.map(([origin, messages]) => ({origin, messages}))
			.toSorted((one, other) => other.messages - one.messages);
	}

	isAsking(peer: NodeId, name: Topic): boolean {
		const topic = this.#streams.topics.get(name);
		return topic !== undefined && this.#requests.get(peer)?.has(topic) === true;
	}

	/** Notes that the stream continues up to `high`, held by `peer`. No request leaves within `inTicks`. */
	lacks(stream: Stream, {peer, high, inTicks, isCatchUp}: Evidence): void {
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
				deletedTo: 0,
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

	/** A batch of an answer arrived, new or not. */
	answered(peer: NodeId, stream: Stream): void {
		const request = this.#requests.get(peer)?.get(stream.topic);
		if (!request) return;
		request.refreshedTick = this.#context.now;
		request.got.add(stream);
	}

	/** The answer is complete, within its budget. */
	served(peer: NodeId, topic: TopicStreams): void {
		const request = this.#requests.get(peer)?.get(topic);
		if (request) this.#finish(request, false);
	}

	/** Answers a request: serves the ranges in our log, and reports where the others continue. */
	serve(from: NodeId, {topic, wants, bytesMax}: PacketOf<'iwant'>): void {
		const {outbox, config} = this.#context;
		const served: Want[] = [];
		const gaps: AbsentRange[] = [];
		const deleted: DeletedRange[] = [];
		for (const want of wants) {
			const stream = this.#streams.find(topic, want.origin, want.incarnation);
			const range = stream?.ranges.find(({to}) => to >= want.from);
			if (range && range.from <= want.from) served.push({...want, to: Math.min(want.to, range.to)});
			else {
				gaps.push([want.origin, want.incarnation, want.from, range?.from ?? 0]);
				if (stream && stream.deletedTo >= want.from)
					deleted.push([want.origin, want.incarnation, stream.deletedTo]);
			}
		}

		if (gaps.length > 0 || served.length === 0)
			outbox.send(from, {
				type: 'ihavenot',
				topic,
				gaps,
				isEnd: served.length === 0,
				...(deleted.length > 0 && {deleted}),
			});
		if (served.length > 0)
			outbox.serve({to: from, topic, wants: served, bytesMax: Math.min(bytesMax, config.repairBytes)});
	}

	refused(peer: NodeId, {topic: name, gaps, isEnd, deleted = []}: PacketOf<'ihavenot'>): void {
		for (const [origin, incarnation, to] of deleted) {
			const lack = this.#streams.find(name, origin, incarnation)?.lack;
			if (lack) lack.deletedTo = Math.max(lack.deletedTo, to);
		}

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

	/**
	The set of possible holders has changed: ask all of them again. An origin that appeared after a long time needs time
	to answer, because the first packets between the two may be lost (seed 57281).
	*/
	again(appeared: readonly NodeId[]): void {
		const {now} = this.#context;
		for (const {lack, origin} of this.#lacking) {
			lack!.tried.clear();
			lack!.cycles = 0;
			lack!.dueTick = Math.min(lack!.dueTick, now + 1);
			if (appeared.includes(origin.id)) lack!.stuckTick = now;
		}
	}

	gone(peer: NodeId): void {
		for (const request of [...(this.#requests.get(peer)?.values() ?? [])]) this.#finish(request, true);
		this.#timeouts.delete(peer);
		for (const stream of this.#lacking) {
			stream.lack!.claims.delete(peer);
			stream.lack!.refusals.delete(peer);
		}
	}

	/** Stops the repair of the stream: it is forgotten, or no longer wanted. */
	forget(stream: Stream): void {
		stream.lack = undefined;
		this.#lacking.delete(stream);
	}

	tick(): void {
		const {now} = this.#context;
		for (const [peer, requests] of this.#requests) {
			const timeout = this.#timeouts.get(peer) ?? this.#context.ticks(answerTimeoutMs);
			for (const request of requests.values()) {
				if (now - request.refreshedTick <= timeout) continue;
				this.#timeouts.set(peer, Math.min(timeout * 2, this.#context.ticks(answerTimeoutMsMax)));
				this.#finish(request, true);
			}
		}

		this.#isUrgent = this.#lacking.size > 0;
	}

	/** Assembles and sends the requests that are due. */
	pump(): void {
		if (!this.#isUrgent) return;
		this.#isUrgent = false;
		const drafts = new Map<NodeId, Map<TopicStreams, Draft>>();
		for (const stream of this.#lacking) {
			const lack = stream.lack!;
			if (stream.next > stream.known) this.forget(stream);
			else if (!stream.isPaused && lack.asked === undefined && lack.dueTick <= this.#context.now)
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
		if (heldFrom <= next) return; // The batch is here; it waits for an older incarnation.
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
		if (free.length === 0) return; // Asked when the outstanding answer is complete.
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
	The best kind of peer left: a known holder, else the origin, else any subscriber. Among the holders the origin is
	best: what it sends needs no signature to be checked.
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
		if (claimed.includes(origin.id)) return [origin.id];
		if (claimed.length > 0) return claimed;
		return isAble(origin.id) ? [origin.id] : topic.subscribers.filter(isAble);
	}

	/** No candidate is left: start another cycle later, or give up the gap if no node has it. */
	#exhausted(stream: Stream, lack: Lack, heldFrom: number): void {
		const {topic, origin, next} = stream;
		const {self, now, config, removed} = this.#context;
		const hasRefused = (peer: NodeId): boolean => {
			const then = lack.refusals.get(peer);
			return then !== undefined && (then === 0 || then > next);
		};

		const others = new Set([...topic.subscribers, origin.id].filter(peer => peer !== self && !removed.has(peer)));
		const haveAllRefused = [...others].every(hasRefused);
		const continuesAt = Math.min(heldFrom, ...[...lack.refusals.values()].filter(then => then > next));
		// Until a batch waits after the gap, the gap delays nothing. A holder that returns after a long time is asked.
		if (!Number.isFinite(continuesAt)) lack.stuckTick = now;
		const stuckTicks = now - lack.stuckTick;
		const isDropped =
			(lack.refusals.get(origin.id) ?? 0) > next &&
			lack.tried.size === 0 &&
			stuckTicks > this.#context.ticks(config.repairMs * dropRounds);
		if (haveAllRefused) this.#onLost(stream, Number.isFinite(continuesAt) ? continuesAt : stream.known + 1);
		else if (
			Number.isFinite(continuesAt) &&
			(isDropped || stuckTicks > this.#context.ticks(config.repairMs * giveUpRounds))
		)
			this.#onLost(stream, continuesAt);
		else {
			lack.tried.clear();
			// A peer that had nothing may have received the batches by now.
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
			if (room < least) return; // The rest follows when an answer is complete.
			const bytesMax = Math.min(share, room);
			room -= bytesMax;
			requests.set(topic, {peer, topic, streams, got: new Set(), bytes: bytesMax, refreshedTick: now});
			for (const stream of streams) stream.lack!.asked = peer;
			outbox.send(peer, {type: 'iwant', topic: topic.name, wants, bytesMax});
		}
	}

	/** Ends a request: its answer is complete, or timed out. */
	#finish(request: Request, isTimeout: boolean): void {
		const {peer, topic, streams, got} = request;
		this.#requests.get(peer)?.delete(topic);
		if (this.#requests.get(peer)?.size === 0) this.#requests.delete(peer);
		if (!isTimeout) this.#timeouts.delete(peer);
		for (const stream of streams) {
			const {lack} = stream;
			if (lack?.asked !== peer) continue;
			lack.asked = undefined;
			// A cut answer may leave out a stream; an answer without any batch counts as no answer.
			if (isTimeout ? !got.has(stream) : got.size === 0) lack.tried.add(peer);
		}

		this.#isUrgent = true;
	}
}
