/**
The nodes that an event mentions. Their names are recorded with the event, so that it can be shown with names after they
have left.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';

const none: readonly NodeId[] = [];

/** The ids of these nodes. */
export function nodesOf(event: BrokerEvent): readonly NodeId[] {
	switch (event.type) {
		case 'ready':
		case 'admitted':
		case 'member':
		case 'duplicate':
		case 'named':
		case 'quarantined':
			return [event.id];
		case 'refused':
			return present(event.id);
		case 'leader':
			return present(event.leader, event.previous);
		case 'transfer':
			return [event.from, event.to, event.by];
		case 'voters':
			return event.voters;
		case 'subscribed':
		case 'unsubscribed':
		case 'topic':
		case 'access':
		case 'keys':
			return [event.node];
		case 'partition':
			return [...event.sides.flat(), ...(event.gone ?? [])];
		case 'missed':
			return [event.origin];
		// Messages are on the hot path, and their readers know the members.
		case 'message':
		case 'paused':
		case 'waiting':
		case 'protocol':
		case 'quorum':
		case 'rejected':
		case 'discovered':
		case 'lagged':
		case 'fault':
		case 'audit':
		case 'refilled':
		case 'deleted':
		case 'warning':
		case 'stopped':
			return none;
		default:
			return event satisfies never;
	}
}

function present(...ids: ReadonlyArray<NodeId | undefined>): readonly NodeId[] {
	return ids.filter(id => id !== undefined);
}
