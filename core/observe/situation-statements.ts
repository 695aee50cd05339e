/**
The sentences about a situation, one function for each question of an operator. Every sentence says what this node knows
and with which evidence; what it cannot know, it says so. Pure.
*/
import type {NodeId} from '../message.ts';
import type {MemberSnapshot, Snapshot} from '../snapshot.ts';
import {findingsOf} from './findings.ts';
import type {FindingReason} from './finding-reasons.ts';
import {leaderChanges, presentLeader} from './leaders.ts';
import {leaderReason} from './leader-text.ts';
import {shortIdentity} from './access-text.ts';
import {printable} from './printable.ts';
import {refusalRemedies} from './quorum-health.ts';
import {count, duration, listed, plural} from './quantity-text.ts';
import {
	memberSince,
	nodesText,
	noticedText,
	pairText,
	sinceText,
	type SituationContext,
	type Statement,
} from './situation-context.ts';
import {lateEntries, quorumLostAtMs} from './situation-problems.ts';

/** Nodes that are lost within this time are lost together. In milliseconds. */
const togetherMs = 1500;
/** Within this time after an election the panel still says that the leader is new. In milliseconds. */
const historyMs = 10 * 60_000;

/** What happened, since when, and how fast it was noticed. */
export function happened(context: SituationContext): readonly Statement[] {
	const {snapshot, label, gone, far, stopped, degraded, cuts} = context;
	const {partition, phase, atMs, raft} = snapshot;
	const what = (tone: Statement['tone'], text: string): Statement => ({about: 'what', tone, text});
	const statements: Statement[] = [];
	if (phase !== 'running') statements.push(what('warning', phaseText(snapshot)));
	const isApart = partition.state === 'partitioned' && far.length > 0;
	if (isApart) statements.push(what('bad', partitionText(context)));
	if (partition.state === 'repairing') statements.push(what('warning', repairText(snapshot)));
	for (const group of goneTogether(gone.filter(({id, state}) => state === 'down' || !isApart || !far.includes(id))))
		statements.push(what('bad', goneText(group, context)));
	for (const member of stopped)
		statements.push(
			what(
				'warning',
				`${label(member.id)} was stopped on purpose ${memberSince(member, context)}: it announced it. ` +
					'Its vote still counts.',
			),
		);
	for (const member of degraded)
		if (!member.self || member.cause !== 'disk-full')
			statements.push(what('warning', degradedText(member, context)));
	if (!isApart && cuts.length + context.oneWays.length > 0) statements.push(what('warning', linksText(context)));
	const lostAtMs = raft.quorum === 'held' || phase !== 'running' ? undefined : quorumLostAtMs(snapshot.events);
	if (statements.length === 0 && lostAtMs !== undefined)
		statements.push(what('bad', `${quorumLossText(snapshot)} since ${sinceText(lostAtMs, atMs)}.`));
	return [...statements, ...newsStatements(context, statements.length === 0)];
}

/** Members that were lost in the same second and the same way share a sentence. */
function goneTogether(gone: readonly MemberSnapshot[]): ReadonlyArray<readonly MemberSnapshot[]> {
	const groups: MemberSnapshot[][] = [];
	for (const member of gone) {
		const group = groups.find(
			([first]) =>
				first!.state === member.state && Math.abs((first!.downMs ?? 0) - (member.downMs ?? 0)) < togetherMs,
		);
		if (group) group.push(member);
		else groups.push([member]);
	}

	return groups;
}

function goneText(group: readonly MemberSnapshot[], context: SituationContext): string {
	const [first] = group;
	const isOne = group.length === 1;
	const ids = group.map(({id}) => id);
	const evidence =
		first!.state !== 'down'
			? ''
			: isOne
				? `: its host refuses connections to ${printable(first!.address)}, so no process runs there`
				: ': their hosts refuse connections, so their processes do not run';
	return (
		`${nodesText(context, ids)} ${isOne ? 'is' : 'are'} ${first!.state} ${memberSince(first!, context)}` +
		`${noticedText(first!, isOne ? 'its' : 'their')}${evidence}.`
	);
}

function degradedText(member: MemberSnapshot, context: SituationContext): string {
	const why = printable(member.why);
	const [what, reason] = refusalRemedies.has(member.cause)
		? ['runs, but is refused', `it ${why}`]
		: ['is degraded', why];
	return `${context.label(member.id)} ${what} ${memberSince(member, context)}: ${reason}.`;
}

/** Links that are cut although no node is lost. */
function linksText({snapshot, cuts, oneWays}: SituationContext): string {
	const {atMs, members} = snapshot;
	const forMs = Math.max(0, ...snapshot.cuts.map(cut => cut.forMs));
	const since = forMs > 0 ? `Since ${sinceText(atMs - forMs, atMs)} ` : '';
	const parts = [
		...(cuts.length > 0 ? [`${plural(cuts.length, 'link is', 'links are')} cut`] : []),
		...(oneWays.length > 0 ? [`${plural(oneWays.length, 'link works', 'links work')} in one direction only`] : []),
	];
	const isReached = members.every(
		({self, reached, state}) => self || reached || state === 'down' || state === 'left',
	);
	return `${since}${parts.join(' and ')}.${isReached ? ' Every running node is still reached, through others.' : ''}`;
}

function quorumLossText({raft}: Snapshot): string {
	return raft.quorum === 'lost' ? 'A majority of the voters has not been reachable' : 'There has been no leader';
}

/** What happened without an unreachable node. */
function newsStatements(context: SituationContext, isAlone: boolean): readonly Statement[] {
	const {snapshot, label} = context;
	const {raft, faults, fullDisk, gossip, members, foreign, duplicates, cluster, events, atMs} = snapshot;
	const what = (tone: Statement['tone'], text: string): Statement => ({about: 'what', tone, text});
	const statements: Statement[] = [];
	if (fullDisk !== undefined)
		statements.push(what('bad', `The disk of ${label(snapshot.self)} is full: ${printable(fullDisk)}.`));
	for (const {clusterId, address} of foreign.slice(0, 1))
		statements.push(
			what(
				'bad',
				`There are two clusters of the name ${printable(cluster)}: ` +
					`another one (${printable(clusterId.slice(0, 8))}) is at ${printable(address)}. ` +
					'They are not merged.',
			),
		);
	for (const {id, address, other} of duplicates.slice(0, 1))
		statements.push(
			what(
				'bad',
				`Two processes use the identity of ${label(id)}: the one at ${printable(address)} is kept, ` +
					`the one at ${printable(other)} is refused.`,
			),
		);
	if ((gossip.missing ?? 0) >= 1000)
		statements.push(
			what('warning', `${label(snapshot.self)} copies ${count(gossip.missing ?? 0)} messages that it lacks.`),
		);
	for (const {id, match, self, cause} of members) {
		const lag = match === undefined || self || cause === 'behind' ? 0 : raft.lastIndex - match;
		if (lag > lateEntries)
			statements.push(
				what(
					'warning',
					`${label(id)} lacks ${count(lag)} of ${count(raft.lastIndex)} log entries, and catches up.`,
				),
			);
	}

	if (raft.isPromoting)
		statements.push(
			what(
				'warning',
				`${nodesText(
					context,
					raft.learners.filter(id => members.some(member => member.id === id && member.reached)),
				)} joined and has no vote yet: it gets one when it has the log of the cluster.`,
			),
		);
	if (isAlone && statements.length === 0 && faults.length > 0) {
		const at = events.findLast(event => event.type === 'fault')?.at;
		const since = at === undefined ? '' : ` since ${sinceText(at, atMs)}`;
		statements.push(what('warning', `Faults are injected on purpose${since}; no node is missing.`));
	}

	const change = presentLeader(snapshot);
	if (isAlone && statements.length === 0 && change && raft.leader !== undefined)
		statements.push(
			what('warning', `${label(raft.leader)} became the leader at ${sinceText(change.at, atMs)}. All nodes run.`),
		);
	return statements;
}

function phaseText({phase, detail, members, self}: Snapshot): string {
	const name = members.find(({id}) => id === self)?.name;
	const who = name ? printable(name) : 'This node';
	const why = printable(detail);
	switch (phase) {
		case 'joining':
			return `${who} is joining: ${why || 'it waits for a member to admit it'}.`;
		case 'starting':
			return `${who} is starting: ${why || 'it reads stored data'}.`;
		case 'stopping':
			return `${who} is stopping: ${why || 'it writes everything to the disk'}.`;
		case 'running':
			return '';
		default:
			return phase satisfies never;
	}
}

function partitionText(context: SituationContext): string {
	const {snapshot, far} = context;
	const {partition, atMs} = snapshot;
	const detectedMs = partition.detectedMs ?? 0;
	const since = `Since ${sinceText(atMs - partition.sinceMs - detectedMs, atMs)}`;
	const noticed = partition.detectedMs === undefined ? '' : ` (noticed after ${duration(detectedMs)})`;
	if (partition.isFarHeard !== false)
		return `${since} the cluster is split${noticed}: its sides do not hear each other.`;
	const isOne = far.length === 1;
	return (
		`${since} ${nodesText(context, far)} ${isOne ? 'does' : 'do'} not answer${noticed}: ` +
		(snapshot.faults.length > 0
			? 'cut off by the injected fault or the network, or stopped.'
			: `the network is cut, or ${isOne ? 'it' : 'they'} stopped without a word.`)
	);
}

function repairText({partition, atMs}: Snapshot): string {
	const {healedMs, sinceMs, backlog} = partition;
	return (
		`The partition healed at ${sinceText(atMs - sinceMs, atMs)}` +
		`${healedMs === undefined ? '' : `, after ${duration(healedMs)}`}. ` +
		`The sides exchange what they missed: ${plural(backlog, 'message')} arrived here so far.`
	);
}

/** What this node is, what works here, and what does not. */
export function worksStatement(context: SituationContext): Statement {
	const {snapshot, label, here, far} = context;
	const {raft, self, phase, fullDisk} = snapshot;
	const role = raft.voters.length === 0 ? '' : ` is ${roleText(raft.role)} in term ${count(raft.term)}`;
	const who = `${label(self)} (this node)${role}.`;
	const say = (tone: Statement['tone'], text: string): Statement => ({about: 'here', tone, text: `${who} ${text}`});
	if (phase !== 'running')
		return {about: 'here', tone: 'warning', text: `Nothing works at ${label(self)} until it is a running member.`};
	if (fullDisk !== undefined)
		return say('bad', 'Publishing is refused here, and nothing new is stored. Reading stored messages works.');
	const isApart = snapshot.partition.state === 'partitioned' && far.length > 0;
	const where = isApart
		? ` on side ${sideLetter(snapshot.partition.sides.findIndex(side => side.includes(self)))}`
		: here.length === 1
			? ' on this node alone'
			: '';
	if (raft.quorum === 'held')
		return say(
			'good',
			isApart
				? `Everything works; messages arrive${where} only.`
				: 'Everything works here: publishing, reading, new subscriptions and topics.',
		);
	return say(
		'warning',
		`Publishing and reading work${where}; new subscriptions and topics wait for ` +
			`${raft.quorum === 'lost' ? 'the quorum' : 'a leader'}.`,
	);
}

function roleText(role: Snapshot['raft']['role']): string {
	return {
		leader: 'the leader',
		follower: 'a follower',
		candidate: 'a candidate',
		'pre-candidate': 'a pre-candidate',
		learner: 'a learner (without a vote)',
	}[role];
}

/** Which nodes are on which side, and which side has the quorum. */
export function sideStatements(context: SituationContext): readonly Statement[] {
	const {snapshot, quorum, here, far} = context;
	const {partition, raft, self, members} = snapshot;
	if (raft.voters.length === 0 || members.length < 2) return [];
	const say = (tone: Statement['tone'], text: string): Statement => ({about: 'sides', tone, text});
	if (partition.state !== 'partitioned' || far.length === 0) {
		const isHeld = raft.quorum !== 'lost';
		const who =
			here.length === 1 ? `${nodesText(context, here)} runs alone` : `${nodesText(context, here)} are one side`;
		const outside = context.degraded.filter(({self: isSelf, cause}) => !isSelf && refusalRemedies.has(cause));
		const ids = outside.map(({id}) => id);
		const refused =
			ids.length === 0 ? '' : ` ${nodesText(context, ids)} ${ids.length === 1 ? 'is' : 'are'} outside: refused.`;
		return [say(isHeld ? 'plain' : 'bad', `${who}, ${isHeld ? 'with the quorum' : 'without a quorum'}.${refused}`)];
	}

	return partition.sides.map((side, index) => {
		const votes = side.filter(id => raft.voters.includes(id)).length;
		const isHere = side.includes(self);
		const hasQuorum = index === partition.quorum;
		const mayHave = !isHere && !hasQuorum && votes >= quorum.needed;
		const state = hasQuorum
			? 'has the quorum'
			: mayHave
				? 'may have the quorum (not visible from here)'
				: 'no quorum';
		return say(
			hasQuorum ? 'good' : isHere ? 'bad' : 'plain',
			`${sideLetter(index)}${isHere ? ' (here)' : ''}: ${nodesText(context, side)}: ` +
				`${votes} of ${plural(raft.voters.length, 'voter')}, ${state}.`,
		);
	});
}

export function sideLetter(index: number): string {
	return String.fromCodePoint(0x41 + (index % 26));
}

/** Each node that does not answer, with the evidence. Nodes with the same evidence share a sentence. */
export function nodeStatements(context: SituationContext): readonly Statement[] {
	const {snapshot, gone, label} = context;
	const suspects = snapshot.members.filter(({state, self}) => !self && state === 'suspect');
	const silent = gone.filter(({state}) => state === 'unreachable');
	const statement = (tone: Statement['tone'], text: string): Statement => ({about: 'nodes', tone, text});
	const statements = silentGroups(silent).map(group => statement('bad', silentText(group, context)));
	const [suspect] = suspects;
	if (suspect)
		statements.push(
			statement(
				'warning',
				suspects.length === 1
					? `${label(suspect.id)} is suspected: ${printable(suspect.why) || 'it missed the last answer'}.`
					: `${nodesText(
							context,
							suspects.map(({id}) => id),
						)} are suspected: each missed its last answer.`,
			),
		);
	return statements;
}

/** Members with the same reason, so that ten nodes behind one cut are one sentence. */
function silentGroups(silent: readonly MemberSnapshot[]): ReadonlyArray<readonly MemberSnapshot[]> {
	const groups = new Map<string, MemberSnapshot[]>();
	for (const member of silent) {
		// The same reason after another number of seconds, or with another error of the last call.
		const key = member.why.replace(/ for [\d.,]+ \w+/u, '').replace(/ \(\w+\)$/u, '');
		const group = groups.get(key);
		if (group) group.push(member);
		else groups.set(key, [member]);
	}

	return [...groups.values()];
}

function silentText(group: readonly MemberSnapshot[], context: SituationContext): string {
	const isOne = group.length === 1;
	// The longest reason has the error of the last call.
	const [first] = group.map(({why}) => printable(why)).toSorted((one, other) => other.length - one.length);
	return (
		`${nodesText(
			context,
			group.map(({id}) => id),
		)} ${isOne ? 'is' : 'are'} unreachable: ${first || 'no answer'}. ` +
		`No connection was refused, so ${isOne ? 'it' : 'they'} may run.`
	);
}

/** Cut and one-way links, the latter with their direction. */
export function linkStatements(context: SituationContext): readonly Statement[] {
	const {cuts, oneWays, label, snapshot} = context;
	const say = (tone: Statement['tone'], text: string): Statement => ({about: 'links', tone, text});
	const statements: Statement[] = [];
	for (const what of ['all', 'tcp', 'udp'] as const) {
		const pairs = cuts.filter(cut => cut.what === what);
		if (pairs.length === 0) continue;
		const vias = [...new Set(pairs.flatMap(({via}) => via ?? []))];
		const text = listed(pairs.map(({between}) => pairText(context, between)).toSorted(), 12);
		statements.push(
			say(
				'warning',
				`${{all: 'Cut both ways', tcp: 'TCP is blocked', udp: 'UDP is blocked'}[what]} ` +
					`(${plural(pairs.length, 'link')}): ${text}` +
					`${vias.length > 0 && vias.length < 3 ? `; served through ${nodesText(context, vias)}` : ''}.`,
			),
		);
	}

	for (const [deaf, heards] of byDeaf(oneWays))
		statements.push(
			say(
				'warning',
				`One way: packets from ${nodesText(context, heards)} to ${label(deaf)} are lost; ` +
					`those from ${label(deaf)} to ${heards.length === 1 ? 'it' : 'them'} arrive.`,
			),
		);
	if (statements.length > 0 || snapshot.members.length < 2) return statements;
	return [{...say('plain', 'No one-way link is known.'), isExtra: snapshot.partition.state !== 'partitioned'}];
}

function byDeaf(pairs: SituationContext['oneWays']): ReadonlyMap<NodeId, readonly NodeId[]> {
	const grouped = new Map<NodeId, NodeId[]>();
	for (const [deaf, heard] of pairs) grouped.set(deaf, [...(grouped.get(deaf) ?? []), heard]);
	return grouped;
}

/** Whether decisions can be made here, and how many more voters can be lost. */
export function quorumStatement({snapshot, quorum, cuts}: SituationContext): readonly Statement[] {
	const {raft} = snapshot;
	if (raft.voters.length === 0) return [];
	const say = (tone: Statement['tone'], text: string): readonly Statement[] => [{about: 'quorum', tone, text}];
	const {needed} = quorum;
	const reach = `${raft.reachableVoters} of ${plural(raft.voters.length, 'voter')} reachable, ${needed} needed`;
	const spare = raft.reachableVoters - needed;
	if (raft.voters.length === 1)
		return say(
			'plain',
			raft.quorum === 'held' ? 'This cluster has one voter: no loss is tolerated.' : `No decisions: ${reach}.`,
		);
	if (raft.quorum === 'lost') return say('bad', `No decisions: ${reach}: ${-spare} more must return.`);
	const left =
		spare <= 0
			? 'no further loss is tolerated'
			: `${spare === 1 ? '1 more voter' : `${spare} more voters`} can be lost` +
				(cuts.length > 0 ? ' as long as the others stay linked' : '');
	if (raft.quorum === 'electing') return say('bad', `No decisions until a leader is elected: ${reach}; ${left}.`);
	return say(spare <= 0 ? 'warning' : 'plain', `Decisions are made: ${reach}; ${left}.`);
}

/** Who leads since when, who led before, why it changed, and for how long nobody led. */
export function leaderStatements({snapshot, label}: SituationContext): readonly Statement[] {
	const {raft, atMs} = snapshot;
	if (raft.voters.length === 0) return [];
	const say = (tone: Statement['tone'], text: string): readonly Statement[] => [{about: 'leader', tone, text}];
	const change = presentLeader(snapshot);
	const isElsewhere = snapshot.partition.state === 'partitioned' && raft.quorum === 'lost';
	const nobody = isElsewhere ? 'No leader is known on this side' : 'Nobody leads';
	const now = raft.leader === undefined ? nobody : `${label(raft.leader)} leads`;
	if (!change) return say(raft.leader === undefined ? 'bad' : 'plain', `${now} in term ${count(raft.term)}.`);
	const isFirst = change.previous === undefined || change.cause === 'started';
	const since = `since ${sinceText(change.at, atMs)}`;
	const term = raft.leader === undefined ? '' : `in term ${count(raft.term)} `;
	const head = `${now} ${term}${since}`;
	if (isFirst && raft.leader !== undefined)
		return say('plain', `${now} ${term}at least ${since}: no change was seen here.`);
	if (isFirst) return say('bad', `${head}.`);
	const reason = leaderReason(change, {name: label, duration});
	const gap =
		raft.leader !== undefined && change.withoutLeaderMs
			? `, after ${duration(change.withoutLeaderMs)} without a leader`
			: '';
	const churn = leaderChanges(snapshot).filter(
		({leader, cause, at}) => leader !== undefined && cause !== 'started' && atMs - at < historyMs,
	).length;
	const often = churn > 1 ? ` ${churn} changes in the last 10 min.` : '';
	if (change.previous === change.leader)
		return say('plain', `${head}; it led before too, and was not heard${forText(change.withoutLeaderMs)}.${often}`);
	const former = snapshot.members.find(({id}) => id === change.previous);
	const isBack = raft.leader !== undefined && former !== undefined && (former.self || former.state === 'alive');
	const heard = isBack ? `, and runs as a follower now` : '';
	const before = `Before: ${label(change.previous)}.${reason === '' ? '' : ` Why: ${reason}${heard}.`}`;
	return say(raft.leader === undefined ? 'bad' : 'plain', `${head}${gap}. ${before}${often}`);
}

function forText(ms: number | undefined): string {
	return ms === undefined ? '' : ` for ${duration(ms)}`;
}

/** Whether messages are delivered here, how many wait for which node, and how many are missing here. */
export function messageStatements(context: SituationContext): readonly Statement[] {
	const {snapshot, label, far} = context;
	const {counters, topics, partition, gossip, phase} = snapshot;
	if (phase !== 'running') return [];
	const rate = counters.rates?.delivered ?? topics.reduce((sum, {perSecond}) => sum + perSecond, 0);
	const delivered = `Delivered here: ${rate < 10 ? Number(rate.toFixed(1)) : count(rate)} messages/s.`;
	const isApart = far.length > 0 && partition.state === 'partitioned';
	const waiting = isApart ? waitingText(context) : returnText(context);
	const missing = gossip.missing ?? 0;
	const of =
		gossip.missingOf && gossip.missingOf.length > 0
			? ` (${listed(
					gossip.missingOf.map(({origin, messages}) => `${count(messages)} of ${label(origin)}`),
					4,
				)})`
			: '';
	const lacking =
		missing > 0
			? ` ${plural(missing, 'message is', 'messages are')} missing here${of}.`
			: isApart
				? ` ${farText(context)} unknown.`
				: ' None is known to be missing here.';
	return [
		{
			about: 'messages',
			tone: missing > 0 || partition.waiting > 0 ? 'warning' : 'plain',
			text: `${delivered}${waiting}${lacking}`,
		},
	];
}

/** What nodes lack that do not take part, although there is no partition. */
function returnText(context: SituationContext): string {
	const {gone, degraded, snapshot} = context;
	const away = [...gone, ...degraded.filter(({self, cause}) => !self && refusalRemedies.has(cause))];
	if (away.length === 0)
		return snapshot.members.every(({self, state}) => self || state !== 'left')
			? ` No node is known to lack messages of ${context.label(snapshot.self)}.`
			: '';
	const ids = away.map(({id}) => id);
	return (
		` ${nodesText(context, ids)} ${ids.length === 1 ? 'gets' : 'get'} what is published meanwhile ` +
		`when ${ids.length === 1 ? 'it comes' : 'they come'} back; how much is not counted here.`
	);
}

/** `What side B publishes is` */
function farText({snapshot: {partition, self}}: SituationContext): string {
	const letters = partition.sides.flatMap((side, index) => (side.includes(self) ? [] : [sideLetter(index)]));
	const isOne = letters.length === 1;
	return `What ${isOne ? 'side' : 'sides'} ${listed(letters, 4)} ${isOne ? 'publishes' : 'publish'} is`;
}

function waitingText(context: SituationContext): string {
	const {snapshot, label, far} = context;
	const {partition, self} = snapshot;
	if (partition.waiting === 0) return ` ${label(self)} has published nothing that the other side lacks.`;
	const lacking = (partition.waitingFor ?? []).filter(({messages}) => messages > 0);
	const numbers = lacking.map(({messages}) => messages);
	const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
	const ids = lacking.length > 0 ? lacking.map(({id}) => id) : far;
	// Each node was last heard a moment before or after the others.
	const isAlike = lacking.length === 0 || most - least <= most / 10;
	const text = isAlike
		? `${nodesText(context, ids)} ${ids.length === 1 ? 'lacks' : 'lack'} ` +
			(lacking.length === 0 || least === most
				? count(lacking.length === 0 ? partition.waiting : most)
				: `${count(least)} to ${count(most)}`)
		: listed(
				lacking.map(({id, messages}) => `${label(id)} lacks ${count(messages)}`),
				8,
			);
	return ` ${text} messages of ${label(self)} until the heal.`;
}

/** Injected faults: what, where, since when and by whom. */
export function faultStatements({snapshot, label}: SituationContext): readonly Statement[] {
	const {faults, events, self, atMs} = snapshot;
	if (faults.length === 0) return [];
	const asked = events.findLast(
		event => event.type === 'audit' && event.action === 'fault' && event.target !== 'heal',
	);
	const by =
		asked?.type === 'audit'
			? `, injected at ${sinceText(asked.at, atMs)} from ${printable(asked.address)}` +
				(asked.by === '' ? '' : ` by ${shortIdentity(asked.by)}`)
			: '';
	return [
		{
			about: 'faults',
			tone: 'warning',
			text: `At ${label(self)}: ${listed(faults.map(fault => printable(fault)))}${by}.`,
		},
	];
}

/** Reasons that have a sentence of their own. */
const stated: ReadonlySet<FindingReason> = new Set([
	'no-quorum',
	'electing',
	'no-spare-voter',
	'two-clusters',
	'two-processes',
	'tcp-blocked',
	'udp-blocked',
	'cut-off',
	'stopped',
	'degraded',
	'suspect',
	'unreachable',
	'down',
	'silent',
	'partitioned',
	'repairing',
	'not-running',
	'promoting',
	'subscribing',
	'copying',
	'comparing',
	'disk-full',
	'faults',
	'catching-up',
	'quorum-regained',
]);

/** Everything else that `check` finds. */
export function otherStatements({snapshot}: SituationContext, command: string): readonly Statement[] {
	return findingsOf(snapshot, {command})
		.filter(({reason}) => !stated.has(reason))
		.map(({code, problem, advice}) => ({
			about: 'also' as const,
			tone: code === 'warning' ? ('warning' as const) : ('bad' as const),
			text: `${printable(problem)}. ${printable(advice)}`,
		}));
}
