/**
A `Broker` over a link to a node that runs elsewhere, and how to find such a node: this user's own on this machine first, then
those that are heard on the local network.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import type {Broker} from './api.ts';
import {defaults, type Config} from './config.ts';
import {DapssError} from './errors.ts';
import type {Channel, Transport} from './io/channel.ts';
import {systemClock} from './io/clock.ts';
import {HungUpError, RefusedError} from './io/opening.ts';
import {listNodes} from './io/registry.ts';
import {createTransport, transportOptions} from './io/transport.ts';
import {channelPipe} from './remote/channel-pipe.ts';
import {RemoteBroker} from './remote/client.ts';
import {version} from './version.ts';

export type ConnectOptions = Pick<Config, 'cluster' | 'secret' | 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'> & {
	/** `host:port` each; tried in this order. */
	readonly servers: readonly string[];
	/** For one server. @default 3000 */
	readonly timeoutMs?: number;
	readonly limits?: Config['limits'];
};

/** A node that is flooded, or a machine too busy to answer in time, ends calls in their handshake; the next one may get through. */
const callsMax = 3;
/** A node that speaks an earlier version of the protocol sends what it has read from its logs, whatever the credit. */
const strictProtocol = 2;
const olderToleratedBytes = 128 * 1024 * 1024;

/** Between two calls to a node that is starting, milliseconds. */
const startingMs = 100;

/**
Connect to the first of the servers that answers; one that hangs up in the handshake is called again, and one that is starting is waited for, as long as
`timeoutMs`, when no other answers. @throws `unreachable`, `not-authenticated`, `refused`, as the last of them answered
*/
export async function connect(options: ConnectOptions): Promise<Broker & {readonly server: string}> {
	const {servers, timeoutMs = 3000, limits = defaults.limits} = options;
	const transport = createTransport(transportOptions({...options, limits}, {identity: undefined, version}));
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	let last: unknown = new DapssError('unreachable', 'No server to connect to');
	for (let left = servers; left.length > 0;) {
		const starting: string[] = [];
		for (const server of left) {
			try {
				// oxlint-disable-next-line no-await-in-loop -- one after the other is what was asked for
				const channel = await call(transport, server, timeoutMs);
				return Object.assign(new RemoteBroker(channelPipe(channel), {toleratedBytes: channel.remote.protocol < strictProtocol ? olderToleratedBytes : 0}), {server});
			} catch (error) {
				last = error;
				if (error instanceof RefusedError && error.refusal.code === 'busy') starting.push(server);
			}
		}

		left = starting;
		if (left.length === 0) break;
		if (systemClock.monotonicMs() + startingMs >= untilMs) throw new DapssError('unreachable', `${left.join(', ')}: the node is starting, and was not ready within ${timeoutMs} ms`, {cause: last});
		await sleep(startingMs); // oxlint-disable-line no-await-in-loop -- nobody tells when it has started
	}

	throw last;
}

/** A channel to the server; one that hangs up is called again. */
async function call(transport: Transport, server: string, timeoutMs: number): Promise<Channel> {
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	for (let calls = 1; ; calls++) {
		try {
			// oxlint-disable-next-line no-await-in-loop -- again only when it hung up
			return await transport.dial(server, {hello: {address: '', clusterId: '', incarnation: 0, instance: '', name: '', via: 'client'}, timeoutMs: Math.ceil(untilMs - systemClock.monotonicMs())});
		} catch (error) {
			if (!(error instanceof HungUpError) || calls >= callsMax || systemClock.monotonicMs() >= untilMs) throw error;
		}
	}
}

export type FoundNode = {readonly address: string; readonly cluster: string; readonly id: string; readonly phase: string};

/** This user's nodes that run on this machine, of one cluster or of all, those that are members first. */
export async function findNodes({cluster}: {readonly cluster?: string} = {}): Promise<readonly FoundNode[]> {
	const nodes = await listNodes();
	return nodes.filter(node => cluster === undefined || node.cluster === cluster).map(({address, cluster: name, id, phase}) => ({address, cluster: name, id, phase})).toSorted((a, b) => Number(b.phase === 'running') - Number(a.phase === 'running'));
}
