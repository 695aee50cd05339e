/**
Follower programs, which outlive the node that they read through: the real `Followed` over the real client protocol,
moving from node to node. The checks here cover all nodes of a follower together: each message once, in the order of its
stream, none from before the start of the subscription, and none missing without a report. Followers have a random
stream of their own.
*/
import type {Delivery, Subscription} from '../../../core/broker.ts';
import type {DapssError} from '../../../core/errors.ts';
import {lastSeq, type BatchHeader, type Topic} from '../../../core/message.ts';
import {incarnationsMax, type From, type TopicPosition} from '../../../core/position.ts';
import {RemoteBroker} from '../../../core/remote/client.ts';
import {Followed} from '../../../core/remote/followed.ts';
import type {Connection} from '../../../core/remote/reconnecting.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {FollowerLink} from './follower-link.ts';
import type {Host} from './host/host.ts';
import type {Event} from './plan.ts';
import type {Observer} from './observer/observer.ts';

type Follower = {
	readonly name: string;
	readonly topics: readonly Topic[];
	readonly from: From;
	/** The newest connection. */
	link: FollowerLink | undefined;
	/** The connection that its current messages come from. */
	reading: FollowerLink | undefined;
	/** Whether it has resumed at another node. */
	hasMoved: boolean;
	starts: readonly TopicPosition[] | undefined;
	followed: Followed | undefined;
	subscription: Subscription | undefined;
	/** The last sequence number by topic and stream. */
	readonly last: Map<string, number>;
	/** Missing messages, which the node has to report. */
	unreported: number;
	isOver: boolean;
};

const followersMax = 4;
/** The interval of checks whether the node still runs, and how many checks in a row may find it paused. */
const checkMs = 100;
const pausedMax = 20;
/** Errors of a node that cannot start a subscription now. */
const refusals: ReadonlySet<string | undefined> = new Set([
	'no-quorum',
	'refused',
	'closed',
	'timeout',
	'storage',
	'unreachable',
]);

export class Followers {
	readonly #observer: Observer;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #hosts: readonly Host[];
	readonly #topics: readonly Topic[];
	readonly #followers: Follower[] = [];
	/** Whether faults have ended. */
	areFaultsOver = false;
	readonly counts = {began: 0, hops: 0, messages: 0, missed: 0};

	constructor(options: {
		readonly observer: Observer;
		readonly schedule: Schedule;
		readonly random: SeededRandom;
		readonly hosts: readonly Host[];
		readonly topics: readonly Topic[];
	}) {
		this.#observer = options.observer;
		this.#schedule = options.schedule;
		this.#random = options.random;
		this.#hosts = options.hosts;
		this.#topics = options.topics;
	}

	/** Start one more follower. Returns false if there are enough, or if no node is reachable. */
	begin({a, b}: Event): boolean {
		if (this.#followers.filter(({isOver}) => !isOver).length >= followersMax || this.#reached().length === 0)
			return false;
		const topic = this.#topics[a % this.#topics.length]!;
		const follower: Follower = {
			name: `follower ${this.counts.began++}`,
			topics: b % 3 === 0 ? this.#topics : [topic],
			from: b % 3 === 1 ? b % 40 : b % 2 === 0 ? 'beginning' : 'now',
			link: undefined,
			reading: undefined,
			hasMoved: false,
			starts: undefined,
			followed: undefined,
			subscription: undefined,
			last: new Map(),
			unreported: 0,
			isOver: false,
		};
		this.#followers.push(follower);
		void this.#follow(follower);
		return true;
	}

	/** At random, a follower loses its connection or ends. */
	act(): void {
		for (const follower of this.#followers) {
			if (follower.isOver) continue;
			if (this.#random.chance(1, 60)) follower.link?.lose('the network was cut');
			else if (this.#random.chance(1, 600)) {
				follower.isOver = true;
				void follower.followed?.[Symbol.asyncDispose]();
			}
		}
	}

	/** Followers that lack messages of the node that they read through. */
	lagging(): string[] {
		return this.#followers.flatMap(follower => {
			const {name, isOver, link, starts, reading} = follower;
			if (isOver) return [];
			if (!reading || reading !== link || !reading.isServed || !starts) return [`${name} reads through no node`];
			const {host} = reading;
			if (this.#observer.messages.hasDamagedLogs(host)) return [];
			const lacking = this.#observer.messages
				.held(host)
				.find(
					([, header]) =>
						follower.topics.includes(header.topic) &&
						this.#isWanted(follower, host, header) &&
						lastSeq(header) > (follower.last.get(streamOf(header)) ?? 0),
				);
			return lacking
				? [
						`${name} of ${follower.topics.join(' ')} from ${follower.from} lacks ${lacking[0]}, which ${host.id} has`,
					]
				: [];
		});
	}

	async #follow(follower: Follower): Promise<void> {
		try {
			const first = await this.#connect(follower, undefined);
			const followed = new Followed(first, {
				connect: last => this.#connect(follower, last),
				pause: ms => this.#wait(ms),
				probe: (_connection, fail) => this.#watch(follower, fail),
				nowMs: () => this.#schedule.nowMs,
				wallMs: () => this.#schedule.nowMs,
				random: this.#random,
			});
			follower.followed = followed;
			if (follower.isOver) return await followed[Symbol.asyncDispose]();
			const subscription = followed.subscribe(follower.topics, {from: follower.from});
			follower.subscription = subscription;
			for await (const deliveries of subscription) {
				for (const delivery of deliveries) this.#judge(follower, delivery);
				if (!this.areFaultsOver && this.#random.chance(1, 3)) await this.#wait(this.#random.below(400));
			}
		} catch (error) {
			// The first node may refuse the subscription. Later refusals make the follower try the next node.
			if (follower.starts || !refusals.has((error as Partial<DapssError>).code))
				this.#violation(`a follower keeps running: ${follower.name} ended: ${(error as Error).message}`);
		}

		follower.isOver = true;
	}

	/** Connect to a reachable node, to the one that was lost only if there is no other. @throws if there is none */
	async #connect(follower: Follower, last: string | undefined): Promise<Connection> {
		await this.#wait(this.#random.between(5, 50));
		const [host] = this.#random
			.shuffle(this.#reached())
			.toSorted((one, other) => Number(one.key === last) - Number(other.key === last));
		if (!host?.node) throw Object.assign(new Error('no node is reached'), {code: 'unreachable'});
		const {node} = host;
		const link = new FollowerLink(host, node, this.#schedule, this.#random);
		host.run(() =>
			serve(node, link.server, localCaller, () =>
				this.#violation(`a follower conforms to the protocol: ${follower.name} does not`),
			),
		);
		const broker = new RemoteBroker(link.client);
		const subscribe = broker.subscribe.bind(broker);
		follower.link = link;
		return Object.assign(broker, {
			server: host.key,
			subscribe: (...[topics, options]: Parameters<typeof subscribe>) => {
				const subscription = subscribe(topics, {
					...options,
					onSkipped: skipped => {
						for (const {topic, origin, incarnation, seq} of skipped)
							follower.last.set(streamOf({topic, origin, incarnation}), seq);
						options?.onSkipped?.(skipped);
					},
				});
				follower.reading = link;
				// Until a subscription has been agreed, the follower starts anew at each node.
				follower.hasMoved = follower.starts !== undefined;
				if (follower.hasMoved) this.counts.hops++;
				else
					subscription.agreed.then(
						starts => this.#begun(follower, starts ?? []),
						() => undefined,
					);
				return subscription;
			},
		});
	}

	#begun(follower: Follower, starts: readonly TopicPosition[]): void {
		follower.starts = starts;
		for (const {topic, streams} of starts)
			for (const [origin, incarnation, seq] of streams) {
				const stream = streamOf({topic, origin, incarnation});
				// Messages below the offset may have been skipped already.
				follower.last.set(stream, Math.max(seq, follower.last.get(stream) ?? 0));
			}
	}

	#judge(follower: Follower, {topic, origin, incarnation, seq, lamport, offset}: Delivery): void {
		const {name, last, reading, hasMoved, subscription} = follower;
		const {host} = reading!;
		const stream = streamOf({topic, origin, incarnation});
		const known = last.get(stream);
		const what = `${name} gets ${stream} ${seq} from ${host.id}`;
		this.counts.messages++;
		if (known !== undefined && seq <= known)
			this.#violation(`a follower reads each message once, in order: ${what}, has ${known}`);
		if (known === undefined && hasMoved && lamport <= this.#since(follower, topic))
			this.#violation(
				`a follower gets nothing from before its start: ${what}, stamped ${lamport}, the follower started at ${this.#since(follower, topic)}`,
			);
		const missing = known === undefined ? 0 : seq - known - 1;
		const hasDamagedLogs = this.#observer.messages.hasDamagedLogs(host);
		const isGap =
			!hasMoved && (hasDamagedLogs || this.#observer.messages.offsets.isGap({node: host.key, topic}, offset));
		if (missing > 0 && !isGap) {
			follower.unreported += missing;
			this.counts.missed += missing;
			if (follower.unreported > subscription!.dropped)
				this.#violation(
					`missing messages are reported to a follower: ${what} after ${known}; ${subscription!.dropped} were reported as missing, and ${follower.unreported} are`,
				);
		}

		// The log of a node holds each stream in order.
		const isNext = !hasMoved || hasDamagedLogs || seq === (known ?? 0) + 1;
		const passed = isNext
			? undefined
			: this.#observer.messages
					.held(host)
					.find(
						([, header]) =>
							streamOf(header) === stream &&
							lastSeq(header) > (known ?? 0) &&
							header.firstSeq < seq &&
							lastSeq(header) < seq &&
							this.#isWanted(follower, host, header),
					);
		if (passed)
			this.#violation(
				`a follower gets every message of its node: ${what} after ${known}, and the node has ${passed[0]}`,
			);
		last.set(stream, seq);
	}

	/** Whether the follower must receive this message once its node has it. */
	#isWanted(follower: Follower, host: Host, header: BatchHeader): boolean {
		const {topic, origin, incarnation, lamport} = header;
		const log = this.#observer.topicLogs.logs.get(host)?.get(topic);
		if (!log || this.#observer.topicLogs.deletions.isHidden(log, header)) return false;
		// Older incarnations of an origin count as seen.
		const incarnations = [...follower.last.keys()].filter(key => key.startsWith(`${topic} ${origin}:`));
		if (incarnations.length >= incarnationsMax) return false;
		return follower.last.has(streamOf({topic, origin, incarnation})) || lamport > this.#since(follower, topic);
	}

	#since({starts}: Follower, topic: Topic): number {
		return starts?.find(start => start.topic === topic)?.since ?? 0;
	}

	/** Close a connection whose process has ended or has been silent for long. */
	#watch(follower: Follower, fail: (why: string) => void): Disposable {
		const {link} = follower;
		let isDisposed = false;
		let paused = 0;
		const check = (): void =>
			this.#schedule.after(checkMs, () => {
				if (isDisposed || !link) return;
				if (link.host.node !== link.node) return link.lose('the node has ended');
				paused = link.host.isPaused ? paused + 1 : 0;
				if (paused > pausedMax) return fail('it has not answered');
				check();
			});
		check();
		return {[Symbol.dispose]: () => void (isDisposed = true)};
	}

	#reached(): readonly Host[] {
		return this.#hosts.filter(({node, isUp, isPaused}) => node?.phase === 'running' && isUp && !isPaused);
	}

	#wait(ms: number): Promise<void> {
		return new Promise(resolve => this.#schedule.after(ms, resolve));
	}

	#violation(what: string): void {
		this.#observer.messages.offsets.violations.record(what);
	}
}

function streamOf({topic, origin, incarnation}: Pick<BatchHeader, 'topic' | 'origin' | 'incarnation'>): string {
	return `${topic} ${origin}:${incarnation}`;
}
