/**
Rules for messages, checked by the batches that topic logs receive and keep. Each message is released once per node, in
the order of its origin, only if the node subscribes to it, and after its stamp was witnessed. An offset identifies the
same message forever. Messages acknowledged to a publisher are on its disk after any crash. At the end every running
subscriber has all messages that any running node retains.
*/
import type {Published} from '../../../../core/broker.ts';
import {
	lastSeq,
	streamKey,
	type BatchHeader,
	type NodeId,
	type StreamKey,
	type Topic,
} from '../../../../core/message.ts';
import {Offsets} from '../../offsets.ts';
import type {Host} from '../host/host.ts';
import {lamportSaneMax} from '../forged-stamps.ts';
import {incarnationsMax} from '../../../../core/gossip/streams.ts';
import {ProvenDurable} from './proven-durable.ts';
import {Violations} from '../../violations.ts';

type Kept = {readonly key: string; readonly header: BatchHeader};
type TopicView = {
	/** By offset of the first message: the batches that the log holds. */
	kept: Map<number, Kept>;
	/** The batches before the reopening that is in progress. */
	before: Map<number, Kept>;
	isReopening: boolean;
	readonly last: Map<StreamKey, number>;
	/** For each stream that did not start with 1: its first number in the log, before damage. */
	readonly begins: Map<StreamKey, number>;
	/** Batches that peers sent again after damage. They may be in the log, in holes. */
	readonly returning: Set<string>;
	/** Power cuts of the machine when the log was last opened. */
	powerCuts: number;
	/** Retention recorded that offsets continue here or later. */
	floor: number;
};

type Gap = {
	readonly host: Host;
	/** The batch after the gap. */
	readonly batch: BatchHeader;
	/** The subscription of the node begins after this Lamport time. */
	readonly since: number;
	/** The last number before the gap. */
	readonly last: number;
	readonly what: string;
};

export class MessageChecks {
	readonly #topics = new Map<Host, Map<Topic, TopicView>>();
	/** Batches acknowledged to publishers, by host and topic, without regard to offsets. */
	readonly #acknowledged = new Map<Host, Map<string, Published>>();
	/** The last stamp of each host in each of its incarnations. */
	readonly #stamps = new Map<Host, Map<number, number>>();
	/** By host: origins whose messages were reported as missed. */
	readonly missed = new Map<Host, Set<NodeId>>();
	/** Machine and origin: the machine had no link to the origin when it last reported its messages as missed. */
	readonly #missedWhileCut = new Set<string>();
	/** Gaps in what was released since the last check. */
	readonly #gaps: Gap[] = [];
	readonly #damaged = new Set<Host>();
	/** Ids whose disk was copied. The stamps of the two processes are not comparable. */
	readonly #sharedIds = new Set<NodeId>();
	/** Topics that were deleted once, by node. */
	readonly #hidden = new Map<string, number>();
	readonly #proven = new ProvenDurable();
	/** Hosts whose files were cut short, which leaves no evidence. */
	readonly #cut = new Set<Host>();
	/** What readers received. */
	readonly offsets = new Offsets();
	releases = 0;
	/** Batches that were put back into holes. */
	backfills = 0;
	acknowledged = 0;
	readonly violations = new Violations();

	observe(host: Host, lamport: number): void {
		if (lamport > lamportSaneMax) this.#fail('Lamport time stays within its bound', `${host.id} is at ${lamport}`);
	}

	released(host: Host, batch: BatchHeader, offset: number): void {
		if (batch.origin === host.id && !this.#sharedIds.has(host.id)) {
			const stamps = this.#stamps.get(host) ?? new Map<number, number>();
			for (const [incarnation, last] of stamps)
				if (incarnation < batch.incarnation && last >= batch.lamport)
					this.#fail(
						'stamps rise across restarts',
						`${host.id} stamps ${batch.lamport} in incarnation ${batch.incarnation}, and ${last} in incarnation ${incarnation}`,
					);
			stamps.set(batch.incarnation, Math.max(stamps.get(batch.incarnation) ?? 0, batch.lamport));
			this.#stamps.set(host, stamps);
			this.#proven.written(
				ownKey(host, batch.topic, batch.incarnation),
				{last: lastSeq(batch), lamport: batch.lamport},
				offset + batch.count,
			);
		}

		const view = this.#view(host, batch.topic);
		const stream = streamKey(batch);
		const last = view.last.get(stream) ?? 0;
		const {node} = host;
		this.releases++;
		if (batch.firstSeq <= last)
			this.#fail('each message once, in order', `${host.id} releases ${stream} ${batch.firstSeq} after ${last}`);
		// A node's own messages of this incarnation have no gap. Other streams may have gaps, which are checked here.
		const isOwn = batch.origin === host.id && batch.incarnation === node?.options.incarnation;
		if (!isOwn && batch.firstSeq !== last + 1) this.offsets.gap({node: host.key, topic: batch.topic}, offset);
		if (batch.origin !== host.id && !this.#damaged.has(host)) {
			const since = node?.control.state.subscribers(batch.topic).get(host.id);
			if (since !== undefined && batch.lamport <= since)
				this.#fail(
					'only messages of subscriptions are released',
					`${host.id} releases ${stream} ${batch.firstSeq}`,
				);
			if (since !== undefined && batch.firstSeq !== last + 1 && batch.previousLamport > since)
				this.#gaps.push({
					host,
					batch,
					since,
					last,
					what: `${host.id} releases ${stream} ${batch.firstSeq} after ${last}`,
				});
		}

		if (node && node.options.lamport.now < batch.lamport)
			this.#fail('Lamport causality', `${host.id} releases ${batch.lamport} at ${node.options.lamport.now}`);
		if (last === 0) view.begins.set(stream, Math.max(view.begins.get(stream) ?? 1, batch.firstSeq));
		view.last.set(stream, lastSeq(batch));
		if (view.kept.has(offset)) this.#fail('an offset is assigned once', `${host.id} ${batch.topic} ${offset}`);
		view.kept.set(offset, {key: keyOf(batch), header: batch});
	}

	acknowledge(host: Host, published: Published): void {
		const {topic, incarnation, firstSeq, count} = published;
		let known = this.#acknowledged.get(host);
		if (!known) {
			known = new Map();
			this.#acknowledged.set(host, known);
		}

		this.acknowledged += count;
		this.#proven.acknowledged(ownKey(host, topic, incarnation), firstSeq + count - 1);
		known.set(`${topic} ${incarnation} ${firstSeq}`, published);
	}

	reopening(host: Host, topic: Topic): void {
		const view = this.#view(host, topic);
		// A reopening that the end of the process interrupted has read only a part.
		view.before = view.isReopening ? new Map([...view.before, ...view.kept]) : view.kept;
		view.isReopening = true;
		view.kept = new Map();
		view.last.clear();
	}

	/** A log that was not opened at the start is gone: a power cut removed all of it. */
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
			// Retention removed the whole stream.
			view.last.set(streamKey(header), header.firstSeq - 1);
			return;
		}

		const key = keyOf(header);
		const known = view.before.get(offset);
		if (known && known.key !== key)
			this.#fail(
				'an offset always identifies the same message',
				`${host.id} ${topic} ${offset}: ${known.key}, now ${key}`,
			);
		const isBack = !known && view.returning.has(key);
		if (!known && !isBack)
			this.#fail('a log holds only messages that were written', `${host.id} ${topic} reads ${key} at ${offset}`);
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

	backfilling(host: Host, topic: Topic, batches: readonly BatchHeader[]): void {
		const {returning} = this.#view(host, topic);
		for (const batch of batches) returning.add(keyOf(batch));
	}

	backfilled(
		host: Host,
		topic: Topic,
		placed: ReadonlyArray<{readonly batch: BatchHeader; readonly offset: number}>,
	): void {
		for (const {batch, offset} of placed) {
			this.backfills++;
			this.#putBack(host, this.#view(host, topic), batch, offset);
		}
	}

	/** Put a batch back into a hole, where no other batch is, in the order of its stream. */
	#putBack(host: Host, {kept, last, begins}: TopicView, header: BatchHeader, offset: number): void {
		const stream = streamKey(header);
		for (const [at, {header: other}] of kept) {
			if (at < offset + header.count && offset < at + other.count)
				this.#fail(
					'an offset is assigned once',
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
		// The gap before the start of the stream moves to the new place.
		if (isFirst && header.firstSeq <= (begins.get(stream) ?? 1))
			this.offsets.gap({node: host.key, topic: header.topic}, offset);
		kept.set(offset, {key: keyOf(header), header});
		// This batch and earlier ones of the stream are not released any more.
		last.set(stream, Math.max(last.get(stream) ?? 0, lastSeq(header)));
	}

	/** The log was read back. @param isDamaged whether the node reports damage of the log */
	reopened(host: Host, topic: Topic, nextOffset: number, isDamaged: boolean): void {
		const view = this.#view(host, topic);
		const wasDamaged = this.#damaged.has(host);
		view.isReopening = false;
		const place = {node: host.key, topic};
		if (wasDamaged) {
			const present = new Set(
				[...view.kept].flatMap(([offset, {header}]) =>
					Array.from({length: header.count}, (_, index) => offset + index),
				),
			);
			this.offsets.damaged(place, offset => present.has(offset));
		}

		this.offsets.reopened(place, nextOffset, view.powerCuts < host.powerCuts || wasDamaged);
		view.powerCuts = host.powerCuts;
		for (const [offset] of view.before) if (offset >= nextOffset) view.before.delete(offset);
		if (isDamaged || wasDamaged) this.#acknowledged.delete(host);
		const own = new Map<string, number>();
		for (const {header} of view.kept.values())
			if (header.origin === host.id)
				own.set(`${header.incarnation}`, Math.max(own.get(`${header.incarnation}`) ?? 0, lastSeq(header)));
		if (wasDamaged) this.#checkReported(host, topic, isDamaged, own, view.last);
		else if (!isDamaged) this.#checkNextOffset(host, topic, view.floor, nextOffset);
		this.#checkAcknowledged(host, topic, view, nextOffset, own);
	}

	/** The log continues after all offsets that it assigned to durable messages. */
	#checkNextOffset(host: Host, topic: Topic, floor: number, nextOffset: number): void {
		const prefix = ownKey(host, topic, '');
		const proven = this.#proven.keys().filter(key => key.startsWith(prefix));
		const end = Math.max(floor, ...proven.map(key => this.#proven.endOffset(key)));
		if (nextOffset < end)
			this.#fail(
				'offsets never go back',
				`${host.id} ${topic} continues at ${nextOffset}, and offsets up to ${end} were assigned`,
			);
	}

	/**
	Acknowledged messages are in the log, unless retention removed them.
	@param own by incarnation: the last own message in the log
	*/
	#checkAcknowledged(
		host: Host,
		topic: Topic,
		view: TopicView,
		nextOffset: number,
		own: ReadonlyMap<string, number>,
	): void {
		const acknowledged = this.#acknowledged.get(host);
		const first = Math.min(...view.kept.keys());
		for (const [id, published] of acknowledged ?? []) {
			if (published.topic !== topic) continue;
			const {incarnation, firstSeq, count} = published;
			const end = own.get(`${incarnation}`);
			if (end !== undefined && firstSeq + count - 1 <= end) continue;
			// The whole stream is gone from the front of the log: retention removed it.
			if (
				end === undefined &&
				(first > 0 || nextOffset > 0) &&
				view.last.get(streamKey({topic, origin: host.id, incarnation})) !== undefined
			) {
				acknowledged!.delete(id);
				continue;
			}

			this.#fail(
				'acknowledged messages are on the disk',
				`${host.id} ${topic} ${incarnation}:${firstSeq}+${count} is gone`,
			);
		}
	}

	/**
	Retention removed everything before the offset, and first recorded that offsets continue at `nextOffset` or later.
	Returns the batches that were removed.
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

		// A mark remembers a stream that is gone. Until the next record, nothing proves that the mark is durable.
		for (const key of this.#proven.keys())
			if (key.startsWith(ownKey(host, topic, '')) && this.#proven.endOffset(key) <= firstOffset)
				this.#proven.forget(key);
		return gone;
	}

	/**
	After an event: every gap must have been reported by now, and its messages must be lost. They are not if their
	origin is linked and has them.
	*/
	checkGaps(): void {
		for (const gap of this.#gaps.splice(0)) {
			const {host, batch, what} = gap;
			if (!this.missed.get(host)?.has(batch.origin)) this.#fail('no gap', what);
			const there = this.#atOrigin(gap);
			if (there) this.#fail('no gap', `${what}, although ${batch.origin} has ${there.firstSeq}+${there.count}`);
		}
	}

	/** A wanted batch of the gap that its origin still serves to the node. */
	#atOrigin({host, batch, since, last}: Gap): BatchHeader | undefined {
		const {origin, topic, incarnation} = batch;
		if (this.#sharedIds.has(origin)) return undefined;
		const [at, ...others] = [...this.#topics.keys()].filter(({id, node}) => id === origin && node !== undefined);
		if (
			!at ||
			others.length > 0 ||
			this.#damaged.has(at) ||
			// A node gives up messages of an origin that stays away, which may return at that moment (seed 48255).
			this.#missedWhileCut.has(`${host.key} ${origin}`) ||
			!host.options.fabric.isLinked(host.key, at.key)
		)
			return undefined;
		const hiddenUntil = Math.max(...[host, at].map(one => this.#hidden.get(ownKey(one, topic, '')) ?? 0), since);
		for (const {header} of this.#topics.get(at)!.get(topic)?.kept.values() ?? [])
			if (
				header.origin === origin &&
				header.incarnation === incarnation &&
				header.firstSeq > last &&
				header.firstSeq < batch.firstSeq &&
				header.lamport > hiddenUntil
			)
				return header;
		return undefined;
	}

	/** The node reports messages of the origin as lost. */
	reportMissed(host: Host, origin: NodeId): void {
		if (this.#damaged.has(host)) this.#allowGaps(host, origin);
		const isLinked = [...this.#topics.keys()].some(
			({id, key}) => id === origin && host.options.fabric.isLinked(host.key, key),
		);
		if (isLinked) this.#missedWhileCut.delete(`${host.key} ${origin}`);
		else this.#missedWhileCut.add(`${host.key} ${origin}`);
		const known = this.missed.get(host);
		if (known) known.add(origin);
		else this.missed.set(host, new Set([origin]));
	}

	/** Damage removed messages of the origin, so gaps in its streams may be anywhere. */
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

	/** Topic logs were damaged while the node was down: messages may be missing, but none may be wrong. */
	logsDamaged(host: Host, kind: 'flip' | 'truncate'): void {
		this.#damaged.add(host);
		if (kind === 'truncate') this.#cut.add(host);
	}

	hasDamagedLogs(host: Host): boolean {
		return this.#damaged.has(host);
	}

	/** Another machine gets a copy of this one's disk. */
	copied(host: Host, copy: Host): void {
		this.#sharedIds.add(host.id);
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
		if (this.#damaged.has(host)) this.#damaged.add(copy);
		if (this.#cut.has(host)) this.#cut.add(copy);
		const missed = this.missed.get(host);
		if (missed) this.missed.set(copy, new Set(missed));
	}

	wiped(host: Host): void {
		this.#topics.delete(host);
		this.#acknowledged.delete(host);
		this.#stamps.delete(host);
		this.#damaged.delete(host);
		this.#cut.delete(host);
		this.missed.delete(host);
	}

	/**
	Messages that a running node holds and a running subscriber lacks. The origin of each must run, and the subscriber
	must not have reported the message as missed.
	*/
	lacking(hosts: readonly Host[]): string[] {
		const up = hosts.filter(({node}) => node?.phase === 'running');
		const retained = new Map<string, BatchHeader>();
		for (const host of up) for (const [key, header] of this.held(host)) retained.set(key, header);
		return up.flatMap(host => this.lacks(host, retained, up));
	}

	/** Everything in the log of a machine now. */
	held(host: Host): ReadonlyArray<readonly [string, BatchHeader]> {
		return [...(this.#topics.get(host)?.values() ?? [])].flatMap(({kept}) =>
			[...kept.values()].map(({key, header}) => [key, header] as const),
		);
	}

	/** The batch in the log of a machine that ends right before the offset. */
	endingAt(host: Host, topic: Topic, end: number): BatchHeader | undefined {
		return [...(this.#topics.get(host)?.get(topic)?.kept ?? [])].find(
			([offset, {header}]) => offset + header.count === end,
		)?.[1].header;
	}

	/** Which of these messages the node subscribes to, lacks and never had. @param up all nodes that run */
	lacks(host: Host, offered: Iterable<readonly [string, BatchHeader]>, up: readonly Host[]): string[] {
		if (this.#damaged.has(host)) return [];
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
			// Gossip remembers the newest incarnations of an origin and skips older ones.
			if (newest >= header.incarnation + incarnationsMax) continue;
			const last = this.#topics.get(host)?.get(header.topic)?.last.get(streamKey(header));
			if (lastSeq(header) <= (last ?? 0)) continue; // It was here, or an earlier subscription skipped it.
			problems.push(`${host.id} lacks ${key}`);
		}

		return problems;
	}

	/** Whether only this machine's log has the message: no running node that subscribes to the topic ever had it. */
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

	/** A topic of the node was deleted, with its messages up to this Lamport time. */
	hidden(host: Host, topic: Topic, until: number): void {
		const prefix = ownKey(host, topic, '');
		this.#hidden.set(prefix, Math.max(this.#hidden.get(prefix) ?? 0, until));
	}

	/** Own messages that are proven durable are present, or their loss was reported. Deletions need no report. */
	#checkReported(
		host: Host,
		topic: Topic,
		isDamaged: boolean,
		own: ReadonlyMap<string, number>,
		last: ReadonlyMap<StreamKey, number>,
	): void {
		const prefix = ownKey(host, topic, '');
		const hiddenUntil = this.#hidden.get(prefix) ?? 0;
		for (const key of this.#proven.keys().filter(name => name.startsWith(prefix))) {
			const incarnation = key.slice(prefix.length);
			const proven = this.#proven.last(key, hiddenUntil);
			const isGone =
				!own.has(incarnation) &&
				// Retention removed the whole stream.
				last.has(streamKey({topic, origin: host.id, incarnation: Number(incarnation)}));
			if (!isDamaged && !this.#cut.has(host) && !isGone && (own.get(incarnation) ?? 0) < proven)
				this.#fail(
					'damage is reported',
					`${host.id} ${topic} lost ${incarnation}:${proven} and reports nothing`,
				);
			this.#proven.forget(key);
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
		throw this.violations.record(`${rule}: ${what}`);
	}
}

function ownKey(host: Host, topic: Topic, incarnation: number | string): string {
	return `${host.key} ${topic} ${incarnation}`;
}

function keyOf(header: BatchHeader): string {
	return `${streamKey(header)}@${header.firstSeq}+${header.count}`;
}
