/**
A run of whole nodes from a seed. The seed draws the options. A cluster forms, and clients publish, subscribe and read
while the plan injects faults. Then the faults end. The cluster must agree on something new within ten virtual seconds,
consider every live node alive, and bring every retained message to every subscriber.
*/
import {defaults, type Config} from '../../../core/config.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {drainMicrotasks} from '../microtasks.ts';
import type {NetworkCounts} from '../network.ts';
import {protocolMax} from '../../../core/version.ts';
import {RaftChecks} from '../raft-checks.ts';
import {createRandom, hash32, type SeededRandom} from '../random.ts';
import {Schedule} from '../schedule.ts';
import {noDiskCounts, SimDisk} from './disk.ts';
import {DuplicateProcessChecks} from './checks/duplicate-process-checks.ts';
import {Fabric} from './fabric.ts';
import {Faults} from './faults.ts';
import {Followers} from './followers.ts';
import {forgedRelayFrame} from './checks/relay-checks.ts';
import {discoveryModes, type DiscoveryMode} from './discovery.ts';
import {checkHistory, type HistoryResult} from './checks/subscription-history.ts';
import {Host, simTickMs} from './host/host.ts';
import {viewCheckMs, ViewChecks} from './checks/view-checks.ts';
import {MessageChecks} from './checks/message-checks.ts';
import {Incidents} from './incidents.ts';
import {Operators} from './operators.ts';
import {planOf, traitsOf, incidentKinds, type Event, type IncidentKind, type Kind} from './plan.ts';
import {forgedStampFrame} from './forged-stamps.ts';
import {Readers} from './readers.ts';
import {protocolProblems} from './checks/protocol-checks.ts';
import {Observer} from './observer/observer.ts';

export type Outcome = {
	readonly seed: number;
	readonly fingerprint: number;
	readonly virtualMs: number;
	readonly events: number;
	/** How often each fault occurred, and how often the nodes did what the checks observe. */
	readonly faults: Readonly<Record<string, number>>;
	readonly work: Readonly<Record<string, number>>;
	readonly agreedMs: number;
	readonly convergedMs: number;
};
export type RunOptions = {
	readonly seed: number;
	readonly forMs?: number;
	readonly plan?: readonly Event[];
	readonly trace?: (line: string) => void;
};

/** Far more events than any run has. */
const eventsMax = 1_000_000;
const agreeMs = 10_000;
/** Starts, discovery and one admission after the other, over a bad network. */
const formMs = 15_000;
const convergeMs = 60_000;
/**
The bound does not apply to entries that a leader finds in its log or creates itself: no-ops, configurations, entries
from its time as a follower.
*/
const uncommittedSlack = 2000;
const topics = ['news', 'sport', 'weather'] as readonly string[] as readonly Topic[];

/** Run a seed. @throws the violation, with the virtual time */
export function simulate(options: RunOptions): Outcome {
	const run = new Run(options);
	return run.run();
}

class Run {
	readonly #seed: number;
	readonly #forMs: number;
	readonly #plan: readonly Event[];
	readonly #trace: ((line: string) => void) | undefined;
	readonly #schedule = new Schedule();
	readonly #random: SeededRandom;
	readonly #hosts: Host[] = [];
	readonly #observer: Observer;
	readonly #readers: Readers;
	readonly #followers: Followers;
	readonly #fabric: Fabric;
	readonly #diskCounts = noDiskCounts();
	readonly #faultCounts = new Map<Kind, number>();
	readonly #config: Config;
	readonly #discovery: DiscoveryMode;
	/** How many hosts start together. */
	readonly #startCount: number;
	readonly #faults: Faults;
	readonly #incidents: Incidents;
	readonly #operators: Operators;
	readonly #duplicates: DuplicateProcessChecks;
	readonly #views: ViewChecks;
	readonly #raftLimits;
	readonly #syncMs: readonly [number, number];
	#fingerprint = 0;
	#events = 0;
	#made = 0;
	#addresses = 0;
	#published = 0;
	#isOver = false;
	#isFormed = false;
	/** Hosts that have been members of the cluster. */
	readonly #formed = new Set<Host>();
	/** Whether some nodes run an earlier version at first, and are upgraded one by one. */
	readonly #isMixed: boolean;
	readonly #olderProtocol: number;

	constructor({seed, forMs = 40_000, plan, trace}: RunOptions) {
		this.#seed = seed;
		this.#forMs = forMs;
		this.#plan = plan ?? planOf(seed, forMs);
		this.#discovery = traitsOf(seed).has('together')
			? createRandom(`${seed}/together`).pick(discoveryModes)
			: 'none';
		this.#trace = trace;
		this.#random = createRandom(`${seed}/run`);
		const random = createRandom(`${seed}/options`);
		const isStrict = random.chance(1, 2);
		this.#fabric = new Fabric({
			seed,
			schedule: this.#schedule,
			random: this.#random.child('fabric'),
			link: {
				delayMs: [1, random.pick([3, 10, 50])],
				ordered: isStrict || random.chance(1, 2),
				loss: isStrict ? [0, 1] : [random.below(20), 100],
				duplication: isStrict ? [0, 1] : [random.below(40), 100],
				replay: isStrict ? [0, 1] : [random.below(5), 100],
				bytesPerMs: random.pick([0, 0, 50, 1000]),
			},
			loss: [random.below(31), 100],
		});
		this.#syncMs = [0, random.pick([1, 5, 30])];
		this.#raftLimits = {
			tailEntries: random.pick([0, 3, 512]),
			appendEntriesMax: random.pick([1, 8, 1024]),
			promotionLagMax: random.pick([5, 1024]),
			uncommittedBytesMax: random.pick([2000, 2 ** 20]),
		};
		this.#config = {
			...defaults,
			data: '/data',
			secret: Buffer.alloc(32, 1),
			raft: {...defaults.raft, snapshotEntries: random.pick([5, 20, 4096]), votersMax: random.pick([3, 5, 5])},
			storage: {
				...defaults.storage,
				segmentBytes: random.pick([1000, 8000, 1_000_000]),
				retainBytes: random.pick([20_000, 10_000_000]),
				retainAgeS: random.pick([5, 3600, 604_800]),
			},
			gossip: {...defaults.gossip, ...(random.chance(1, 4) ? {repairBytes: 20_000, heldBytes: 30_000} : {})},
		};
		const electionTicks = Math.ceil(this.#config.raft.electionMs / simTickMs);
		this.#observer = new Observer(
			new RaftChecks({
				electionTicks,
				uncommittedBytesMax: this.#raftLimits.uncommittedBytesMax + uncommittedSlack,
				promotionLagMax: this.#raftLimits.promotionLagMax,
			}),
			new MessageChecks(),
		);
		this.#isMixed = this.#discovery === 'none' && createRandom(`${seed}/versions`).chance(1, 4);
		this.#olderProtocol = createRandom(`${seed}/older`).between(1, protocolMax - 1);
		this.#readers = new Readers(
			this.#observer,
			createRandom(`${seed}/readers`),
			createRandom(`${seed}/reading`).chance(1, 2),
		);
		this.#followers = new Followers({
			observer: this.#observer,
			schedule: this.#schedule,
			random: createRandom(`${seed}/followers`),
			hosts: this.#hosts,
			topics,
		});
		this.#observer.readUpTo = (host, topic) => this.#readers.readUpTo(host, topic);
		const voters = (): readonly NodeId[] =>
			this.#members()?.leader.node!.control.raft.status().configuration.voters ?? [];
		this.#duplicates = new DuplicateProcessChecks({
			fabric: this.#fabric,
			hosts: this.#hosts,
			voters,
			messages: this.#observer.messages,
		});
		// The new node of a lost disk asks for the removal of the old id, whether or not a copy of the disk exists.
		this.#observer.mayBeRemoved = node =>
			this.#faults.removed.has(node) || this.#hosts.some(({id, isRetired}) => id === node && isRetired);
		this.#views = new ViewChecks({
			fabric: this.#fabric,
			hosts: this.#hosts,
			nowMs: () => this.#schedule.nowMs,
			leader: () => this.#members()?.leader,
			hostOf: id => this.#hostOf(id),
		});
		this.#faults = new Faults({
			schedule: this.#schedule,
			fabric: this.#fabric,
			observer: this.#observer,
			hosts: this.#hosts,
			up: () => this.#up,
			hostOf: id => this.#hostOf(id),
			add: (address, replaces) => this.#add(address, undefined, replaces),
			note: text => this.#note(text),
		});
		this.#incidents = new Incidents({
			schedule: this.#schedule,
			fabric: this.#fabric,
			hosts: this.#hosts,
			freshAddress: () => this.#freshAddress(),
			add: ({address, copyOf}) => (copyOf ? this.#copy(copyOf, address) : this.#add(address, false)),
			voters,
		});
		this.#operators = new Operators(topics, this.#config.storage);
		this.#startCount = random.pick([1, 2, 3, 3, 3, 4, 5, 5]);
		for (let count = this.#startCount; count > 0; count--) this.#add();
	}

	run(): Outcome {
		let agreedMs = 0;
		let convergedMs = 0;
		let history: HistoryResult;
		try {
			const start = createRandom(`${this.#seed}/start`);
			for (const [index, host] of this.#hosts.entries())
				this.#schedule.after(this.#discovery === 'none' ? index * 50 : start.below(2000), () => host.boot());
			for (const event of this.#plan) this.#schedule.after(event.atMs, () => this.#isOver || this.#inject(event));
			this.#work(createRandom(`${this.#seed}/clients`));
			this.#actAsFaultyMember(createRandom(`${this.#seed}/poison`));
			const chance = createRandom(`${this.#seed}/upkeep`);
			this.#observer.onMaintenance = host => this.#interruptMaintenance(host, chance);
			this.#checkViews();
			this.#run(this.#forMs);
			this.#heal();
			agreedMs = this.#agree();
			convergedMs = this.#converge();
			history = checkHistory(
				this.#observer.operations.history,
				node =>
					this.#faults.removed.has(node as NodeId) ||
					this.#hosts.some(host => host.id === node && (host.isRetired || host.exitCause === 'removed')),
				this.#observer.operations.deletions,
			);
		} catch (error) {
			throw new Error(`at ${this.#schedule.nowMs} ms, event ${this.#events}: ${(error as Error).message}`, {
				cause: error,
			});
		}

		const {observer, network} = {observer: this.#observer, network: this.#fabric};
		const sum = (name: keyof NetworkCounts): number => network.frames.counts[name] + network.datagrams.counts[name];
		return {
			seed: this.#seed,
			fingerprint: this.#fingerprint,
			virtualMs: this.#schedule.nowMs,
			events: this.#events,
			agreedMs,
			convergedMs,
			faults: {
				...Object.fromEntries(this.#faultCounts),
				...prefixed('disk', this.#diskCounts),
				...prefixed('end', observer.exits),
				halfOpen: network.halfOpen,
				...Object.fromEntries(
					(['lost', 'duplicated', 'cut', 'replayed', 'reordered', 'clogged', 'congested'] as const).map(
						name => [`net-${name}`, sum(name)],
					),
				),
			},
			work: {
				published: this.#published,
				acknowledged: observer.messages.acknowledged,
				released: observer.messages.releases,
				refilled: observer.messages.backfills,
				commands: observer.state.commands,
				readers: this.#readers.opened,
				droppedByRetention: this.#readers.dropped,
				deletedUnread: observer.topicLogs.unread.reportedMessages,
				delivered: observer.messages.offsets.reads,
				takenBack: observer.messages.offsets.takenBack,
				operations: history.operations,
				keys: history.keys,
				undecided: history.undecided,
				leaders: observer.raft.checks.leadersElected,
				terms: observer.raft.checks.highestTermSeen,
				reads: observer.raft.checks.readsServed,
				applied: observer.raft.checks.highestApplied,
				topicsDeleted: this.#observer.topicLogs.deletions.count,
				saidHealthy: this.#views.counts.healthy,
				viewsCompared: this.#views.counts.compared,
				copies: this.#duplicates.copies,
				introductions: this.#incidents.introductions,
				...prefixed('wrongly', observer.events.falseSuspicions.counts),
				...prefixed('cause', observer.leaderCauses.counts),
				repairs: observer.repairs.count,
				aged: observer.topicLogs.retention.checked,
				...prefixed('fullDisk', observer.fullDisks.counts),
				...prefixed('follower', this.#followers.counts),
				snapshotsTaken: observer.raft.snapshotsTaken,
				snapshotsInstalled: observer.raft.snapshotsInstalled,
				packets: sum('delivered'),
			},
		};
	}

	/** An address that no host has or had. */
	#freshAddress(): string {
		return `127.0.0.1:${5000 + this.#addresses++}`;
	}

	#add(address?: string, founds = this.#made === 0, replaces: readonly NodeId[] = []): Host {
		const index = this.#made++;
		const id = hash32(`${this.#seed}/id/${index}`).toString(16).padStart(8, '0').repeat(2) as NodeId;
		const {random, disk} = this.#machine(index);
		const host = new Host({
			// A later host may find that the others have agreed on a newer protocol than the earlier version speaks.
			protocol:
				this.#isMixed && this.#schedule.nowMs === 0 && random.child('version').chance(2, 3)
					? this.#olderProtocol
					: protocolMax,
			id,
			address: address ?? this.#freshAddress(),
			freshAddress: () => this.#freshAddress(),
			founds,
			replaces,
			// A later host gets a list. Alone and cut off, it would have to found a cluster.
			bootstrap: () => this.#listFor(id),
			mode: this.#discovery === 'none' || this.#schedule.nowMs === 0 ? this.#discovery : 'list',
			expect: this.#startCount,
			schedule: this.#schedule,
			random,
			fabric: this.#fabric,
			observer: this.#observer,
			config: this.#config,
			raftLimits: this.#raftLimits,
			disk,
			keepsReserve: this.#plan.some(({kind}) => kind === 'full-disk'),
			driftPerMille: random.between(-50, 50),
			note: text => this.#note(text),
			onEnd: ended => this.#ended(ended),
		});
		this.#hosts.push(host);
		return host;
	}

	/** The addresses that a host is started with. */
	#listFor(id: NodeId): readonly string[] {
		if (
			(this.#discovery === 'discovery' || this.#discovery === 'expect') &&
			this.#hosts.slice(0, this.#startCount).some(host => host.id === id)
		)
			return [];
		return this.#hosts
			.filter(other => (other.id !== id || this.#discovery === 'list-with-self') && !other.isRetired)
			.map(other => other.address);
	}

	#machine(name: number | string): {readonly random: SeededRandom; readonly disk: SimDisk} {
		const random = this.#random.child(`host/${name}`);
		return {
			random,
			disk: new SimDisk({
				schedule: this.#schedule,
				random: random.child('disk'),
				syncMs: this.#syncMs,
				counts: this.#diskCounts,
			}),
		};
	}

	/** Add a machine with a copy of this one's disk as it is now. */
	#copy(host: Host, address: string): Host {
		const key = `${host.key}+`;
		const {random, disk} = this.#machine(key);
		host.options.disk.copyTo(disk);
		const copy = new Host({
			...host.options,
			key,
			address,
			random,
			disk,
			isCopy: true,
			protocol: host.protocol,
			driftPerMille: random.between(-50, 50),
		});
		this.#observer.copied(host, copy);
		this.#duplicates.copied(host);
		this.#duplicates.adopt(host);
		this.#hosts.push(copy);
		return copy;
	}

	/** A second process of an id that ended by itself is never started again. */
	#ended(host: Host): void {
		const isByItself =
			host.exitCause === 'storage' || (host.exitCause === 'stopped' && host.exitReason !== 'restart');
		// A stop requested before the heal may end after it.
		if (this.#isOver && host.exitCause === 'stopped' && !isByItself)
			this.#schedule.after(500, () => this.#mayBoot(host) && !host.isUp && host.boot());
		const other = this.#duplicates.other(host);
		if (!isByItself || !other || !/\b(?:copy|second|another process|same)\b/.test(host.exitReason)) return;
		host.isRetired = true;
		// It ended because the other process is the confirmed one. That one may be down, so it is started now.
		if (this.#isOver) this.#schedule.after(500, () => this.#mayBoot(other) && !other.isUp && other.boot());
	}

	/** Whether a host may start: not if it was removed, or another machine runs under its id. */
	#mayBoot(host: Host): boolean {
		return host.exitCause !== 'removed' && !(this.#duplicates.other(host)?.isUp ?? false);
	}

	#note(text: string): void {
		this.#fingerprint = hash32(`${this.#schedule.nowMs} ${text}`, this.#fingerprint);
		this.#trace?.(`${this.#schedule.nowMs} ${text}`);
	}

	#run(forMs: number, isDone: () => boolean = () => false): boolean {
		const untilMs = this.#schedule.nowMs + forMs;
		while (!isDone()) {
			if (!this.#schedule.next(untilMs)) return false;
			if (++this.#events > eventsMax) throw new Error(`no end: ${eventsMax} events`);
			drainMicrotasks();
			if (this.#violation) throw this.#violation;
			this.#observer.observe(this.#hosts);
		}

		return true;
	}

	/** A violation found within a promise callback, where no caller would catch it. */
	get #violation(): Error | undefined {
		return (
			this.#observer.raft.checks.violations.first ??
			this.#observer.messages.violations.first ??
			this.#observer.messages.offsets.violations.first ??
			this.#duplicates.violations.first
		);
	}

	get #up(): Host[] {
		return this.#hosts.filter(({node, isUp}) => node && isUp);
	}

	#work(client: SeededRandom): void {
		this.#schedule.after(client.between(1, 150), () => {
			if (this.#isOver) return;
			this.#work(client);
			const [who, what, topic, size, of] = [
				client.below(1 << 16),
				client.below(20),
				client.pick(topics),
				client.chance(1, 30) ? 5000 : client.below(60),
				client.below(1 << 16),
			];
			const up = this.#up;
			this.#readers.act(up);
			this.#followers.act();
			const host = up[who % Math.max(1, up.length)];
			if (!host?.node || (host.isPaused && what < 14) || host.node.phase !== 'running') return;
			if (what < 11) this.#publish(host, topic, size);
			else if (what < 13) host.node.subscribeNode(topic).catch(() => undefined);
			else if (what === 13) host.node.unsubscribeNode(topic).catch(() => undefined);
			else void this.#observer.operations.read(host, topic, up[of % up.length]!.id);
		});
	}

	#checkViews(): void {
		this.#schedule.after(viewCheckMs, () => {
			this.#views.check();
			this.#checkViews();
		});
	}

	/** At random, a node is killed or loses power during a snapshot or retention. */
	#interruptMaintenance(host: Host, random: SeededRandom): void {
		if (!random.chance(1, 8)) return;
		const [inMs, isPower, life] = [random.below(30), random.chance(1, 2), host.node];
		this.#schedule.after(inMs, () => {
			if (this.#isOver || !host.isUp || host.node !== life) return;
			if (isPower) host.powerCut();
			else host.kill();
			this.#schedule.after(500, () => host.boot());
		});
	}

	/** A faulty member: at random, it sends a stamp that is far ahead, and a forged relay frame. */
	#actAsFaultyMember(random: SeededRandom): void {
		this.#schedule.after(random.between(1, 10_000), () => {
			if (this.#isOver) return;
			this.#actAsFaultyMember(random);
			const [from, to] = random.shuffle(this.#up);
			if (!from?.node || !to || this.#fabric.isCut(from.key, to.key)) return;
			const frame = forgedStampFrame(from.node, random.pick(topics));
			to.run(() => to.onFrame(from.id, frame));
			const forged = forgedRelayFrame(
				from.id,
				to.id,
				this.#hosts.map(({id}) => id).filter(id => id !== from.id && id !== to.id),
				createRandom(`${this.#seed}/lie/${this.#schedule.nowMs}`),
			);
			if (forged) to.run(() => to.onFrame(from.id, forged));
		});
	}

	#publish(host: Host, topic: Topic, size: number): void {
		const count = 1 + (this.#published % 3);
		this.#published += count;
		const bodies = Array.from({length: count}, (_, index) => Buffer.alloc(size, `${this.#published}.${index}`));
		const node = host.node!;
		this.#observer
			.published(host, () => node.publish(topic, bodies))
			.then(
				published => {
					this.#observer.messages.acknowledge(host, published);
					this.#duplicates.acknowledge(host, published);
				},
				() => undefined,
			);
	}

	#inject(event: Event): void {
		const {kind} = event;
		if (!this.#hasFormed()) return;
		if (isIncident(kind)) this.#note(kind);
		const isInjected = isIncident(kind) ? this.#injectIncident(kind, event) : this.#faults.inject({...event, kind});
		if (isInjected) this.#faultCounts.set(kind, (this.#faultCounts.get(kind) ?? 0) + 1);
	}

	#injectIncident(kind: IncidentKind, event: Event): boolean {
		if (kind === 'follower') return this.#followers.begin(event);
		return kind === 'create-topic' || kind === 'delete-topic'
			? this.#operators.act(kind, this.#up, event)
			: this.#incidents.strike({...event, kind});
	}

	/**
	Whether hosts that start together have formed one cluster. Before that, no faults are injected: a host that was cut
	off could rightly found a cluster of its own.
	*/
	#hasFormed(): boolean {
		// A member may be down at the time of every check.
		for (const host of this.#isFormed ? [] : (this.#members()?.hosts ?? []))
			if (host.hasJoined) this.#formed.add(host);
		for (const host of this.#isFormed ? [] : this.#up)
			if (host.node!.phase === 'running' && host.hasJoined) this.#formed.add(host);
		this.#isFormed ||=
			this.#discovery === 'none' || this.#hosts.slice(0, this.#startCount).every(host => this.#formed.has(host));
		if (!this.#isFormed && this.#schedule.nowMs > formMs)
			throw new Error(
				`hosts that start together form a cluster: not after ${this.#schedule.nowMs} ms: ${this.#states()}`,
			);
		return this.#isFormed;
	}

	/** End all faults: restore the network and start every host that still exists. */
	#heal(): void {
		this.#isOver = true;
		this.#followers.isCalm = true;
		this.#note('heal');
		this.#fabric.heal();
		this.#fabric.giveUpBacklogs();
		this.#incidents.end();
		for (const network of [this.#fabric.frames, this.#fabric.datagrams])
			network.set({
				loss: [0, 1],
				duplication: [0, 1],
				replay: [0, 1],
				delayMs: [1, 10],
				bytesPerMs: 0,
				ordered: true,
			});
		for (const host of this.#hosts) {
			host.options.disk.heal();
			host.resume();
			// It reports that its program is too old.
			if (host.node?.phase === 'joining' && host.protocol < protocolMax) host.kill();
			host.upgrade();
			if (this.#mayBoot(host)) host.boot();
		}
	}

	/** The newest leader, and the hosts of the members by its configuration. */
	#members(): {readonly leader: Host; readonly hosts: readonly Host[]} | undefined {
		const leader = this.#up
			.filter(({node}) => node!.control.raft.status().role === 'leader')
			.toSorted((a, b) => b.node!.control.raft.status().term - a.node!.control.raft.status().term)[0];
		if (!leader) return undefined;
		const {voters, learners} = leader.node!.control.raft.status().configuration;
		return {leader, hosts: [...voters, ...learners].flatMap(id => this.#hostOf(id) ?? [])};
	}

	/** The machine that a member runs on. Of two machines with its id, the one with a running process. */
	#hostOf(id: NodeId): Host | undefined {
		const found = this.#hosts.filter(host => host.id === id && !host.isRetired);
		return found.find(({node}) => node?.phase === 'running') ?? found[0];
	}

	/** Wait until something new is agreed at every live member. Returns the time it took. */
	#agree(): number {
		const startMs = this.#schedule.nowMs;
		const floor = this.#observer.raft.checks.highestApplied;
		let nudgedMs = 0;
		const isDone = (): boolean => {
			const members = this.#members();
			if (members && this.#schedule.nowMs - nudgedMs >= 250) {
				nudgedMs = this.#schedule.nowMs;
				// A host may have been stopping.
				for (const host of this.#hosts.filter(one => this.#mayBoot(one))) {
					host.upgrade();
					host.boot();
				}

				members.leader
					.node!.control.propose({type: 'unsubscribe', topic: 'nudge' as Topic, node: members.leader.id})
					.catch(() => undefined);
			}

			return (
				members !== undefined &&
				members.hosts.every(({node}) => node !== undefined && node.control.state.applied > floor)
			);
		};

		if (!this.#run(agreeMs, isDone))
			throw new Error(`progress after the heal: nothing new agreed within ${agreeMs} ms: ${this.#states()}`);
		return this.#schedule.nowMs - startMs;
	}

	/** Wait until every live node is seen as alive and has all retained messages of its subscriptions. */
	#converge(): number {
		const startMs = this.#schedule.nowMs;
		const wrong = (): string[] => {
			const members = this.#members();
			if (!members) return ['no leader'];
			const up = members.hosts.filter(({node}) => node);
			const {voters, learners} = members.leader.node!.control.raft.status().configuration;
			const missing = voters.length % 2 === 0 ? 1 : 2;
			const fit = learners.filter(learner => up.some(({id}) => id === learner));
			const idle =
				fit.length >= missing && voters.length + missing <= this.#config.raft.votersMax
					? [`${fit.join(' and ')} could be promoted, and is not`]
					: [];
			const outside = this.#up
				.filter(({id, node}) => node!.phase === 'joining' && !this.#faults.removed.has(id))
				.map(({key}) => `${key} is not a member yet`);
			return [
				...outside,
				...idle,
				...protocolProblems(members.leader, up, voters.length + learners.length),
				...up.flatMap(host =>
					up
						.filter(
							other =>
								other !== host &&
								host.node!.failureDetection.members().find(({id}) => id === other.id)?.state !==
									'alive',
						)
						.map(other => `${host.id} does not see ${other.id} as alive`),
				),
			];
		};

		let problems: string[] = [];
		while (this.#schedule.nowMs - startMs < convergeMs) {
			this.#run(200);
			problems = [
				...wrong(),
				...this.#duplicates.unsettled(),
				...this.#duplicates.stranded(
					(this.#members()?.hosts ?? []).filter(({node}) => node?.phase === 'running'),
				),
				...this.#views.notHealthy(this.#members()?.hosts ?? []),
				...this.#observer.messages.lacking(this.#members()?.hosts ?? []),
				...this.#observer.topicLogs.deletions.remaining(this.#members()?.hosts ?? []),
				...this.#observer.fullDisks.remaining(this.#up),
				...this.#readers.behind(),
				...this.#followers.behind(),
			];
			if (problems.length === 0) return this.#schedule.nowMs - startMs;
		}

		throw new Error(
			`convergence after the heal: ${problems.length} problems after ${convergeMs} ms: ${problems.slice(0, 4).join('; ')}; ${this.#states()}`,
		);
	}

	#states(): string {
		return this.#hosts
			.map(host => {
				const status = host.node?.control.raft.status();
				const waitsFor = host.node?.phase === 'joining' ? ` (${host.node.waiting.detail})` : '';
				return `${host.key.slice(0, 4)}${host.isCopy ? '+' : ''} at ${host.address} ${host.isRetired ? 'gone' : status ? `${host.node!.phase}${waitsFor} ${status.role} term ${status.term} leader ${status.leader?.slice(0, 4)} ${status.applied}/${status.commit}/${status.lastIndex} voters ${status.configuration.voters.map(id => id.slice(0, 4)).join(',')}` : `down: ${host.exitCause} ${host.exitReason}`}`;
			})
			.join('; ');
	}
}

function isIncident(kind: Kind): kind is IncidentKind {
	return (incidentKinds as readonly Kind[]).includes(kind);
}

function prefixed(name: string, counts: Readonly<Record<string, number>>): Record<string, number> {
	return Object.fromEntries(Object.entries(counts).map(([key, value]) => [`${name}-${key}`, value]));
}
