/**
A `Broker` over a link to a node that runs elsewhere: one that is named, or one that is found (`find.ts`).
*/
import {setTimeout as sleep} from 'node:timers/promises';
import type {Broker} from './broker.ts';
import {defaults, type Config} from './config.ts';
import {DapssError} from './errors.ts';
import {connectToFound, type Chosen, type FindOptions} from './find.ts';
import {systemClock} from './io/clock.ts';
import type {Channel, Transport} from './io/net/channel.ts';
import {HungUpError, RefusedError} from './io/net/opening.ts';
import {createTransport, transportOptions} from './io/net/transport.ts';
import {channelPipe} from './remote/channel-pipe.ts';
import {RemoteBroker} from './remote/client.ts';
import {version} from './version.ts';

export type ConnectOptions = Pick<
	Config,
	'cluster' | 'secret' | 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'
> & {
	/**
	`host:port` each; tried in this order. Without any a node is found: on this machine, else on the local network.
	*/
	readonly servers?: readonly string[];
	readonly find?: FindOptions;
	/** For one server. @default 3000 */
	readonly timeoutMs?: number;
	readonly limits?: Config['limits'];
};
/** `chosen`: the node that was found on the network. */
export type Reached = {readonly server: string; readonly chosen?: Chosen};

const connectMs = 3000;

/**
A node that is flooded, or a machine too busy to answer in time, ends calls in their handshake; the next one may get
through.
*/
const callsMax = 3;
/** A node that speaks an earlier version of the protocol sends what it has read from its logs, whatever the credit. */
const strictProtocol = 2;
const olderToleratedBytes = 128 * 1024 * 1024;

/** Between two calls to a node that is starting, milliseconds. */
const startingMs = 100;

/**
Connect to the first of the servers that answers; one that hangs up in the handshake is called again, and one that is
starting is waited for, as long as `timeoutMs`, when no other answers.
@throws `unreachable`, `not-authenticated`, `refused`, as the last of them answered
*/
export async function connect(options: ConnectOptions): Promise<Broker & Reached> {
	const {servers = [], timeoutMs = connectMs, limits = defaults.limits} = options;
	if (servers.length === 0)
		return connectToFound({...options, ...options.find, timeoutMs}, found => connect({...options, servers: found}));
	const transport = createTransport(transportOptions({...options, limits}, {identity: undefined, version}));
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	let last: unknown;
	for (let left = servers; left.length > 0;) {
		const starting: string[] = [];
		for (const server of left) {
			try {
				const channel = await call(transport, server, timeoutMs);
				return Object.assign(
					new RemoteBroker(channelPipe(channel), {
						toleratedBytes: channel.remote.protocol < strictProtocol ? olderToleratedBytes : 0,
					}),
					{server},
				);
			} catch (error) {
				last = error;
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

	throw last;
}

/** A channel to the server; one that hangs up is called again. */
async function call(transport: Transport, server: string, timeoutMs: number): Promise<Channel> {
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	for (let calls = 1; ; calls++) {
		try {
			return await transport.dial(server, {
				hello: {address: '', clusterId: '', incarnation: 0, instance: '', name: '', via: 'client'},
				timeoutMs: Math.ceil(untilMs - systemClock.monotonicMs()),
			});
		} catch (error) {
			if (!(error instanceof HungUpError) || calls >= callsMax || systemClock.monotonicMs() >= untilMs)
				throw error;
		}
	}
}
