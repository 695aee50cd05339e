/**
What the sentences about a situation share: names, times and groups of members. Pure.
*/
import type {RecordedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {MemberSnapshot, Snapshot} from '../snapshot.ts';
import {labelOf, type Label} from './node-label.ts';
import {printable} from './printable.ts';
import {age, clockSeconds, duration, listed} from './quantity-text.ts';
import {quorumHealthOf, type QuorumHealth} from './quorum-health.ts';
import {cutPairs, halfLinks, type CutPair} from './sight.ts';

export type SituationTone = 'alarm' | 'bad' | 'warning' | 'plain' | 'good';

/** The question that a statement answers. */
export type About =
	'what' | 'do' | 'here' | 'sides' | 'nodes' | 'links' | 'quorum' | 'leader' | 'messages' | 'faults' | 'also';

export type Statement = {
	readonly about: About;
	readonly tone: SituationTone;
	/** Full sentences. */
	readonly text: string;
	/** Helpful, but the first to go where there is no room. */
	readonly isExtra?: boolean;
};

export type SituationContext = {
	readonly snapshot: Snapshot;
	readonly label: Label;
	readonly quorum: QuorumHealth;
	/** Members other than this node that are `down` or `unreachable`. */
	readonly gone: readonly MemberSnapshot[];
	/** Voters that were stopped on purpose: they still count for the quorum. */
	readonly stopped: readonly MemberSnapshot[];
	/** Members that are degraded for another reason than their links, which have sentences of their own. */
	readonly degraded: readonly MemberSnapshot[];
	/** Ids of this node's side without a process that is down, and of all other sides. */
	readonly here: readonly NodeId[];
	readonly far: readonly NodeId[];
	readonly cuts: readonly CutPair[];
	readonly oneWays: ReadonlyArray<readonly [NodeId, NodeId]>;
};

/** Causes of a degraded member that a cut or one-way link explains. */
const linkCauses: ReadonlySet<string> = new Set(['tcp', 'udp', 'cut']);
const byName = new Intl.Collator('en', {numeric: true});
/** A member that was down before this node started is noticed within this time, milliseconds. */
const startMs = 5000;

export function contextOf(snapshot: Snapshot): SituationContext {
	const {members, partition, self, raft} = snapshot;
	const sideHere = partition.sides.findIndex(side => side.includes(self));
	const label = labelsWithFormer(snapshot);
	const cuts = cutPairs(snapshot);
	const halves = halfLinks(snapshot);
	const hasLinks = cuts.length + halves.length > 0;
	return {
		snapshot,
		label,
		quorum: quorumHealthOf(snapshot),
		gone: members
			.filter(({self: isSelf, state}) => !isSelf && (state === 'down' || state === 'unreachable'))
			.toSorted((one, other) => byName.compare(label(one.id), label(other.id))),
		stopped: members.filter(({id, state}) => state === 'left' && raft.voters.includes(id)),
		degraded: members.filter(({state, cause}) => state === 'degraded' && !(linkCauses.has(cause) && hasLinks)),
		here: (partition.sides[sideHere] ?? [self]).filter(
			id => id === self || !members.some(member => member.id === id && isGone(member)),
		),
		far: partition.sides.filter((_, index) => index !== sideHere).flat(),
		cuts,
		oneWays: halves,
	};
}

/** It does not run, or does not answer. */
function isGone({state}: MemberSnapshot): boolean {
	return state === 'down' || state === 'unreachable' || state === 'left';
}

/** Labels of the members, and of nodes that have left, which only events still name. */
function labelsWithFormer({members, events}: Snapshot): Label {
	const names = new Map<string, string>();
	for (const event of events) for (const [id, name] of Object.entries(namesIn(event))) names.set(id, name);
	for (const {id, name} of members) if (name) names.set(id, name);
	return id => labelOf(id, names.get(id));
}

function namesIn({names}: RecordedEvent): Readonly<Record<string, string>> {
	return names ?? {};
}

/** `n1, n2 and n3`, in the order of their names; of many nodes the first, and the number of the others. */
export function nodesText({label}: Pick<SituationContext, 'label'>, ids: readonly NodeId[], max = 8): string {
	return listed(
		ids.map(id => label(id)).toSorted((one, other) => byName.compare(one, other)),
		max,
	);
}

/** `n1–n2`, in the order of the names. */
export function pairText({label}: Pick<SituationContext, 'label'>, between: readonly [NodeId, NodeId]): string {
	return between
		.map(id => label(id))
		.toSorted((one, other) => byName.compare(one, other))
		.join('–');
}

/** `14:03:07 (20 s ago)` */
export function sinceText(atMs: number, nowMs: number): string {
	const ageMs = Math.max(0, nowMs - atMs);
	return ageMs < 1000 ? `${clockSeconds(atMs)} (just now)` : `${clockSeconds(atMs)} (${age(ageMs)} ago)`;
}

/** Since when a member has not been alive, as the end of a sentence: `since 14:03:07 (20 s ago)`. */
export function memberSince({downMs, heardMsAgo}: MemberSnapshot, {snapshot}: SituationContext): string {
	if (downMs === undefined) return '';
	const since = `since ${sinceText(snapshot.atMs - downMs, snapshot.atMs)}`;
	// A node that has not heard the member since its own start cannot know for how long it was down before.
	return heardMsAgo === undefined && snapshot.uptimeMs - downMs < startMs ? `${since} or longer` : since;
}

/** How long after the last packet of the member this node noticed; empty when that is not known. */
export function noticedText({downMs, heardMsAgo}: MemberSnapshot, whose = 'its'): string {
	if (downMs === undefined || heardMsAgo === undefined || heardMsAgo < downMs) return '';
	return `, noticed ${duration(heardMsAgo - downMs)} after ${whose} last packet`;
}

export function place({address}: MemberSnapshot): {readonly host: string; readonly port: string} {
	const at = address.lastIndexOf(':');
	return {host: printable(address.slice(0, at)), port: printable(address.slice(at + 1))};
}
