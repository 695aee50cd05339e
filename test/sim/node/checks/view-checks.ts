/**
The reports of nodes about their cluster, compared with the simulated world. *Healthy* means usable: a node may report
it only while every voter runs, is reachable (through one relay at most), has room on its disk, follows the leader and
has applied the agreed entries, or catches up with them. The time that detection takes is allowed for. Connected nodes
must report the same states of the members.
*/
import type {NodeId} from '../../../../core/message.ts';
import {viewOf} from '../../../../core/node/snapshot-of.ts';
import {verdictOf, type Verdict} from '../../../../core/observe/verdict.ts';
import type {Fabric} from '../fabric.ts';
import type {Host} from '../host/host.ts';

export type ViewCheckOptions = {
	readonly fabric: Fabric;
	readonly hosts: readonly Host[];
	readonly nowMs: () => number;
	/** The newest leader; the machine of a member. */
	readonly leader: () => Host | undefined;
	readonly hostOf: (node: NodeId) => Host | undefined;
};

/** Why a voter is unusable. */
type Problem = {
	readonly kind: 'paused' | 'down' | 'no-leader' | 'no-link' | 'disk-full' | 'leaderless' | 'lagging';
	readonly text: string;
	/** When the process ended. It may have ended after the last check. */
	readonly begunMs?: number;
	/** Of a lagging voter: the index that it has applied, and the one that is committed. */
	readonly applied?: number;
	readonly agreed?: number;
};

export const viewCheckMs = 500;
/** The longest time of detection, over the worst network of a run. */
const detectMs = 5000;
/** The longest time until connected nodes have exchanged what they detected. */
const agreeMs = 5000;
/**
The same limit for harder cases:

- Reports must pass a relay, which a node has to find first.
- A member with an old log has to catch up before it can use the relay. It took 12 to 16 s (seed 10648).
- Datagrams are blocked, so all packets use links.
- A member is heard but hears no other node, so its packets contradict the suspicions of others.
*/
const relayedMs = 16_000;
/** After a heal the cause may change: for this long a node may have dropped the old cause and not found the new one. */
const healedMs = 1000;
/** An entry committed this long ago has reached every node. */
const lagMs = 1000;

export class ViewChecks {
	readonly #options: ViewCheckOptions;
	/**
	Since when a voter is unusable for a node, and why. Another cause starts anew, because the node has to detect it
	anew.
	*/
	readonly #unusable = new Map<
		string,
		Problem & {readonly sinceMs: number; readonly term: number; readonly isKnown: boolean}
	>();
	#commits: Array<{readonly atMs: number; readonly commit: number}> = [];
	/** When each node last did not report its cluster as healthy. */
	readonly #notHealthyMs = new Map<Host, number>();
	#world = '';
	#worldSinceMs = 0;
	/** Healthy reports, and comparisons of views. */
	readonly counts = {healthy: 0, compared: 0};

	constructor(options: ViewCheckOptions) {
		this.#options = options;
	}

	/** @throws a report that is wrong */
	check(): void {
		const running = this.#options.hosts.filter(isRunning);
		this.#checkHealth(running);
		this.#checkViews(running);
	}

	/** Nodes that do not report a healthy cluster as healthy. */
	notHealthy(hosts: readonly Host[]): string[] {
		return hosts.filter(isRunning).flatMap(host => {
			// A second process of an id is reported for a minute after it was last seen, which is too long to wait for.
			const {verdict, findings} = judged(host, {duplicates: []});
			return verdict === 'healthy'
				? []
				: [`${host.key} says ${verdict}: ${findings.map(({problem}) => problem).join('; ')}`];
		});
	}

	#checkHealth(running: readonly Host[]): void {
		const {leader: find, nowMs} = this.#options;
		const atMs = nowMs();
		const leader = find();
		const status = leader?.node!.control.raft.status();
		if (status) this.#commits.push({atMs, commit: status.commit});
		while ((this.#commits[1]?.atMs ?? atMs) <= atMs - lagMs) this.#commits.shift();
		const agreed = this.#commits[0]?.commit ?? 0;
		for (const host of running) {
			const isHealthy = judged(host).verdict === 'healthy';
			const {leader: followed, term, configuration} = host.node!.control.raft.status();
			if (isHealthy) this.counts.healthy++;
			else this.#notHealthyMs.set(host, atMs);
			const isSure = isHealthy && atMs - (this.#notHealthyMs.get(host) ?? 0) > healedMs;
			for (const voter of status?.configuration.voters ?? configuration.voters) {
				const key = `${host.key}>${voter}`;
				const why = this.#whyUnusable(host, voter, leader, agreed);
				const known = this.#unusable.get(key);
				// A node that catches up with the log starts to probe a voter when it learns of it (seed 39173).
				const isKnown = configuration.voters.includes(voter);
				if (!why) this.#unusable.delete(key);
				// A node that follows a leader of a later term must have had that leader between two checks.
				else if (
					known?.kind !== why.kind ||
					known.begunMs !== why.begunMs ||
					known.isKnown !== isKnown ||
					isCatchingUp(known, why) ||
					(why.kind === 'no-leader' && followed !== undefined && term > known.term)
				)
					this.#unusable.set(key, {sinceMs: atMs, term: followed === undefined ? 0 : term, isKnown, ...why});
				else if (isSure && atMs - known.sinceMs >= detectMs && host.awakeMs >= detectMs)
					throw new Error(
						`healthy means usable: ${host.key} reports healthy, ${voter} is unusable for it for ${atMs - known.sinceMs} ms: ${known.text}, now ${why.text}`,
					);
			}
		}
	}

	/** Why the node cannot use this voter; `undefined` if it can. */
	#whyUnusable(host: Host, voter: NodeId, leader: Host | undefined, agreed: number): Problem | undefined {
		const {hostOf, hosts} = this.#options;
		// Another check decides which of the two processes counts.
		if (hosts.filter(one => one.id === voter && isRunning(one)).length > 1) return undefined;
		const other = hostOf(voter);
		if (!other || !isRunning(other))
			return other?.isPaused
				? {kind: 'paused', text: 'it is paused'}
				: {kind: 'down', text: 'it does not run', begunMs: other?.sinceMs};
		if (!leader) return {kind: 'no-leader', text: 'there is no leader'};
		if (other !== host && !this.#isReached(host, other))
			return {kind: 'no-link', text: 'no connection leads to it'};
		if (other.node!.options.io.room?.isFull) return {kind: 'disk-full', text: 'its disk is full'};
		const {leader: followed, term} = other.node!.control.raft.status();
		const {term: newest} = leader.node!.control.raft.status();
		if (followed !== leader.id || term !== newest)
			return {
				kind: 'leaderless',
				text: `it follows ${followed} in term ${term}, the leader is ${leader.id} in term ${newest}`,
			};
		const {applied} = other.node!.control.state;
		return applied < agreed
			? {kind: 'lagging', text: `it has applied ${applied}, and ${agreed} is committed`, applied, agreed}
			: undefined;
	}

	/** Whether a connection joins them, or two connections through a relay. */
	#isReached(one: Host, other: Host): boolean {
		const {fabric, hosts} = this.#options;
		return (
			fabric.isLinked(one.key, other.key) ||
			hosts.some(
				relay =>
					relay !== one &&
					relay !== other &&
					isRunning(relay) &&
					fabric.isLinked(one.key, relay.key) &&
					fabric.isLinked(relay.key, other.key),
			)
		);
	}

	/**
	Nodes that are connected, directly or through others, must name the same members as not alive once nothing has
	changed for a while, including the members that each node knows (seed 47585).
	*/
	#checkViews(running: readonly Host[]): void {
		const {fabric, nowMs} = this.#options;
		const world = running
			.map(
				one =>
					`${one.key}:${one.address}:${nowMs() - one.awakeMs}:${running
						.filter(other => fabric.isLinked(one.key, other.key))
						.map(({key}) => key)
						.join(',')}:${running
						.filter(other => fabric.datagrams.isCut(one.key, other.key))
						.map(({key}) => key)
						.join(',')}:${[...statesOf(one).keys()].join(',')}`,
			)
			.join(';');
		if (world !== this.#world) {
			this.#world = world;
			this.#worldSinceMs = nowMs();
		}

		if (nowMs() - this.#worldSinceMs < agreeMs) return;
		for (const component of componentsOf(running, (one, other) => fabric.isLinked(one.key, other.key))) {
			const isWhole = running.every(one =>
				component.every(
					other =>
						one === other ||
						(fabric.isLinked(one.key, other.key) && !fabric.datagrams.isCut(one.key, other.key)) ||
						(!component.includes(one) && fabric.datagrams.isCut(one.key, other.key)),
				),
			);
			if (!isWhole && nowMs() - this.#worldSinceMs < relayedMs) continue;
			const [first, ...others] = component.map(host => ({host, states: statesOf(host)}));
			this.counts.compared += others.length > 0 ? 1 : 0;
			for (const {host, states} of others) {
				// A node whose log ends before another node joined knows neither that node nor the way through it.
				if ([...states.keys()].join(' ') !== [...first!.states.keys()].join(' ')) continue;
				const contested = [...states].find(
					([id, isThere]) => isThere !== undefined && first!.states.get(id) === !isThere,
				);
				if (contested)
					throw new Error(
						`connected nodes report the same members as alive: ${first!.host.key} reports ${contested[0]} as ${contested[1] ? 'not ' : ''}alive, ${host.key} as ${contested[1] ? '' : 'not '}alive; nothing has changed for ${nowMs() - this.#worldSinceMs} ms`,
					);
			}
		}
	}
}

/**
A node calls a lagging member degraded if the member does not catch up. A member that was away needs time over a
congested link, while more entries are agreed (seed 34991). It catches up if it has applied the entries that were agreed
at the last check, or if it advances and lacks fewer entries than then. To lack fewer entries is not enough, because a
new leader may know of fewer agreed entries.
*/
function isCatchingUp(before: Problem, now: Problem): boolean {
	const {applied = 0, agreed = 0} = now;
	const {applied: appliedBefore = 0, agreed: agreedBefore = 0} = before;
	return (
		now.kind === 'lagging' &&
		applied > appliedBefore &&
		(applied >= agreedBefore || agreed - applied < agreedBefore - appliedBefore)
	);
}

function isRunning(host: Host): boolean {
	return host.isUp && !host.isPaused && host.node?.phase === 'running';
}

/**
The verdict from what the node itself knows. If it knows a leader, the check assumes that the quorum would confirm.
*/
function judged({node}: Host, without: {readonly duplicates?: readonly []} = {}): Verdict {
	const {leader, commit} = node!.control.raft.status();
	return verdictOf({...viewOf(node!), ...without}, leader === undefined ? 'no-leader' : commit);
}

/**
By id: whether each member is alive. `undefined` for a suspected member: only this node doubts it, and others still
reach it.
*/
function statesOf({node}: Host): ReadonlyMap<NodeId, boolean | undefined> {
	const members = viewOf(node!).members.toSorted((one, other) => (one.id < other.id ? -1 : 1));
	return new Map(
		members.map(({id, state}) => [id, state === 'suspect' ? undefined : state === 'alive' || state === 'degraded']),
	);
}

function componentsOf(hosts: readonly Host[], isLinked: (one: Host, other: Host) => boolean): Host[][] {
	const left = new Set(hosts);
	const components: Host[][] = [];
	for (const host of hosts) {
		if (!left.delete(host)) continue;
		const component = [host];
		for (const one of component)
			for (const other of left) if (isLinked(one, other) && left.delete(other)) component.push(other);
		components.push(component);
	}

	return components;
}
