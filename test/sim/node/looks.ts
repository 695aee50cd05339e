/**
What nodes say of their cluster, compared with the world. *Healthy* means usable: a node may say it only while every
voter runs, can be reached (over one other member at most), follows the leader and has what was agreed, or catches up
with it, or since a moment that is shorter ago than it takes to find out. And nodes that reach one another say the same of the others.
*/
import type {NodeId} from '../../../core/message.ts';
import {viewOf} from '../../../core/node/snapshot-of.ts';
import {verdictOf, type Verdict} from '../../../source/output/verdict.ts';
import type {Fabric} from './fabric.ts';
import type {Host} from './host.ts';

export type LooksOptions = {
	readonly fabric: Fabric;
	readonly hosts: readonly Host[];
	readonly nowMs: () => number;
	/** The newest leader, and the machine of a member. */
	readonly leader: () => Host | undefined;
	readonly hostOf: (node: NodeId) => Host | undefined;
};

/** Why a voter is of no use. */
type Trouble = {
	readonly kind: 'paused' | 'down' | 'no-leader' | 'no-link' | 'leaderless' | 'behind';
	readonly text: string;
	/** Of a process that ended: it may have begun after the last look. */ readonly begunMs?: number;
	/** Of a voter that is behind: the index that it has applied, and the one that is agreed. */
	readonly applied?: number;
	readonly agreed?: number;
};

export const lookMs = 500;
/** Within this time a node finds out, over the worst network that a run has. */
const detectMs = 5000;
/** Within this time nodes that reach one another have told what they found out. */
const agreeMs = 5000;
/**
The same where some hear of others over a third only, which has to be found first, and over which one whose list of
members is old has to catch up before it can read what it is told; where datagrams are blocked, so that all goes over
links; and where one is heard that hears nobody: what it sends speaks against what others suspect. A member with an old
log behind a relay that it does not know yet took between 12 and 16 s (seed 10648).
*/
const relayedMs = 16_000;
/** A heal changes the reason why a voter is of no use: for so long a node may have dropped the old one and not found the new one. */
const healedMs = 1000;
/** What was agreed so long ago has reached everybody. */
const behindMs = 1000;

export class Looks {
	readonly #options: LooksOptions;
	/**
	Since when a voter is of no use to a node, and why; another reason begins anew, since it has to be found out anew.
	*/
	readonly #unusable = new Map<string, Trouble & {readonly sinceMs: number; readonly term: number}>();
	#commits: Array<{readonly atMs: number; readonly commit: number}> = [];
	/** When a node last did not call its cluster healthy. */
	readonly #unwellMs = new Map<Host, number>();
	#world = '';
	#worldSinceMs = 0;
	/** How often a node said that all is well, and how often all views were compared. */
	readonly counts = {healthy: 0, compared: 0};

	constructor(options: LooksOptions) {
		this.#options = options;
	}

	/** @throws what a node says that is not so */
	look(): void {
		const running = this.#options.hosts.filter(isRunning);
		this.#checkHealth(running);
		this.#checkViews(running);
	}

	/** Nodes that do not call a cluster healthy in which all is well. */
	unwell(hosts: readonly Host[]): string[] {
		return hosts.filter(isRunning).flatMap(host => {
			// A second process of an id is reported for a minute after it was seen last, as long as the cluster is
			// given.
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
		while ((this.#commits[1]?.atMs ?? atMs) <= atMs - behindMs) this.#commits.shift();
		const agreed = this.#commits[0]?.commit ?? 0;
		for (const host of running) {
			const isHealthy = judged(host).verdict === 'healthy';
			const {leader: followed, term} = host.node!.control.raft.status();
			if (isHealthy) this.counts.healthy++;
			else this.#unwellMs.set(host, atMs);
			const isSure = isHealthy && atMs - (this.#unwellMs.get(host) ?? 0) > healedMs;
			for (const voter of status?.configuration.voters ?? host.node!.control.raft.status().configuration.voters) {
				const key = `${host.key}>${voter}`;
				const why = this.#uselessness(host, voter, leader, agreed);
				const known = this.#unusable.get(key);
				if (!why) this.#unusable.delete(key);
				// Who follows a leader of a later term has had that one between two looks.
				else if (
					known?.kind !== why.kind ||
					known.begunMs !== why.begunMs ||
					isCatchingUp(known, why) ||
					(why.kind === 'no-leader' && followed !== undefined && term > known.term)
				)
					this.#unusable.set(key, {sinceMs: atMs, term: followed === undefined ? 0 : term, ...why});
				else if (isSure && atMs - known.sinceMs >= detectMs && host.awakeMs >= detectMs)
					throw new Error(
						`healthy only if usable: ${host.key} says healthy, ${voter} is of no use to it for ${atMs - known.sinceMs} ms: ${known.text}, now ${why.text}`,
					);
			}
		}
	}

	/** Why this voter cannot be used by that node; `undefined` when it can. */
	#uselessness(host: Host, voter: NodeId, leader: Host | undefined, agreed: number): Trouble | undefined {
		const {hostOf, hosts} = this.#options;
		// Which of two it is, is another check's.
		if (hosts.filter(one => one.id === voter && isRunning(one)).length > 1) return undefined;
		const other = hostOf(voter);
		if (!other || !isRunning(other))
			return other?.isPaused
				? {kind: 'paused', text: 'it is paused'}
				: {kind: 'down', text: 'it does not run', begunMs: other?.sinceMs};
		if (!leader) return {kind: 'no-leader', text: 'there is no leader'};
		if (other !== host && !this.#isReached(host, other))
			return {kind: 'no-link', text: 'no connection leads to it'};
		const {leader: followed, term} = other.node!.control.raft.status();
		const {term: newest} = leader.node!.control.raft.status();
		if (followed !== leader.id || term !== newest)
			return {
				kind: 'leaderless',
				text: `it follows ${followed} in term ${term}, the leader is ${leader.id} in term ${newest}`,
			};
		const {applied} = other.node!.control.state;
		return applied < agreed
			? {kind: 'behind', text: `it has applied ${applied}, ${agreed} is agreed`, applied, agreed}
			: undefined;
	}

	/** By a connection, or by two over a member that relays. */
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
	Nodes that are connected, directly or over others, and of which nothing has changed for a while, name the same
	members as not alive.
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
						.join(',')}`,
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
				// One whose log ends before another joined knows neither that one nor the way over it.
				if ([...states.keys()].join(' ') !== [...first!.states.keys()].join(' ')) continue;
				const contested = [...states].find(
					([id, isThere]) => isThere !== undefined && first!.states.get(id) === !isThere,
				);
				if (contested)
					throw new Error(
						`all views agree: ${first!.host.key} says that ${contested[0]} is ${contested[1] ? 'not ' : ''}there, ${host.key} that it is${contested[1] ? '' : ' not'}; nothing has changed for ${nowMs() - this.#worldSinceMs} ms`,
					);
			}
		}
	}
}

/**
A node calls a member degraded that is behind and does not catch up. One that was away needs its time over a congested
link, while more is agreed (seed 34991): it catches up if it has what was agreed then, or advances and lacks less than
then. A new leader may know of less that is agreed, so to lack less is not enough.
*/
function isCatchingUp(before: Trouble, now: Trouble): boolean {
	const {applied = 0, agreed = 0} = now;
	const {applied: appliedBefore = 0, agreed: agreedBefore = 0} = before;
	return (
		now.kind === 'behind' &&
		applied > appliedBefore &&
		(applied >= agreedBefore || agreed - applied < agreedBefore - appliedBefore)
	);
}

function isRunning(host: Host): boolean {
	return host.isUp && !host.isPaused && host.node?.phase === 'running';
}

/**
The quorum's confirmation is taken for granted where the node knows a leader to ask: what is judged is what it knows.
*/
function judged({node}: Host, without: {readonly duplicates?: readonly []} = {}): Verdict {
	const {leader, commit} = node!.control.raft.status();
	return verdictOf({...viewOf(node!), ...without}, leader === undefined ? 'no-leader' : commit);
}

/**
Whether each member is there, by id. `undefined`: it is suspected, which is the doubt of one node that others answer.
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
