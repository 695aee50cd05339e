/** What people read for the requests of clients, which have short names on the wire. Pure. */

export const requestWords = {
	snapshot: 'read the state',
	watch: 'watch the state',
	next: 'watch the state',
	credit: 'read',
	end: 'end a stream',
	events: 'follow the events with messages',
	access: 'read the access',
	'read-index': 'confirm the quorum',
	publish: 'publish',
	subscribe: 'subscribe',
	'subscribe-node': 'subscribe the node',
	'unsubscribe-node': 'unsubscribe the node',
	'create-topic': 'create a topic',
	'delete-topic': 'delete a topic',
	'change-access': 'change access',
	keys: 'read the keys',
	'change-keys': 'change keys',
	transfer: 'transfer leadership',
	remove: 'remove a member',
	leave: 'leave the cluster',
	fault: 'inject a fault',
	other: 'other requests',
} as const;

/** The request in words; the name itself when a newer node sent it. */
export function requestText(action: string): string {
	return Object.hasOwn(requestWords, action) ? requestWords[action as keyof typeof requestWords] : action;
}
