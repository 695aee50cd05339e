/** Limits that were reached and clients that reached them, in words. Pure. */
import {shortIdentity} from './access-text.ts';
import {printable} from './printable.ts';

/** What was full, by the name of the counter. docs/troubleshooting.md says what helps. */
export const limitWords: Readonly<Record<string, string>> = {
	audit: 'lines of the audit log that the disk did not take',
	'bad-entries': 'agreed entries that are no commands',
	'bad-snapshots': 'snapshots that hold no state of this cluster',
	beacons: 'beacons that do not prove that they are new',
	'claimed-streams': 'announced streams without messages',
	connections: 'connections',
	'connections-per-address': 'connections of one address',
	'connections-per-client': 'connections of one client',
	'connections-without-identity': 'connections without an identity',
	disk: 'disk space',
	events: 'events that wait for a reader',
	'false-claims': 'announced messages that do not exist',
	'false-leaders': 'leaders without a vote',
	'far-proposals': 'proposals with a far time',
	'foreign-answers': 'answers of a member that was not asked',
	'foreign-proposals': 'proposals in the name of another member',
	'incarnation-jumps': 'claims about members that jump ahead',
	incarnations: 'starts of one node',
	'metrics-connections': 'connections of scrapers',
	'open-files': 'open files',
	'out-queue': 'bytes that wait for a peer',
	positions: 'reading positions of one connection',
	'publish-messages': 'messages in one publish',
	'publish-rate': 'what one client publishes in a second',
	'read-bytes': 'bytes read from the logs at once',
	readers: 'topics read by all connections',
	'readers-per-client': 'topics read by one client',
	'readers-per-connection': 'topics read by one connection',
	refusals: 'refused requests that the audit log names',
	relay: 'what is relayed',
	'relay-replays': 'relayed frames that arrived before',
	'request-bytes': 'bytes of one request',
	requests: 'open requests of one connection',
	'stored-bytes-per-client': 'what one client publishes in a day',
	streams: 'streams of all topics',
	terms: 'terms that one member sets',
	topics: 'topics',
	unauthenticated: 'connections that have not authenticated',
};

/** The limit in words, with the name under which it is documented. */
export function limitText(name: string): string {
	const words = Object.hasOwn(limitWords, name) ? limitWords[name]! : '';
	return printable(words === '' || words === name ? name : `${words} (${name})`);
}

/** The names that operators gave the identities of clients, by client. */
export type ClientNames = Readonly<Record<string, string>>;

/** A client: its name, else the first digits of its identity, or its address. An empty one stands for all others. */
export function clientText(client: string, names: ClientNames = {}): string {
	if (client === '') return 'other clients';
	const [kind, identity = ''] = client.split(' ', 2);
	const short = kind === 'identity' ? `identity ${shortIdentity(identity)}` : printable(client);
	return Object.hasOwn(names, client) ? `${printable(names[client]!)} (${short})` : short;
}

/** The client that reached a limit most often, as the end of a sentence. */
export function whoText(
	clients: ReadonlyArray<readonly [client: string, count: number]> = [],
	names?: ClientNames,
): string {
	const [[client, count] = ['', 0]] = clients;
	if (client === '') return '';
	return clients.length === 1 ? `, by ${clientText(client, names)}` : `, ${count}× by ${clientText(client, names)}`;
}
