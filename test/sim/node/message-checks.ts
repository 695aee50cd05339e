/**
What must hold of messages, judged from what topic logs get and keep: each once on a node, in the order of its origin,
only what is wanted, after its stamp was witnessed; an offset means the same message for ever; what was acknowledged to
a publisher is on its disk after any crash; and in the end every live subscriber has what any live node retains.
*/
import {lastSeq, streamKey, type BatchHeader, type NodeId, type StreamKey, type Topic} from '../../../core/message.ts';
import {Offsets} from '../offsets.ts';
import type {Host} from './host.ts';
import {saneMax} from './poison.ts';
import {Vouched} from './vouched.ts';

type Kept = {readonly key: string; readonly header: BatchHeader};
type TopicView = {
	/** By offset of the first message: what the log holds. */
	kept: Map<number, Kept>;
	/** What was there before the reopening that is under way. */
	before: Map<number, Kept>;
	isReopening: boolean;
	readonly last: Map<StreamKey, number>;
	/** Where each stream that did not begin with 1 began in the log, before damage. */
	readonly begins: Map<StreamKey, number>;
	/** What peers gave back of what damage took: it may be in the log, under offsets of holes. */
	readonly returning: Set<string>;
	/** Of the machine, when the log was opened last. */
	powerCuts: number;
	/** Retention wrote down that offsets go on from here at least. */
	floor: number;
};

/** As in `core/gossip`. */
const livesMax = 4;

export class MessageChecks {
	readonly #topics = new Map<Host, Map<Topic, TopicView>>();
	/** Acknowledged to publishers, by host and topic: offsets do not matter, the batches do. */
	readonly #acknowledged = new Map<
		Host,
		Map<
			string,
			{readonly topic: Topic; readonly incarnation: number; readonly firstSeq: number; readonly count: number}
		>
	>();
	/** The last stamp that each host gave in each of its lives. */
	readonly #stamps = new Map<Host, Map<number, number>>();
	/** Origins whose stream was told as missed, by host. */
	readonly missed = new Map<Host, Set<NodeId>>();
	/** Left out by a release, and not told yet. */
	readonly #gaps: Array<{readonly host: Host; readonly origin: NodeId; readonly what: string}> = [];
	readonly #spoilt = new Set<Host>();
	/** Ids whose disk was copied: what one of the two stamps says nothing about the other. */
	readonly #doubled = new Set<NodeId>();
	/** Topics of nodes that were deleted once. */
	readonly #hidden = new Set<string>();
	readonly #vouched = new Vouched();
	/** Files were cut short, which leaves nothing that would tell. */
	readonly #cut = new Set<Host>();
	/** What readers got. */
	readonly offsets = new Offsets();
	releases = 0;
	/** Batches that came back into holes. */
	refills = 0;
	acknowledged = 0;
	/** The first violation: one that is found within a promise callback would be lost otherwise. */
	problem: Error | undefined;

	observe(host: Host, lamport: number): void {
		if (lamport > saneMax) this.#fail('Lamport time is not poisoned', `${host.id} is at ${lamport}`);
	}

	released(host: Host, batch: BatchHeader, offset: number): void {
		if (batch.origin === host.id && !this.#doubled.has(host.id)) {
			const stamps = this.#stamps.get(host) ?? new Map<number, number>();
			for (const [incarnation, last] of stamps)
				if (incarnation < batch.incarnation && last >= batch.lamport)
					this.#fail(
						'stamps rise over restarts',
						`${host.id} stamps ${batch.lamport} in life ${batch.incarnation}, ${last} in life ${incarnation}`,
					);
			stamps.set(batch.incarnation, Math.max(stamps.get(batch.incarnation) ?? 0, batch.lamport));
			this.#stamps.set(host, stamps);
			this.#vouched.written(ownKey(host, batch.topic, batch.incarnation), lastSeq(batch), offset + batch.count);
		}

		const view = this.#view(host, batch.topic);
		const stream = streamKey(batch);
		const last = view.last.get(stream) ?? 0;
		const {node} = host;
		this.releases++;
		if (batch.firstSeq <= last)
			this.#fail('each message once, in order', `${host.id} releases ${stream} ${batch.firstSeq} behind ${last}`);
		// Nothing is left out of what a node publishes in this life; of the rest some may be, and whether it may is
		// judged here.
		const isOwn = batch.origin === host.id && batch.incarnation === node?.options.incarnation;
		if (!isOwn && batch.firstSeq !== last + 1) this.offsets.gap({node: host.key, topic: batch.topic}, offset);
		if (batch.origin !== host.id && !this.#spoilt.has(host)) {
			const since = node?.control.state.subscribers(batch.topic).get(host.id);
			if (since !== undefined && batch.lamport <= since)
				this.#fail('only what is wanted', `${host.id} releases ${stream} ${batch.firstSeq}`);
			if (
				since !== undefined &&
				batch.firstSeq !== last + 1 &&
				batch.previousLamport > since &&
				!this.missed.get(host)?.has(batch.origin)
			)
				this.#gaps.push({
					host,
					origin: batch.origin,
					what: `${host.id} releases ${stream} ${batch.firstSeq} behind ${last}`,
				});
		}

		if (node && node.options.lamport.now < batch.lamport)
			this.#fail('Lamport causality', `${host.id} releases ${batch.lamport} at ${node.options.lamport.now}`);
		if (last === 0) view.begins.set(stream, Math.max(view.begins.get(stream) ?? 1, batch.firstSeq));
		view.last.set(stream, lastSeq(batch));
		if (view.kept.has(offset)) this.#fail('an offset is given once', `${host.id} ${batch.topic} ${offset}`);
		view.kept.set(offset, {key: keyOf(batch), header: batch});
	}

	acknowledge(
		host: Host,
		topic: Topic,
		{
			incarnation,
			firstSeq,
			count,
		}: {readonly incarnation: number; readonly firstSeq: number; readonly count: number},
	): void {
		let known = this.#acknowledged.get(host);
		if (!known) {
			known = new Map();
			this.#acknowledged.set(host, known);
		}

		this.acknowledged += count;
		this.#vouched.acknowledged(ownKey(host, topic, incarnation), firstSeq + count - 1);
		known.set(`${topic} ${incarnation} ${firstSeq}`, {topic, incarnation, firstSeq, count});
	}

	reopening(host: Host, topic: Topic): void {
		const view = this.#view(host, topic);
		// One that did not come to its end, as the process ended, has read a part.
		view.before = view.isReopening ? new Map([...view.before, ...view.kept]) : view.kept;
		view.isReopening = true;
		view.kept = new Map();
		view.last.clear();
	}

	/** What was not opened at the start is not there: a power cut took the whole of it. */
	started(host: Host, opened: ReadonlySet<Topic>): void {
		for (const topic of this.#topics.get(host)?.keys() ?? []) {
			if (opened.has(topic)) continue;
			this.reopening(host, topic);
			this.reopened(host, topic, 0, false);
		}
	}

	recovered(host: Host, topic: Topic, header: BatchHeader, offset: number): void {
		const view = this.#view(host, topic);
		if (header.count === 0) {
			// Retention took the stream as a whole.
			view.last.set(streamKey(header), header.firstSeq - 1);
			return;
		}

		const key = keyOf(header);
		const known = view.before.get(offset);
		if (known && known.key !== key)
			this.#fail('an offset means the same for ever', `${host.id} ${topic} ${offset}: ${known.key}, now ${key}`);
		const isBack = !known && view.returning.has(key);
		if (!known && !isBack) this.#fail('nothing is made up', `${host.id} ${topic} reads ${key} at ${offset}`);
		if (isBack) return this.#putBack(host, view, header, offset);
		if (view.returning.has(key)) {
			view.kept.set(offset, {key, header});
			return;
		}

		if (header.firstSeq <= (view.last.get(streamKey(header)) ?? 0))
			this.#fail('each message once, in order', `${host.id} reads ${key} again`);
		view.last.set(streamKey(header), lastSeq(header));
		view.kept.set(offset, {key, header});
	}

	refilling(host: Host, topic: Topic, batches: readonly BatchHeader[]): void {
		const {returning} = this.#view(host, topic);
		for (const batch of batches) returning.add(keyOf(batch));
	}

	refilled(
		host: Host,
		topic: Topic,
		placed: ReadonlyArray<{readonly batch: BatchHeader; readonly offset: number}>,
	): void {
		for (const {batch, offset} of placed) {
			this.refills++;
			this.#putBack(host, this.#view(host, topic), batch, offset);
		}
	}

	/** In a hole, where no other is, and in the order of its stream. */
	#putBack(host: Host, {kept, last, begins}: TopicView, header: BatchHeader, offset: number): void {
		const stream = streamKey(header);
		for (const [at, {header: other}] of kept) {
			if (at < offset + header.count && offset < at + other.count)
				this.#fail(
					'an offset is given once',
					`${host.id} ${stream} ${header.firstSeq} at ${offset}, where ${at} is`,
				);
			if (streamKey(other) === stream && at < offset !== other.firstSeq < header.firstSeq)
				this.#fail(
					'each message once, in order',
					`${host.id} puts ${stream} ${header.firstSeq} at ${offset}, has ${other.firstSeq} at ${at}`,
				);
		}

		const isFirst =
			header.firstSeq > 1 &&
			!kept.entries().some(([at, {header: other}]) => at < offset && streamKey(other) === stream);
		// The gap before its beginning moves with it, to where it is put.
		if (isFirst && header.firstSeq <= (begins.get(stream) ?? 1))
			this.offsets.gap({node: host.key, topic: header.topic}, offset);
		kept.set(offset, {key: keyOf(header), header});
		// Not released any more, and nothing before it is.
		last.set(stream, Math.max(last.get(stream) ?? 0, lastSeq(header)));
	}

	reopened(host: Host, topic: Topic, nextOffset: number, isDamaged: boolean): void {
		const view = this.#view(host, topic);
		view.isReopening = false;
		const place = {node: host.key, topic};
		if (this.#spoilt.has(host)) {
			const there = new Set(
				[...view.kept].flatMap(
					([
						offset,
						{
							header: {count},
						},
					]) => Array.from({length: count}, (_, index) => offset + index),
				),
			);
			this.offsets.damaged(place, offset => there.has(offset));
		}

		this.offsets.reopened(place, nextOffset, view.powerCuts < host.powerCuts || this.#spoilt.has(host));
		view.powerCuts = host.powerCuts;
		const first = Math.min(...view.kept.keys());
		for (const [offset] of view.before) if (offset >= nextOffset) view.before.delete(offset);
		if (isDamaged || this.#spoilt.has(host)) this.#acknowledged.delete(host);
		const own = new Map<string, number>();
		for (const {header} of view.kept.values())
			if (header.origin === host.id)
				own.set(`${header.incarnation}`, Math.max(own.get(`${header.incarnation}`) ?? 0, lastSeq(header)));
		const floors = new Map<string, number>();
		for (const {header} of view.kept.values())
			if (header.origin === host.id && !floors.has(`${header.incarnation}`))
				floors.set(`${header.incarnation}`, header.firstSeq);
		if (this.#spoilt.has(host)) this.#checkTold(host, topic, isDamaged, own, view.last);
		else if (!isDamaged) {
			const end = Math.max(
				view.floor,
				...this.#vouched
					.keys()
					.filter(key => key.startsWith(ownKey(host, topic, '')))
					.map(key => this.#vouched.endOffset(key)),
			);
			if (nextOffset < end)
				this.#fail('offsets never go back', `${host.id} ${topic} goes on at ${nextOffset}, ${end} was given`);
		}

		for (const [id, {topic: of, incarnation, firstSeq, count}] of this.#acknowledged.get(host) ?? []) {
			if (of !== topic) continue;
			const end = own.get(`${incarnation}`);
			if (end !== undefined && firstSeq + count - 1 <= end) continue;
			// Gone as a whole, from the front: retention, which takes the oldest.
			if (
				end === undefined &&
				(first > 0 || nextOffset > 0) &&
				view.last.get(streamKey({topic, origin: host.id, incarnation})) !== undefined
			) {
				this.#acknowledged.get(host)!.delete(id);
				continue;
			}

			this.#fail(
				'acknowledged is on the disk',
				`${host.id} ${topic} ${incarnation}:${firstSeq}+${count} is gone`,
			);
		}
	}

	/**
	Retention took what is before the offset, and wrote down first that offsets go on at `nextOffset` or later. What
	went.
	*/
	retained(host: Host, topic: Topic, firstOffset: number, nextOffset: number): readonly BatchHeader[] {
		const view = this.#view(host, topic);
		const {kept} = view;
		view.floor = Math.max(view.floor, nextOffset);
		const gone: BatchHeader[] = [];
		for (const [offset, {header}] of kept) {
			if (offset + header.count > firstOffset) continue;
			kept.delete(offset);
			gone.push(header);
		}

		// What went as a whole is known by a mark, which nothing vouches for before the next record.
		for (const key of this.#vouched.keys())
			if (key.startsWith(ownKey(host, topic, '')) && this.#vouched.endOffset(key) <= firstOffset)
				this.#vouched.forget(key);
		return gone;
	}

	/** After an event: whatever was left out has been told by now. */
	settle(): void {
		for (const {host, origin, what} of this.#gaps.splice(0))
			if (!this.missed.get(host)?.has(origin)) this.#fail('no gap', what);
	}

	/** A node said that messages of the origin are lost to it. */
	toldMissed(host: Host, origin: NodeId): void {
		if (this.#spoilt.has(host)) this.#allowGaps(host, origin);
		const known = this.missed.get(host);
		if (known) known.add(origin);
		else this.missed.set(host, new Set([origin]));
	}

	/** Messages of the origin that damage took have no place any more: where they are left out may be anywhere. */
	#allowGaps(host: Host, origin: NodeId): void {
		for (const [topic, {kept}] of this.#topics.get(host) ?? []) {
			const last = new Map<StreamKey, number>();
			for (const [offset, {header}] of [...kept].toSorted(([a], [b]) => a - b)) {
				const stream = streamKey(header);
				if (header.origin === origin && header.firstSeq !== (last.get(stream) ?? 0) + 1)
					this.offsets.gap({node: host.key, topic}, offset);
				last.set(stream, lastSeq(header));
			}
		}
	}

	/** Bits of its topic logs were changed while it was down: what is read must still be true, some may be missing. */
	spoil(host: Host, kind: 'flip' | 'truncate'): void {
		this.#spoilt.add(host);
		if (kind === 'truncate') this.#cut.add(host);
	}

	isSpoilt(host: Host): boolean {
		return this.#spoilt.has(host);
	}

	/** Another machine has all that this one's disk has. */
	copied(host: Host, copy: Host): void {
		this.#doubled.add(host.id);
		const views = [...(this.#topics.get(host) ?? [])].map(
			([topic, view]) =>
				[
					topic,
					{
						...view,
						kept: new Map(view.kept),
						before: new Map(view.before),
						last: new Map(view.last),
						begins: new Map(view.begins),
						returning: new Set(view.returning),
						powerCuts: copy.powerCuts,
					},
				] as const,
		);
		this.#topics.set(copy, new Map(views));
		for (const [topic] of views) this.offsets.copied({node: host.key, topic}, {node: copy.key, topic});
		if (this.#spoilt.has(host)) this.#spoilt.add(copy);
		if (this.#cut.has(host)) this.#cut.add(copy);
		const missed = this.missed.get(host);
		if (missed) this.missed.set(copy, new Set(missed));
	}

	wiped(host: Host): void {
		this.#topics.delete(host);
		this.#acknowledged.delete(host);
		this.#stamps.delete(host);
		this.#spoilt.delete(host);
		this.#cut.delete(host);
		this.missed.delete(host);
	}

	/**
	What a live node holds and a live subscriber that wants it does not; the origin of each must live, or the message be
	told as missed.
	*/
	lacking(hosts: readonly Host[]): string[] {
		const up = hosts.filter(({node}) => node?.phase === 'running');
		const retained = new Map<string, BatchHeader>();
		for (const host of up) for (const [key, header] of this.held(host)) retained.set(key, header);
		return up.flatMap(host => this.lacks(host, retained, up));
	}

	/** All that is in the log of a machine now. */
	held(host: Host): ReadonlyArray<readonly [string, BatchHeader]> {
		return [...(this.#topics.get(host)?.values() ?? [])].flatMap(({kept}) =>
			[...kept.values()].map(({key, header}) => [key, header] as const),
		);
	}

	/** The batch in the log of a machine whose last message is before the offset. */
	endingAt(host: Host, topic: Topic, end: number): BatchHeader | undefined {
		return [...(this.#topics.get(host)?.get(topic)?.kept ?? [])].find(
			([offset, {header}]) => offset + header.count === end,
		)?.[1].header;
	}

	/** What of these messages the node wants, has not, and never had. @param up all nodes that run */
	lacks(host: Host, offered: Iterable<readonly [string, BatchHeader]>, up: readonly Host[]): string[] {
		if (this.#spoilt.has(host)) return [];
		const origins = new Map(up.map(({id, node}) => [id, node!.options.incarnation]));
		const has = new Set(this.held(host).map(([key]) => key));
		const problems: string[] = [];
		for (const [key, header] of offered) {
			const since = host.node!.control.state.subscribers(header.topic).get(host.id);
			const newest = origins.get(header.origin);
			if (
				since === undefined ||
				header.lamport <= since ||
				has.has(key) ||
				newest === undefined ||
				this.missed.get(host)?.has(header.origin)
			)
				continue;
			// Gossip remembers the newest lives of an origin; older ones are passed over.
			if (newest >= header.incarnation + livesMax) continue;
			const last = this.#topics.get(host)?.get(header.topic)?.last.get(streamKey(header));
			if (lastSeq(header) <= (last ?? 0)) continue; // Was here, or was skipped by an older wish.
			problems.push(`${host.id} lacks ${key}`);
		}

		return problems;
	}

	/** The machine's log has this message, and no node that runs and wants its topic ever had it. */
	isStranded(
		host: Host,
		{topic, incarnation, seq}: {readonly topic: Topic; readonly incarnation: number; readonly seq: number},
		running: readonly Host[],
	): boolean {
		const stream = streamKey({origin: host.id, incarnation, topic});
		const kept = [...(this.#topics.get(host)?.get(topic)?.kept.values() ?? [])].find(
			({header}) => streamKey(header) === stream && header.firstSeq <= seq && lastSeq(header) >= seq,
		);
		if (!kept) return false;
		const wanting = running.filter(
			other => (other.node!.control.state.subscribers(topic).get(other.id) ?? Infinity) < kept.header.lamport,
		);
		return (
			wanting.length > 0 &&
			running.every(
				other =>
					(this.#topics.get(other)?.get(topic)?.last.get(stream) ?? 0) < seq &&
					!this.missed.get(other)?.has(host.id),
			)
		);
	}

	/** A topic of the node was deleted. */
	hidden(host: Host, topic: Topic): void {
		this.#hidden.add(ownKey(host, topic, ''));
	}

	/** What a later record vouches for is there, or its loss was told. Of what was deleted nothing need be told. */
	#checkTold(
		host: Host,
		topic: Topic,
		isDamaged: boolean,
		own: ReadonlyMap<string, number>,
		last: ReadonlyMap<StreamKey, number>,
	): void {
		const prefix = ownKey(host, topic, '');
		if (this.#hidden.has(prefix)) return;
		for (const key of this.#vouched.keys().filter(name => name.startsWith(prefix))) {
			const incarnation = key.slice(prefix.length);
			const vouched = this.#vouched.last(key);
			const isGone =
				!own.has(incarnation) &&
				// By retention, as a whole.
				last.has(streamKey({topic, origin: host.id, incarnation: Number(incarnation)}));
			if (!isDamaged && !this.#cut.has(host) && !isGone && (own.get(incarnation) ?? 0) < vouched)
				this.#fail('damage is told', `${host.id} ${topic} lost ${incarnation}:${vouched} and says nothing`);
			this.#vouched.forget(key);
		}
	}

	#view(host: Host, topic: Topic): TopicView {
		let topics = this.#topics.get(host);
		if (!topics) {
			topics = new Map();
			this.#topics.set(host, topics);
		}

		let view = topics.get(topic);
		if (!view) {
			view = {
				kept: new Map(),
				before: new Map(),
				isReopening: false,
				last: new Map(),
				begins: new Map(),
				returning: new Set(),
				powerCuts: host.powerCuts,
				floor: 0,
			};
			topics.set(topic, view);
		}

		return view;
	}

	#fail(rule: string, what: string): never {
		this.problem ??= new Error(`${rule}: ${what}`);
		throw this.problem;
	}
}

function ownKey(host: Host, topic: Topic, incarnation: number | string): string {
	return `${host.key} ${topic} ${incarnation}`;
}

function keyOf(header: BatchHeader): string {
	return `${streamKey(header)}@${header.firstSeq}+${header.count}`;
}
