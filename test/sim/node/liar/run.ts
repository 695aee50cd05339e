/**
A run with a member that lies (`lies.ts`), from a seed. A cluster forms. One member, never the majority, lies about some
things for a while, while honest hosts restart and links fail. Then the honest nodes remove it as an operator would:
while it lies, if they can agree; else its process is stopped, started again as an honest one, and stays.

Raft tolerates no voter that lies. What must hold all the same:

- No honest process ends by itself, whatever it receives.
- No number that only grows (term, log index, Lamport time, incarnation) is used up, and memory has bounds.
- The agreed states of honest nodes at equal indexes are equal, unless the liar voted twice, acknowledged what it did
  not store, or changed entries.
- After it is gone, the honest nodes elect a leader, agree on something new, and see one another as alive. What they
  publish then reaches all of them.
- Messages of honest nodes that were acknowledged before arrive too, unless the liar lied about which messages exist.
*/
import {encode} from '../../../../core/codec.ts';
import type {NodeId, Topic} from '../../../../core/message.ts';
import {messagesOf} from '../../../../core/message.ts';
import {protocolMax} from '../../../../core/version.ts';
import {createRandom, hash32, type SeededRandom} from '../../random.ts';
import type {Schedule} from '../../schedule.ts';
import type {Outcome} from '../cluster.ts';
import {Course, raftText, shortId} from '../course.ts';
import {noDiskCounts, SimDisk} from '../disk.ts';
import {Fabric} from '../fabric.ts';
import {Host} from '../host/host.ts';
import {drawOptions} from '../run-options.ts';
import {Liar, lieKinds, type Lie} from './lies.ts';
import {createNoObserver} from './no-observer.ts';

export type LiarOptions = {readonly seed: number; readonly trace?: (line: string) => void};

const topic = 'news' as Topic;
const formMs = 20_000;
const lieMs = 20_000;
/** Operators try this long to remove the liar while it lies. */
const removeMs = 8000;
/** A leader, and something new that is agreed, after the liar is gone. */
const agreeMs = 15_000;
const convergeMs = 60_000;
/** Numbers that only grow stay below these shares of their range. */
const termMax = 2 ** 46;
const lamportBound = 2 ** 46;
const incarnationBound = 2 ** 30;
const indexBound = 2 ** 40;
/** Streams that exist, and those that one peer may claim (`core/gossip/claims.ts`). */
const streamsMax = 16_384 + 2000;

/** Run a seed. @throws the violation, with the virtual time */
export function simulateLiar(options: LiarOptions): Outcome {
	return new LiarRun(options).run();
}

class LiarRun {
	readonly #seed: number;
	readonly #course: Course;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #fabric: Fabric;
	readonly #hosts: Host[] = [];
	readonly #liarHost: Host;
	readonly #liar: Liar;
	readonly #lies: readonly Lie[];
	/** Bodies that honest nodes published and were acknowledged, by origin and body. */
	readonly #acknowledged = new Set<string>();
	readonly #published = new Set<string>();
	/** By honest host: what its log holds. */
	readonly #stored = new Map<Host, Set<string>>();
	/** By index: the first agreed state of an honest node, and the node. */
	readonly #states = new Map<number, {readonly hash: number; readonly id: NodeId}>();
	/** Hosts whose subscription is asked for. */
	readonly #subscribing = new Set<Host>();
	/** Hosts that the run itself stops at the moment. */
	readonly #restarting = new Set<Host>();
	#violation: string | undefined;
	#serial = 0;
	#isOver = false;

	constructor({seed, trace}: LiarOptions) {
		this.#seed = seed;
		this.#course = new Course(trace);
		this.#schedule = this.#course.schedule;
		this.#random = createRandom(`${seed}/liar`);
		const drawn = drawOptions(seed);
		this.#fabric = new Fabric({
			seed,
			schedule: this.#schedule,
			random: this.#random.child('fabric'),
			link: {...drawn.link, bytesPerMs: 0},
			loss: drawn.loss,
		});
		const lies = this.#random.child('lies');
		const drawnLies: Lie[] = lies.shuffle(lieKinds.filter(lie => lie !== 'forges')).slice(0, lies.between(1, 3));
		// Forged messages go with every other lie.
		if (lies.chance(1, 2)) drawnLies.push('forges');
		this.#lies = drawnLies;
		this.#liar = new Liar({
			random: this.#random.child('packets'),
			topic,
			others: () => this.#hosts.filter(host => host !== this.#liarHost).map(({id}) => id),
		});
		const count = this.#random.child('count').between(3, 6);
		const liarIndex = this.#random.child('which').below(count);
		for (let index = 0; index < count; index++) this.#add(index, liarIndex);
		this.#liarHost = this.#hosts[liarIndex]!;
	}

	run(): Outcome {
		try {
			return this.#run();
		} catch (error) {
			throw new Error(
				`at ${this.#schedule.nowMs} ms, event ${this.#course.events}: ${(error as Error).message} ` +
					`(lies: ${this.#lies.join(', ')}; liar ${this.#liarHost.id.slice(0, 4)})`,
				{cause: error},
			);
		}
	}

	#run(): Outcome {
		for (const [index, host] of this.#hosts.entries()) this.#schedule.after(index * 100, () => host.boot());
		this.#watch();
		this.#subscribe();
		if (!this.#advance(formMs, () => this.#isFormed()))
			throw new Error(`the cluster forms: it did not: ${this.#describe()}`);
		this.#note(`lies ${this.#lies.join(' ')}`);
		this.#publish();
		this.#disturb();
		this.#liar.lies = new Set(this.#lies);
		this.#advance(lieMs);
		this.#heal();
		this.#remove();
		const startMs = this.#schedule.nowMs;
		this.#agree();
		const agreedMs = this.#schedule.nowMs - startMs;
		this.#converge();
		return {
			seed: this.#seed,
			fingerprint: this.#course.fingerprint,
			virtualMs: this.#schedule.nowMs,
			events: this.#course.events,
			agreedMs,
			convergedMs: this.#schedule.nowMs - startMs - agreedMs,
			faults: Object.fromEntries(lieKinds.map(lie => [`lie-${lie}`, this.#liar.counts.get(lie) ?? 0])),
			work: {
				'liar-removed': Number(this.#isRemoved),
				'liar-restarted': Number(!this.#isRemoved),
				'liar-acknowledged': this.#acknowledged.size,
				'liar-states': this.#states.size,
				'liar-refused': this.#honest.reduce(
					(sum, {node}) => sum + [...(node?.journal.rejected.values() ?? [])].reduce((a, b) => a + b, 0),
					0,
				),
				'liar-bounds': this.#honest.reduce(
					(sum, {node}) => sum + [...(node?.journal.bounds.values() ?? [])].reduce((a, b) => a + b, 0),
					0,
				),
			},
		};
	}

	get #honest(): readonly Host[] {
		return this.#hosts.filter(host => host !== this.#liarHost);
	}

	/** Its removal may be agreed after its restart. */
	get #isRemoved(): boolean {
		return this.#honest.some(({node}) => node?.control.state.isRemoved(this.#liarHost.id));
	}

	/** Hosts that take part at the end: the liar too, if it was started again. */
	get #remaining(): readonly Host[] {
		return this.#isRemoved ? this.#honest : this.#hosts;
	}

	get #isRaftTrusted(): boolean {
		return !this.#lies.includes('votes') && !this.#lies.includes('entries');
	}

	#add(index: number, liarIndex: number): void {
		const {config, raftLimits, syncMs, owner} = drawOptions(this.#seed);
		const random = this.#random.child(`host/${index}`);
		const schedule = this.#schedule;
		const liar = index === liarIndex ? this.#liar : undefined;
		this.#hosts.push(
			new Host({
				id: hash32(`${this.#seed}/liar/id/${index}`).toString(16).padStart(8, '0').repeat(2) as NodeId,
				address: `127.0.0.1:${5000 + index}`,
				freshAddress: () => `127.0.0.1:${6000 + index}`,
				founds: index === 0,
				replaces: [],
				bootstrap: () =>
					Array.from({length: this.#hosts.length}, (_, other) => `127.0.0.1:${5000 + other}`).filter(
						(_, other) => other !== index,
					),
				schedule,
				random,
				fabric: this.#fabric,
				observer: createNoObserver(),
				config: {
					...config,
					storage: {...config.storage, retainBytes: 10_000_000, retainAgeS: 604_800, writeDeadlineMs: 5000},
					gossip: {...config.gossip, heldBytes: 1_000_000},
				},
				raftLimits,
				owner,
				disk: new SimDisk({schedule, random: random.child('disk'), syncMs, counts: noDiskCounts()}),
				protocol: protocolMax,
				driftPerMille: random.between(-20, 20),
				note: text => this.#note(text),
				onEnd: host => this.#ended(host),
				wire: liar && (ports => liar.wrap(ports)),
			}),
		);
	}

	#ended(host: Host): void {
		if (this.#restarting.has(host) || host === this.#liarHost) return;
		this.#violation ??= `no honest process ends by itself: ${host.id.slice(0, 4)} ended: ${host.exitReason}`;
	}

	#note(text: string): void {
		this.#course.note(text);
	}

	#advance(forMs: number, isDone: () => boolean = () => false): boolean {
		return this.#course.advance(forMs, isDone, () => {
			this.#liar.node = this.#liarHost.node;
			if (this.#violation !== undefined) throw new Error(this.#violation);
			for (const host of this.#honest) this.#compareState(host);
		});
	}

	/**
	Subscribes each host once it is a member. A call that fails takes the wish back, also if its entry is agreed later:
	then the host is asked again, and never twice at a time.
	*/
	#subscribe(): void {
		this.#schedule.after(500, () => {
			for (const host of this.#hosts)
				if (host.node?.phase === 'running' && !host.node.desired.own.has(topic)) {
					this.#subscribing.add(host);
					host.node
						.subscribeNode(topic)
						.catch(() => undefined)
						.finally(() => this.#subscribing.delete(host));
				}

			if (!this.#isFormed()) this.#subscribe();
		});
	}

	#isFormed(): boolean {
		if (this.#subscribing.size > 0) return false;
		return this.#hosts.every(({node}) => {
			const {state} = node?.control ?? {};
			return (
				node?.phase === 'running' &&
				state?.protocol === protocolMax &&
				state.members().length === this.#hosts.length &&
				state.subscribers(topic).size === this.#hosts.length &&
				node.desired.own.has(topic)
			);
		});
	}

	/** Publishes at honest nodes from time to time. */
	#publish(): void {
		const random = this.#random.child('publish');
		const next = (): void => {
			if (this.#isOver) return;
			this.#schedule.after(random.between(20, 300), next);
			this.#publishAt(random.pick(this.#honest));
		};

		next();
	}

	#publishAt(host: Host): string | undefined {
		const {node} = host;
		if (!node || node.phase !== 'running' || host.isPaused) return undefined;
		const text = `${host.id} ${++this.#serial}`;
		this.#published.add(text);
		node.publish(topic, [Buffer.from(text)]).then(
			() => void this.#acknowledged.add(text),
			() => undefined,
		);
		return text;
	}

	/** Honest hosts restart, pause and are cut off for a moment, one at a time. */
	#disturb(): void {
		const random = this.#random.child('faults');
		const next = (): void => {
			this.#schedule.after(random.between(1000, 6000), () => {
				if (this.#isOver) return;
				next();
				const host = random.pick(this.#honest);
				const forMs = random.between(20, 2500);
				if (!host.isUp || this.#restarting.size > 0) return;
				switch (random.pick(['kill', 'pause', 'cut'])) {
					case 'kill':
						return this.#restart(host, forMs);
					case 'pause':
						return host.pause(Math.min(forMs, 1000));
					default: {
						for (const other of this.#hosts) {
							this.#fabric.cut(host.key, other.key);
							this.#fabric.cut(other.key, host.key);
						}

						this.#schedule.after(forMs, () => this.#fabric.heal());
					}
				}
			});
		};

		next();
	}

	#restart(host: Host, inMs: number): void {
		this.#restarting.add(host);
		host.kill();
		this.#schedule.after(inMs, () => {
			this.#restarting.delete(host);
			host.boot();
		});
	}

	#heal(): void {
		this.#isOver = true;
		this.#note('heal');
		this.#fabric.calm();
		this.#advance(4000, () => this.#restarting.size === 0);
		for (const host of this.#honest) host.resume();
	}

	/** Removes the liar through the leader while it still lies. If that fails, it is started again and lies no more. */
	#remove(): void {
		const {id} = this.#liarHost;
		for (let tries = 0; tries < removeMs / 1000 && !this.#isRemoved; tries++) {
			for (const {node} of this.#honest) node?.removeMember(id).catch(() => undefined);
			this.#advance(1000, () => this.#isRemoved);
		}

		this.#note(this.#isRemoved ? 'removed' : 'restarted');
		if (this.#isRemoved) return;
		this.#liar.lies = new Set();
		this.#restart(this.#liarHost, 1000);
	}

	#agree(): void {
		let nudgedMs = 0;
		let serial = 0;
		const isAgreed = new Set<Host>();
		const isDone = (): boolean => {
			if (this.#schedule.nowMs - nudgedMs < 250) return false;
			nudgedMs = this.#schedule.nowMs;
			const leader = this.#remaining.find(({node}) => node?.control.raft.role === 'leader');
			const applied = leader?.node?.control.state.applied ?? Infinity;
			const name = `nudge${++serial}` as Topic;
			leader
				?.node!.control.propose({type: 'unsubscribe', topic: name, node: leader.id})
				.then(() => {
					for (const host of this.#remaining)
						if ((host.node?.control.state.applied ?? 0) >= applied) isAgreed.add(host);
				})
				.catch(() => undefined);
			return this.#remaining.every(host => isAgreed.has(host));
		};

		if (!this.#advance(agreeMs, isDone))
			throw new Error(`progress without the liar: nothing new agreed within ${agreeMs} ms: ${this.#describe()}`);
	}

	#converge(): void {
		const startMs = this.#schedule.nowMs;
		const finals = new Map<Host, string>();
		let problems: readonly string[] = [];
		do {
			for (const host of this.#remaining) {
				const text = finals.has(host) ? undefined : this.#publishAt(host);
				if (text !== undefined) finals.set(host, text);
			}

			this.#readLogs();
			this.#advance(500);
			problems = this.#unconverged(finals);
			if (problems.length === 0) return;
		} while (this.#schedule.nowMs - startMs < convergeMs);
		throw new Error(
			`convergence without the liar: ${problems.length} problems after ${convergeMs} ms: ` +
				`${problems.slice(0, 4).join('; ')}; ${this.#describe()}`,
		);
	}

	#unconverged(finals: ReadonlyMap<Host, string>): readonly string[] {
		const isDataTrusted = !this.#lies.includes('digests') && this.#isRaftTrusted;
		const wanted = [...finals.values(), ...(isDataTrusted ? this.#acknowledged : [])];
		return this.#remaining.flatMap(host => {
			const {node, id} = host;
			if (!node) return [`${id} is down: ${host.exitReason}`];
			const stored = this.#stored.get(host) ?? new Set();
			const lacking = wanted.filter(text => !stored.has(text));
			const states = new Map(node.failureDetection.members().map(member => [member.id, member.state]));
			const others = this.#remaining.filter(other => other !== host && states.get(other.id) !== 'alive');
			return [
				...(finals.has(host) ? [] : [`${id} cannot publish`]),
				...(lacking.length > 0 ? [`${id} lacks ${lacking.length} messages: ${lacking[0]}`] : []),
				...others.map(other => `${id} sees ${other.id} as ${states.get(other.id)}`),
			];
		});
	}

	/** Reads the whole log of each node. Nothing in it is forged. */
	#readLogs(): void {
		for (const host of this.#remaining) {
			const {node} = host;
			if (!node) continue;
			const stored = new Set<string>();
			this.#stored.set(host, stored);
			void node.data
				.read(topic, 'beginning', {
					room: () => 1e9,
					take: items => {
						for (const {batch} of items) {
							for (const {body, origin} of messagesOf(batch)) {
								const text = Buffer.from(body).toString();
								if (origin !== this.#liarHost.id && !this.#published.has(text))
									this.#violation ??= `no forged message: ${host.id} has ${text} of ${origin}`;
								stored.add(text);
							}
						}

						return items.length;
					},
					dropped: () => undefined,
					failed: () => undefined,
				})
				.then(reader => this.#schedule.after(400, () => node.data.stopReading(topic, reader)));
		}
	}

	/** Regular checks of what grows. */
	#watch(): void {
		this.#schedule.after(500, () => {
			this.#watch();
			for (const host of this.#honest) {
				const {node} = host;
				if (!node) continue;
				const {term, lastIndex} = node.control.raft.status();
				const gossip = node.data.gossip.status();
				const incarnation = Math.max(
					...node.failureDetection
						.members()
						.filter(({id}) => id !== this.#liarHost.id)
						.map(member => member.incarnation),
					0,
				);
				const bounds: ReadonlyArray<readonly [name: string, value: number, bound: number]> = [
					['terms', term, termMax],
					['log indexes', lastIndex, indexBound],
					['Lamport times', node.options.lamport.now, lamportBound],
					['incarnations', incarnation, incarnationBound],
					['streams', gossip.streams, streamsMax],
					['held bytes', gossip.heldBytes, 1_000_000],
					['topics', node.data.topics.size, 20],
					['members', node.control.state.members().length, this.#hosts.length],
				];
				for (const [name, value, bound] of bounds)
					if (value > bound)
						this.#violation ??= `what grows has bounds: ${host.id} has ${value} ${name}, more than ${bound}`;
			}
		});
	}

	#compareState(host: Host): void {
		const {node} = host;
		if (!node || !this.#isRaftTrusted) return;
		const {state} = node.control;
		if (this.#seen.get(host) === state.applied) return;
		this.#seen.set(host, state.applied);
		const hash = hash32(Buffer.from(encode([...state.save()])).toString('base64'));
		const known = this.#states.get(state.applied);
		if (!known) this.#states.set(state.applied, {hash, id: host.id});
		else if (known.hash !== hash)
			throw new Error(`equal indexes, equal states: ${host.id} differs from ${known.id} at ${state.applied}`);
	}

	readonly #seen = new Map<Host, number>();

	#describe(): string {
		return this.#hosts
			.map(({id, node, exitReason}) => {
				if (!node) return `${shortId(id)} down: ${exitReason}`;
				const {control, data, phase} = node;
				const raft = control.raft.status();
				const {missing, waiting, held, waitingIncarnations} = data.gossip.status();
				return [
					`${shortId(id)} ${phase} ${raftText(raft)}`,
					JSON.stringify({...raft.bounds, missing, waiting, held, waitingIncarnations}),
				].join(' ');
			})
			.join('; ');
	}
}
