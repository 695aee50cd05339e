/**
The level of each event: one table for all logs, so that a filter on levels gives the same result in each of them. Pure.
*/
import type {RecordedEvent} from '../events.ts';

export type Level = 'info' | 'warn' | 'error';

/** `error`: messages or the quorum are at risk. `warn`: an operator may have to act. */
export function levelOf(event: RecordedEvent): Level {
	switch (event.type) {
		case 'leader':
			return event.leader === undefined ? 'warn' : 'info';
		case 'quorum':
			return event.held ? 'info' : event.state === 'electing' ? 'warn' : 'error';
		case 'member':
			return event.state === 'alive' || event.state === 'left' ? 'info' : 'warn';
		case 'partition':
			return event.state === 'detected' ? 'error' : event.state === 'ended' ? 'warn' : 'info';
		case 'discovered':
			return event.foreign ? 'warn' : 'info';
		case 'refilled':
			return event.missing === 0 ? 'info' : 'warn';
		case 'audit':
			return event.outcome === 'done' ? 'info' : 'warn';
		case 'rejected':
		case 'refused':
		case 'lagged':
		case 'deleted':
		case 'paused':
		case 'fault':
		case 'warning':
			return 'warn';
		case 'missed':
			return event.cause === 'retention' ? 'info' : 'error';
		case 'quarantined':
		case 'duplicate':
			return 'error';
		case 'ready':
		case 'admitted':
		case 'transfer':
		case 'waiting':
		case 'named':
		case 'protocol':
		case 'voters':
		case 'subscribed':
		case 'unsubscribed':
		case 'topic':
		case 'access':
		case 'keys':
		case 'message':
		case 'stopped':
			return 'info';
		default: {
			const newer: never = event; // From a newer node.
			return typeof newer === 'object' ? 'info' : newer;
		}
	}
}
