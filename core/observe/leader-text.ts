/**
The text of a change of the leader, with its cause. Logs and the console share it. Pure: the caller passes the labels of
nodes and the format of durations.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';

export type LeaderEvent = Extract<BrokerEvent, {readonly type: 'leader'}>;
export type Spoken = {readonly name: (id: NodeId) => string; readonly duration: (ms: number) => string};

/** Such as `3f2a leads term 4: 9c41 was silent for 620 ms; 0.7 s without a leader`. */
export function leaderText(event: LeaderEvent, {name, duration}: Spoken): string {
	const {term, leader, withoutLeaderMs} = event;
	const head = leader === undefined ? `No leader in term ${term}` : `${name(leader)} leads term ${term}`;
	const parts = [
		leaderReason(event, {name, duration}),
		leader !== undefined && event.cause !== 'started' && withoutLeaderMs !== undefined && withoutLeaderMs > 0
			? `${duration(withoutLeaderMs)} without a leader`
			: '',
	].filter(part => part !== '');
	return parts.length === 0 ? head : `${head}: ${parts.join('; ')}`;
}

/** Such as `9c41 hands leadership to 3f2a, asked through b7d0`. */
export function transferText(
	{from, to, by}: Extract<BrokerEvent, {readonly type: 'transfer'}>,
	{name}: Pick<Spoken, 'name'>,
): string {
	return `${name(from)} hands leadership to ${name(to)}${by === from ? '' : `, asked through ${name(by)}`}`;
}

/** Why the leader changed, such as `n1 was silent for 620 ms`; empty when that is not known. */
export function leaderReason({cause, leader, previous, silentMs}: LeaderEvent, {name, duration}: Spoken): string {
	if (cause === undefined || previous === undefined) return '';
	const former = previous === leader ? 'it' : name(previous);
	const forText = silentMs === undefined ? '' : ` for ${duration(silentMs)}`;
	switch (cause) {
		case 'silent':
			return `${former} was silent${forText}`;
		case 'crashed':
			return `${former} crashed (its link closed and a new connection was refused)`;
		case 'transferred':
			return `${former} handed leadership over`;
		case 'quorum-lost':
			return `${former} heard no majority${forText} and stepped down`;
		case 'newer-term':
			return `a newer term replaced ${former}`;
		case 'removed':
			return `${former} was removed`;
		case 'started':
			return '';
		default:
			return cause satisfies never;
	}
}
