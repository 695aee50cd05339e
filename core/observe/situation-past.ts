/**
The summary of an incident that has ended, from the events: what it was, how long it took, and what was repaired. It
stays for some minutes, for those who were not looking. Pure.
*/
import type {BrokerEvent, RecordedEvent} from '../events.ts';
import type {Snapshot} from '../snapshot.ts';
import {leaderChanges} from './leaders.ts';
import {clockSeconds, duration, listed, plural} from './quantity-text.ts';
import {contextOf, nodesText, type SituationContext} from './situation-context.ts';

/** How long a summary stays, in milliseconds. */
export const pastMs = 5 * 60_000;

export type PastSituation = {
	/** When the last part of it ended, which names the summary. */
	readonly endedAtMs: number;
	/** Full sentences, beginning with the wall clock of the start. */
	readonly text: string;
};

type EventOf<Type> = Extract<BrokerEvent, {readonly type: Type}> & RecordedEvent;
type Part = {readonly startMs: number; readonly endMs: number; readonly text: string};

/** The last incident, if it ended within the last minutes. */
export function pastSituation(snapshot: Snapshot): PastSituation | undefined {
	const context = contextOf(snapshot);
	const partition = partitionPart(context);
	const cutOff = new Set(partition?.nodes ?? []);
	const parts: readonly Part[] = [
		...(partition ? [partition.part] : []),
		...memberParts(context, cutOff),
		...quorumParts(context),
		...leaderParts(context),
	].filter(({endMs}) => snapshot.atMs - endMs <= pastMs);
	if (parts.length === 0) return undefined;
	return {
		endedAtMs: Math.max(...parts.map(({endMs}) => endMs)),
		text: `${clockSeconds(parts[0]!.startMs)} ${parts.map(({text}) => text).join('; ')}.${nowText(context)}`,
	};
}

/** The state after the incident. */
function nowText({snapshot: {members, raft, gossip}, quorum: {spare}}: SituationContext): string {
	if (raft.quorum !== 'held' || members.some(({state}) => state !== 'alive')) return '';
	const loss = spare === 0 ? 'no voter can be lost' : `${plural(spare, 'more voter', 'more voters')} can be lost`;
	const missing = gossip.missing === 0 ? 'no message is known to be missing here, ' : '';
	return ` All ${plural(members.length, 'node')} run, ${missing}${loss}: nothing to do.`;
}

function partitionPart(context: SituationContext): {part: Part; nodes: readonly string[]} | undefined {
	const events = context.snapshot.events.filter((event): event is EventOf<'partition'> => event.type === 'partition');
	const healed = events.findLast(({state}) => state === 'healed' || state === 'ended');
	if (!healed) return undefined;
	const detected = events.findLast(({state, at}) => state === 'detected' && at <= healed.at);
	const repaired = events.find(({state, at}) => state === 'repaired' && at >= healed.at);
	const sides = (detected?.sides ?? []).map(side => nodesText(context, side, 4)).join(' | ');
	const lasted = duration(healed.tookMs + (detected?.tookMs ?? 0));
	// A node that hung and one that was cut off look the same from here.
	const far = (detected?.sides ?? []).slice(1).flat();
	const isOneSilent = far.length === 1 && detected?.isFarHeard === false && healed.state === 'healed';
	const from = detected ? detected.at - detected.tookMs : healed.at - healed.tookMs;
	const took =
		`partition until ${clockSeconds(healed.at)} (${lasted}${sides === '' ? '' : `; ${sides}`})` +
		(detected ? `, noticed after ${duration(detected.tookMs)}` : '');
	const repair = repaired
		? repaired.messages
			? `; ${plural(repaired.messages, 'message')} came in here within ${duration(repaired.tookMs)}`
			: '; no message was missing here'
		: '';
	return {
		nodes: (detected?.sides ?? []).flat(),
		part: {
			startMs: from,
			endMs: repaired?.at ?? healed.at,
			text: isOneSilent
				? `${nodesText(context, far)} did not answer for ${lasted}${repair}`
				: healed.state === 'ended'
					? `${took}; the other side stopped`
					: `${took}, healed${repair}`,
		},
	};
}

/** Nodes that were down or unreachable, and are back. */
function memberParts({snapshot, label}: SituationContext, cutOff: ReadonlySet<string>): readonly Part[] {
	const events = snapshot.events.filter((event): event is EventOf<'member'> => event.type === 'member');
	const parts = snapshot.members.flatMap(({id, state, self}) => {
		if (self || state !== 'alive') return [];
		const own = events.filter(event => event.id === id);
		const back = own.findLastIndex(event => event.state === 'alive');
		const earlier = own.slice(0, Math.max(0, back));
		const from = earlier.findLastIndex(event => event.state === 'alive') + 1;
		const away = earlier.slice(from);
		const worst = away.find(
			event => event.state === 'down' || event.state === 'unreachable' || event.state === 'left',
		);
		if (back === -1 || !worst || (cutOff.has(id) && worst.state === 'unreachable')) return [];
		const startMs = away[0]!.at;
		const endMs = own[back]!.at;
		const was = {left: 'was stopped', down: 'was down', unreachable: 'was unreachable'}[
			worst.state as 'left' | 'down' | 'unreachable'
		];
		return [{id, startMs, endMs, text: `${label(id)} ${was} for ${duration(endMs - startMs)}`}];
	});
	if (parts.length <= 3) return parts;
	return [
		{
			startMs: Math.min(...parts.map(({startMs}) => startMs)),
			endMs: Math.max(...parts.map(({endMs}) => endMs)),
			text: `${listed(
				parts.map(({id}) => label(id)),
				6,
			)} were away and are back`,
		},
	];
}

function quorumParts({snapshot: {events}}: SituationContext): readonly Part[] {
	const changes = events.filter((event): event is EventOf<'quorum'> => event.type === 'quorum');
	const back = changes.findLastIndex(({held}) => held);
	const from = changes.slice(0, Math.max(0, back)).findLastIndex(({held}) => held) + 1;
	const lost = changes.slice(from, Math.max(0, back)).find(({state}) => state === 'lost');
	if (!lost) return [];
	const endMs = changes[back]!.at;
	return [{startMs: lost.at, endMs, text: `no quorum for ${duration(endMs - lost.at)}`}];
}

function leaderParts({snapshot, label}: SituationContext): readonly Part[] {
	const change = leaderChanges(snapshot).at(-1);
	if (!change || change.leader === undefined || change.previous === undefined || change.cause === 'started')
		return [];
	const gapMs = change.withoutLeaderMs ?? 0;
	const why = [
		change.previous === change.leader ? '' : `before: ${label(change.previous)}`,
		gapMs > 0 ? `${duration(gapMs)} without a leader` : '',
	].filter(part => part !== '');
	return [
		{
			startMs: change.at - gapMs,
			endMs: change.at,
			text:
				`${label(change.leader)} leads since ${clockSeconds(change.at)}` +
				(why.length > 0 ? ` (${why.join(', ')})` : ''),
		},
	];
}
