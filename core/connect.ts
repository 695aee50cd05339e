/**
A `Broker` over a link to a node that runs elsewhere. The node is named by its address, or found (`find.ts`).
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {canonicalAddress} from './address.ts';
import type {Broker} from './broker.ts';
import {
	expectNone,
	identityProblems,
	problemsOf,
	secretProblems,
	unknownText,
	show,
	type Problem,
	withDefaults,
} from './config-schema.ts';
import {defaults, type Config} from './config.ts';
import {clientSecret, userIdentity} from './default-files.ts';
import {DapssError} from './errors.ts';
import {connectToFound, type Chosen, type FindOptions} from './find.ts';
import {systemClock} from './io/clock.ts';
import type {Channel, Transport} from './io/net/channel.ts';
import {HungUpError, RefusedError} from './io/net/opening.ts';
import {createTransport, transportOptions} from './io/net/transport.ts';
import {channelPipe} from './remote/channel-pipe.ts';
import {RemoteBroker} from './remote/client.ts';
import type {Connection} from './remote/reconnecting.ts';
import {version} from './version.ts';
import type {Identity} from './wire/seal.ts';

/** What `connect` and `follow` take: whatever differs from the defaults. */
export type ConnectOptions = {
	/**
	`host:port` each; tried in this order. Without any a node is found: on this machine, else on the local network.
	*/
	readonly servers?: readonly string[];
	/** Name of the cluster. @default 'dapss' */
	readonly cluster?: string;
	/** The cluster secret: at least 32 bytes. @default that of `secretFile` */
	readonly secret?: Uint8Array;
	/**
	A file with the cluster secret, instead of `secret`.
	@default the cluster's secret file of this user (Linux: `~/.config/dapss/CLUSTER.secret`)
	*/
	readonly secretFile?: string;
	/**
	A file with the identity of the client. It must exist.
	@default that of this user (Linux: `~/.config/dapss/CLUSTER.identity`), which is made when there is none; none with
	`secret`
	*/
	readonly identityFile?: string;
	/** The node refuses changes on this connection. @default false */
	readonly isReadonly?: boolean;
	/** As the nodes have it. @default true */
	readonly enableNodeAuth?: boolean;
	/** As the nodes have it. @default true */
	readonly enableMessageSigning?: boolean;
	/** As the nodes have it. @default true */
	readonly enableEncryption?: boolean;
	/** How the local network is searched when no server is named and no node runs here. */
	readonly find?: FindOptions;
	/** For one server, milliseconds. @default 3000 */
	readonly timeoutMs?: number;
	readonly limits?: Partial<Config['limits']>;
};

/** The same, complete. @internal */
export type ConnectSettings = Pick<
	Config,
	'cluster' | 'secret' | 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'
> &
	Omit<ConnectOptions, 'limits' | 'secretFile'> & {
		readonly limits?: Config['limits'];
		readonly identity?: Identity | undefined;
	};

/** The address that is used; `chosen` is the node, when it was found on the network. */
export type Reached = {readonly server: string; readonly chosen?: Chosen};

const connectMs = 3000;

/**
A node that is overloaded, or whose machine is too busy to answer in time, ends connections during their handshake. The
next attempt may succeed.
*/
const callsMax = 3;
/** A node of an earlier protocol sends all that it has read from its logs, whatever the credit. */
const strictProtocol = 2;
const olderToleratedBytes = 128 * 1024 * 1024;

/** Between two attempts at a node that is starting, milliseconds. */
const startingMs = 100;

/**
Connect to a node: to the first of the servers that answers. A server that closes the connection during the handshake is
tried again. When no other server answers, a node that is starting is tried until `timeoutMs` has passed.

```ts
await using broker = await connect('10.0.0.1:5000,10.0.0.2:5000');
```

@param options addresses with commas between them, or settings. Without servers a node is found: on this machine, else
on the local network.
@throws `config`; `unreachable`, `not-authenticated` or `refused`, as the last server answered
*/
export async function connect(options: string | ConnectOptions = {}): Promise<Broker & Reached> {
	return connectWith(completeConnect(options));
}

/** As `connect`, with settings that were checked. @internal */
export async function connectWith(options: ConnectSettings): Promise<Connection & Reached> {
	const {
		servers = [],
		timeoutMs = connectMs,
		limits = defaults.limits,
		identity: clientIdentity,
		isReadonly,
	} = options;
	if (servers.length === 0)
		return connectToFound({...options, ...options.find, timeoutMs}, found =>
			connectWith({...options, servers: found}),
		);
	const transport = createTransport(
		transportOptions({...options, limits}, {identity: undefined, clientIdentity, version}),
	);
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	let last: unknown;
	const failures = new Map<string, unknown>();
	for (let left = servers; left.length > 0;) {
		const starting: string[] = [];
		for (const server of left) {
			try {
				const channel = await call(transport, server, {timeoutMs, isReadonly});
				return Object.assign(
					new RemoteBroker(channelPipe(channel), {
						toleratedBytes: channel.remote.protocol < strictProtocol ? olderToleratedBytes : 0,
					}),
					{server},
				);
			} catch (error) {
				last = error;
				failures.set(server, error);
				if (error instanceof RefusedError && error.refusal.code === 'busy') starting.push(server);
			}
		}

		left = starting;
		if (left.length === 0) break;
		if (systemClock.monotonicMs() + startingMs >= untilMs)
			throw new DapssError(
				'unreachable',
				`${left.join(', ')}: the node is starting, and was not ready within ${timeoutMs} ms`,
				{cause: last},
			);
		await sleep(startingMs);
	}

	throw failureOf(failures);
}

/**
The error for several servers names each of them, and has the code of one that answered, if any: its reason tells more.
*/
function failureOf(failures: ReadonlyMap<string, unknown>): unknown {
	const [first, ...others] = [...new Map([...failures].toReversed()).values()];
	const errors = [first, ...others].filter(error => error instanceof DapssError);
	if (errors.length < 2) return first;
	const telling = errors.find(({code}) => code !== 'unreachable') ?? errors[0]!;
	return new DapssError(
		telling.code,
		errors
			.toReversed()
			.map(({message}) => message)
			.join('; '),
		{cause: telling},
	);
}

/** A channel to the server. A server that closes the connection during the handshake is tried again. */
async function call(
	transport: Transport,
	server: string,
	{timeoutMs, isReadonly}: {readonly timeoutMs: number; readonly isReadonly: boolean | undefined},
): Promise<Channel> {
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	for (let calls = 1; ; calls++) {
		try {
			return await transport.dial(server, {
				hello: {address: '', clusterId: '', incarnation: 0, instance: '', name: '', via: 'client', isReadonly},
				timeoutMs: Math.ceil(untilMs - systemClock.monotonicMs()),
			});
		} catch (error) {
			if (!(error instanceof HungUpError) || calls >= callsMax || systemClock.monotonicMs() >= untilMs)
				throw error;
		}
	}
}

/** Every setting of a node is accepted, so that a program can pass its configuration on. Most have no effect here. */
const optionNames = [
	'servers',
	'find',
	'timeoutMs',
	'secretFile',
	'secretPath',
	'identityFile',
	'isReadonly',
	'data',
	'secret',
	...Object.keys(defaults),
];

/**
The settings of a client: what is given, over the defaults.
@throws `config`, with a line for every problem, or what is wrong with the secret file
@internal
*/
export function completeConnect(given: string | ConnectOptions): ConnectSettings {
	const options: ConnectOptions = typeof given === 'string' ? {servers: listed(given)} : given;
	const {servers = [], secret, secretFile, identityFile, isReadonly = false, find, timeoutMs = connectMs} = options;
	const {cluster, enableNodeAuth, enableMessageSigning, enableEncryption, limits} = options;
	const discovery = find?.discovery;
	const tunables = withDefaults({
		cluster,
		enableNodeAuth,
		enableMessageSigning,
		enableEncryption,
		limits,
		discovery,
	});
	expectNone([
		...Object.keys(options)
			.filter(name => !optionNames.includes(name))
			.map(name => ({setting: name, message: unknownText(name, optionNames)})),
		...problemsOf(tunables).map(({setting, message}) => ({
			setting: setting.replace(/^discovery/, 'find.discovery'),
			message,
		})),
		...serverProblems(servers),
		...secretProblems({secret, secretFile}, true),
		...identityProblems(identityFile),
		...(timeoutMs >= 0 ? [] : [{setting: 'timeoutMs', message: `Expected milliseconds, got ${String(timeoutMs)}`}]),
	]);
	return {
		cluster: tunables.cluster,
		enableNodeAuth: tunables.enableNodeAuth,
		enableMessageSigning: tunables.enableMessageSigning,
		enableEncryption: tunables.enableEncryption,
		limits: tunables.limits,
		servers: servers.map(server => canonicalAddress(server)!),
		secret: secret ?? clientSecret(tunables.cluster, secretFile),
		// A program that gives its secret has no files of its own, unless it names one.
		identity:
			secret !== undefined && identityFile === undefined
				? undefined
				: userIdentity(process.env, tunables.cluster, identityFile),
		isReadonly,
		timeoutMs,
		...(find && {find}),
	};
}

function serverProblems(servers: unknown): readonly Problem[] {
	if (!Array.isArray(servers))
		return [{setting: 'servers', message: `Expected a list of addresses (host:port), got ${show(servers)}`}];
	return servers.flatMap((server: unknown, index) =>
		typeof server === 'string' && canonicalAddress(server) !== undefined
			? []
			: [
					{
						setting: `servers.${index}`,
						message: `Expected host:port, [v6]:port or a port, got ${show(server)}`,
					},
				],
	);
}

/** The addresses between commas. A text that has none is kept, to be refused. */
function listed(text: string): readonly string[] {
	const named = text
		.split(',')
		.map(item => item.trim())
		.filter(item => item !== '');
	return named.length > 0 ? named : [text];
}
