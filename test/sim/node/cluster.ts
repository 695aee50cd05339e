/**
A run of whole nodes from a seed. The seed draws the options. A cluster forms, and clients publish, subscribe and read
while the plan injects faults. Then the faults end. The cluster must agree on something new within ten virtual seconds,
consider every live node alive, and bring every retained message to every subscriber.
*/
import type {NodeId, Topic} from '../../../core/message.ts';
import type {NetworkCounts} from '../network.ts';
import {protocolMax} from '../../../core/version.ts';
import {RaftChecks} from '../raft-checks.ts';
import {createRandom, hash32, type SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {Clients} from './clients.ts';
import {Course, raftText, shortId} from './course.ts';
import {noDiskCounts, SimDisk} from './disk.ts';
import {DuplicateProcessChecks} from './checks/duplicate-process-checks.ts';
import {isFullDisk} from './checks/full-disk-checks.ts';
import {Fabric} from './fabric.ts';
import {Faults} from './faults.ts';
import {Followers} from './followers.ts';
import {checkHistory, type HistoryResult} from './checks/subscription-history.ts';
import {Host, simTickMs} from './host/host.ts';
import {viewCheckMs, ViewChecks} from './checks/view-checks.ts';
import {MessageChecks} from './checks/message-checks.ts';
import {Incidents} from './incidents.ts';
import {Operators} from './operators.ts';
import {planOf, incidentKinds, type Event, type IncidentKind, type Kind} from './plan.ts';
import {drawOptions, type DrawnOptions} from './run-options.ts';
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

/** The newest leader, and the hosts of the members by its configuration. */
type Members = {readonly leader: Host; readonly hosts: readonly Host[]};

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
	readonly #course: Course;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #hosts: Host[] = [];
	readonly #observer: Observer;
	readonly #readers: Readers;
	readonly #followers: Followers;
	readonly #fabric: Fabric;
	readonly #diskCounts = noDiskCounts();
	readonly #faultCounts = new Map<Kind, number>();
	readonly #options: DrawnOptions;
	readonly #clients: Clients;
	readonly #faults: Faults;
	readonly #incidents: Incidents;
	readonly #operators: Operators;
	readonly #duplicates: DuplicateProcessChecks;
	readonly #views: ViewChecks;
	#made = 0;
	#addresses = 0;
	#isOver = false;
	#isFormed = false;
	/** Hosts that have been members of the cluster. */
	readonly #formed = new Set<Host>();

	constructor({seed, forMs = 40_000, plan, trace}: RunOptions) {
		this.#seed = seed;
		this.#forMs = forMs;
		this.#plan = plan ?? planOf(seed, forMs);
		this.#course = new Course(trace);
		this.#schedule = this.#course.schedule;
		this.#random = createRandom(`${seed}/run`);
		this.#options = drawOptions(seed);
		const {link, loss, raftLimits, config, readersSubscribe, startCount} = this.#options;
		const [schedule, hosts] = [this.#schedule, this.#hosts];
		this.#fabric = new Fabric({seed, schedule, random: this.#random.child('fabric'), link, loss});
		const checks = new RaftChecks({
			electionTicks: Math.ceil(config.raft.electionMs / simTickMs),
			uncommittedBytesMax: raftLimits.uncommittedBytesMax + uncommittedSlack,
			promotionLagMax: raftLimits.promotionLagMax,
		});
		this.#observer = new Observer(checks, new MessageChecks());
		// Most parts of a run take these options.
		const shared = {schedule, hosts, fabric: this.#fabric, observer: this.#observer};
		const views = {
			up: () => this.#up,
			hostOf: (id: NodeId) => this.#hostOf(id),
			voters: () => this.#members()?.leader.node!.control.raft.status().configuration.voters ?? [],
		};
		this.#readers = new Readers(this.#observer, createRandom(`${seed}/readers`), readersSubscribe);
		this.#followers = new Followers({...shared, random: createRandom(`${seed}/followers`), topics});
		this.#duplicates = new DuplicateProcessChecks({...shared, ...views, messages: this.#observer.messages});
		this.#views = new ViewChecks({
			...shared,
			...views,
			nowMs: () => schedule.nowMs,
			leader: () => this.#members()?.leader,
		});
		this.#faults = new Faults({
			...shared,
			...views,
			add: (address, replaces) => this.#add(address, undefined, replaces),
			note: text => this.#note(text),
		});
		this.#incidents = new Incidents({
			...shared,
			...views,
			removed: this.#faults.removed,
			freshAddress: () => this.#freshAddress(),
			add: ({address, copyOf}) => (copyOf ? this.#copy(copyOf, address) : this.#add(address, false)),
		});
		this.#operators = new Operators(topics, config.storage);
		this.#clients = new Clients({
			...shared,
			...views,
			seed,
			topics,
			duplicates: this.#duplicates,
			readers: this.#readers,
			followers: this.#followers,
		});
		this.#observer.readUpTo = (host, topic) => this.#readers.readUpTo(host, topic);
		// The new node of a lost disk asks for the removal of the old id, whether or not a copy of the disk exists.
		this.#observer.mayBeRemoved = node =>
			this.#faults.removed.has(node) || hosts.some(({id, isRetired}) => id === node && isRetired);
		for (let count = startCount; count > 0; count--) this.#add();
	}

	run(): Outcome {
		try {
			this.#start();
			this.#run(this.#forMs);
			this.#heal();
			const agreedMs = this.#agree();
			const convergedMs = this.#converge();
			const history = checkHistory(
				this.#observer.operations.history,
				node =>
					this.#faults.removed.has(node as NodeId) ||
					this.#hosts.some(host => host.id === node && (host.isRetired || host.exitCause === 'removed')),
				this.#observer.operations.deletions,
			);
			return {
				seed: this.#seed,
				fingerprint: this.#course.fingerprint,
				virtualMs: this.#schedule.nowMs,
				events: this.#course.events,
				agreedMs,
				convergedMs,
				faults: this.#faultsThatOccurred(),
				work: this.#workDone(history),
			};
		} catch (error) {
			throw new Error(
				`at ${this.#schedule.nowMs} ms, event ${this.#course.events}: ${(error as Error).message}`,
				{
					cause: error,
				},
			);
		}
	}

	/** Start the hosts, the clients, the plan and the regular checks. */
	#start(): void {
		const random = createRandom(`${this.#seed}/start`);
		const isTogether = this.#options.discovery !== 'none';
		for (const [index, host] of this.#hosts.entries())
			this.#schedule.after(isTogether ? random.below(2000) : index * 50, () => host.boot());
		for (const event of this.#plan) this.#schedule.after(event.atMs, () => this.#isOver || this.#inject(event));
		this.#clients.start();
		this.#checkViews();
	}

	#faultsThatOccurred(): Outcome['faults'] {
		const network = this.#fabric;
		return {
			...Object.fromEntries(this.#faultCounts),
			...prefixed('disk', this.#diskCounts),
			...prefixed('end', this.#observer.exits),
			halfOpen: network.halfOpen,
			...Object.fromEntries(
				(['lost', 'duplicated', 'cut', 'replayed', 'reordered', 'clogged', 'congested'] as const).map(name => [
					`net-${name}`,
					this.#packets(name),
				]),
			),
		};
	}

	#workDone(history: HistoryResult): Outcome['work'] {
		const observer = this.#observer;
		return {
			published: this.#clients.published,
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
			topicsDeleted: observer.topicLogs.deletions.count,
			accessChanges: this.#operators.access.agreed,
			...prefixed('key', this.#operators.keys.counts),
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
			packets: this.#packets('delivered'),
		};
	}

	/** Frames and datagrams. */
	#packets(name: keyof NetworkCounts): number {
		return this.#fabric.frames.counts[name] + this.#fabric.datagrams.counts[name];
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
				this.#options.isMixed && this.#schedule.nowMs === 0 && random.child('version').chance(2, 3)
					? this.#options.olderProtocol
					: protocolMax,
			id,
			address: address ?? this.#freshAddress(),
			freshAddress: () => this.#freshAddress(),
			founds,
			replaces,
			// A later host gets a list. Alone and cut off, it would have to found a cluster.
			bootstrap: () => this.#listFor(id),
			mode: this.#options.discovery === 'none' || this.#schedule.nowMs === 0 ? this.#options.discovery : 'list',
			expect: this.#options.startCount,
			schedule: this.#schedule,
			random,
			fabric: this.#fabric,
			observer: this.#observer,
			config: this.#options.config,
			raftLimits: this.#options.raftLimits,
			owner: this.#options.owner,
			disk,
			keepsReserve: this.#plan.some(({kind}) => kind === 'full-disk'),
			secret: this.#operators.keys.secret,
			writesSecret: random.child('secret').chance(2, 3),
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
			(this.#options.discovery === 'discovery' || this.#options.discovery === 'expect') &&
			this.#hosts.slice(0, this.#options.startCount).some(host => host.id === id)
		)
			return [];
		return this.#hosts
			.filter(other => (other.id !== id || this.#options.discovery === 'list-with-self') && !other.isRetired)
			.map(other => other.address);
	}

	#machine(name: number | string): {readonly random: SeededRandom; readonly disk: SimDisk} {
		const random = this.#random.child(`host/${name}`);
		return {
			random,
			disk: new SimDisk({
				schedule: this.#schedule,
				random: random.child('disk'),
				syncMs: this.#options.syncMs,
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
			secret: host.secret,
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
		// What was begun before the heal may end a process after it: a requested stop, a call of a node with another
		// version (seed 48453), a write to a full disk (seed 54515).
		const isLate = isFullDisk(host.exitReason) || /\bspeaks protocol\b/.test(host.exitReason);
		if (this.#isOver && (isByItself ? isLate : host.exitCause === 'stopped'))
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
		this.#course.note(text);
	}

	#run(forMs: number, isDone: () => boolean = () => false): boolean {
		return this.#course.advance(forMs, isDone, () => {
			if (this.#violation) throw this.#violation;
			this.#observer.observe(this.#hosts);
		});
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

	#checkViews(): void {
		this.#schedule.after(viewCheckMs, () => {
			this.#views.check();
			this.#checkViews();
		});
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
		return kind === 'create-topic' || kind === 'delete-topic' || kind === 'rotate-key'
			? this.#operators.act(kind, this.#up, event, this.#hosts)
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
			this.#options.discovery === 'none' ||
			this.#hosts.slice(0, this.#options.startCount).every(host => this.#formed.has(host));
		if (!this.#isFormed && this.#schedule.nowMs > formMs)
			throw new Error(
				`hosts that start together form a cluster: not after ${this.#schedule.nowMs} ms: ${this.#states()}`,
			);
		return this.#isFormed;
	}

	/** End all faults: restore the network and start every host that still exists. */
	#heal(): void {
		this.#isOver = true;
		this.#clients.end();
		this.#followers.areFaultsOver = true;
		this.#note('heal');
		this.#fabric.calm();
		this.#fabric.giveUpBacklogs();
		this.#incidents.end();
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
	#members(): Members | undefined {
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

	/**
	Wait until every live node considers every live node alive and has all retained messages of its subscriptions.
	Returns the time it took.
	*/
	#converge(): number {
		const startMs = this.#schedule.nowMs;
		let problems: readonly string[] = [];
		while (this.#schedule.nowMs - startMs < convergeMs) {
			this.#run(200);
			this.#operators.keys.finish(this.#members()?.hosts ?? [], this.#hosts);
			problems = this.#unconverged();
			if (problems.length === 0) return this.#schedule.nowMs - startMs;
		}

		throw new Error(
			`convergence after the heal: ${problems.length} problems after ${convergeMs} ms: ${problems.slice(0, 4).join('; ')}; ${this.#states()}`,
		);
	}

	/** What the nodes have not achieved yet. */
	#unconverged(): readonly string[] {
		const members = this.#members();
		const hosts = members?.hosts ?? [];
		const {messages, topicLogs, fullDisks} = this.#observer;
		return [
			...(members ? this.#membershipProblems(members) : ['no leader']),
			...this.#duplicates.unsettled(),
			...this.#duplicates.stranded(hosts.filter(({node}) => node?.phase === 'running')),
			...this.#views.notHealthy(hosts),
			...messages.lacking(hosts),
			...topicLogs.deletions.remaining(hosts),
			...fullDisks.remaining(this.#up),
			...this.#readers.lagging(),
			...this.#followers.lagging(),
			...this.#operators.access.remaining(hosts),
			...this.#operators.keys.remaining(hosts),
		];
	}

	/** Nodes that are not admitted, promoted or considered alive, although they could be. */
	#membershipProblems({leader, hosts}: Members): readonly string[] {
		const up = hosts.filter(({node}) => node);
		const {voters, learners} = leader.node!.control.raft.status().configuration;
		const missing = voters.length % 2 === 0 ? 1 : 2;
		const promotable = learners.filter(learner => up.some(({id}) => id === learner));
		const isVoterMissing =
			promotable.length >= missing && voters.length + missing <= this.#options.config.raft.votersMax;
		const seesAsAlive = (one: Host, other: Host): boolean =>
			one.node!.failureDetection.members().find(({id}) => id === other.id)?.state === 'alive';
		return [
			...this.#up
				.filter(({id, node}) => node!.phase === 'joining' && !this.#faults.removed.has(id))
				.map(({key}) => `${key} is not a member yet`),
			...(isVoterMissing ? [`${promotable.join(' and ')} could be promoted, and is not`] : []),
			...protocolProblems(leader, up, voters.length + learners.length),
			...up.flatMap(one =>
				up
					.filter(other => other !== one && !seesAsAlive(one, other))
					.map(other => `${one.id} does not see ${other.id} as alive`),
			),
		];
	}

	#states(): string {
		return this.#hosts.map(describe).join('; ');
	}
}

/** The state of a host, for the message of a failed run. */
function describe(host: Host): string {
	const name = `${shortId(host.key)}${host.isCopy ? '+' : ''} at ${host.address}`;
	if (host.isRetired) return `${name} retired`;
	if (!host.node) return `${name} down: ${host.exitCause} ${host.exitReason}`;
	const {phase, waiting, control} = host.node;
	const phaseText = phase === 'joining' ? `joining (${waiting.detail})` : phase;
	return [name, phaseText, raftText(control.raft.status())].join(' ');
}

function isIncident(kind: Kind): kind is IncidentKind {
	return (incidentKinds as readonly Kind[]).includes(kind);
}

function prefixed(name: string, counts: Readonly<Record<string, number>>): Record<string, number> {
	return Object.fromEntries(Object.entries(counts).map(([key, value]) => [`${name}-${key}`, value]));
}
