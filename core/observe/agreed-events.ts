/** The events for changes of the agreed state. Pure. */
import type {AccessEvent} from '../cluster-state/access-list.ts';
import type {ClusterStateEvent} from '../cluster-state/cluster-state.ts';
import type {KeyEvent} from '../cluster-state/key-list.ts';
import type {BrokerEvent} from '../events.ts';

/** `undefined` for a change that is no event here. A new member, for example, is reported when it is first heard. */
export function agreedEvent(event: ClusterStateEvent): BrokerEvent | undefined {
	switch (event.type) {
		case 'subscribed':
		case 'unsubscribed':
		case 'protocol':
			return event;
		case 'removed':
			return {type: 'member', id: event.node, address: event.address, state: 'left'};
		case 'named':
			return {
				type: 'named',
				id: event.node,
				name: event.name,
				...(event.was === undefined ? {} : {was: event.was}),
			};
		case 'created':
			return {type: 'topic', topic: event.topic, state: 'created', node: event.node, ...event.settings};
		case 'topic-deleted':
			return {type: 'topic', topic: event.topic, state: 'deleted', node: event.node};
		case 'granted':
		case 'revoked':
		case 'default-role':
		case 'node-admitted':
		case 'token-made':
		case 'token-withdrawn':
			return accessEvent(event);
		case 'key-added':
		case 'key-used':
		case 'key-removed':
			return keyEvent(event);
		case 'added':
		case 'moved':
		case 'founded':
			return undefined;
		default:
			return event satisfies never;
	}
}

function keyEvent({type, key, node, by}: Extract<ClusterStateEvent, KeyEvent>): BrokerEvent {
	const change = type === 'key-added' ? 'added' : type === 'key-used' ? 'used' : 'removed';
	return {type: 'keys', change, key, node, ...(by === undefined ? {} : {by})};
}

function accessEvent(event: Extract<ClusterStateEvent, AccessEvent>): BrokerEvent {
	const {type, node, by, ...facts} = event;
	return {
		type: 'access',
		change: type === 'default-role' ? 'default' : type,
		...facts,
		node,
		...(by === undefined ? {} : {by}),
	};
}
