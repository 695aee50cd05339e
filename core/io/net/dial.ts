/**
The dialling side of a connection: TCP, TLS if it is enabled, and the handshake, with one deadline for all of them.
*/
import net, {type Socket} from 'node:net';
import {expectAddress, isLoopback, plainHost} from '../../address.ts';
import {DapssError, errorMessage} from '../../errors.ts';
import {runDeadline} from '../../run-deadline.ts';
import {spokenProtocols} from '../../version.ts';
import {FrameReader} from '../../wire/frame.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock} from '../clock.ts';
import {
	flagsText,
	type Channel,
	type DialOptions,
	type Hello,
	type LocalHello,
	type TransportOptions,
} from './channel.ts';
import {helloBytesMax, isRefusal} from './handshake.ts';
import {HungUpError, open, RefusedError} from './opening.ts';
import {
	bindingOf,
	explainClientError,
	isPreShared,
	keyNameOf,
	mayUseFormerName,
	NoTlsError,
	secureClientSide,
	UnknownKeyNameError,
	type KeyName,
} from './tls.ts';

/**
Of the addresses of a name, each but the last is given up after this long (RFC 8305, section 5). An address that needs
longer is the last one at some attempt, because `Names` rotates them.
*/
const attemptMs = 250;

/** The first bytes of a TLS connection: a handshake record of version 3.1 (RFC 8446, section 5.1). */
const tlsStart = Buffer.of(0x16, 3, 1);

/** See `Transport.dial`. */
export async function dial(transport: TransportOptions, address: string, options: DialOptions): Promise<Channel> {
	const {
		hello: {protocolMin},
		timeoutMs,
	} = options;
	const {formerPeers} = transport;
	expectProtected(transport, expectAddress(address).host, address);
	// Plain text shows no name of a key.
	const mayUseFormer = transport.flags.encrypt && mayUseFormerName(protocolMin);
	const {active, valid} = transport.keys;
	if (mayUseFormer && formerPeers.has(address)) return call(transport, address, options, {key: active, as: 'former'});
	const attempts: readonly Attempt[] = [
		...valid.map((key, index): Attempt => ({
			key,
			as: mayUseFormer || index < valid.length - 1 ? 'first' : 'only',
		})),
		...(mayUseFormer ? ([{key: active, as: 'former'}] as const) : []),
	];
	const untilMs = systemClock.monotonicMs() + timeoutMs;
	for (const [index, attempt] of attempts.entries()) {
		try {
			const leftMs = Math.max(1, Math.ceil(untilMs - systemClock.monotonicMs()));
			const channel = await call(transport, address, {...options, timeoutMs: leftMs}, attempt);
			if (attempt.as === 'former') formerPeers.add(address);
			return channel;
		} catch (error) {
			if (index === attempts.length - 1 || !isOtherKey(error, transport)) throw error;
		}
	}

	throw new DapssError('failure', 'Expected a key to call with, got none');
}

/** The key of a call, and the name that it shows. */
type Attempt = {readonly key: Keys; readonly as: KeyName};

/** The peer does not know the key: another one may help. */
function isOtherKey(error: unknown, {flags}: TransportOptions): boolean {
	if (flags.encrypt) return error instanceof UnknownKeyNameError;
	return error instanceof RefusedError && error.by === 'peer' && error.refusal.code === 'not-authenticated';
}

/**
Without encryption or authentication anybody on the path can read and change what is sent. Nodes listen on loopback only
then, and so nothing is called beyond it.
@throws `config`
*/
function expectProtected({flags}: TransportOptions, host: string, address: string): void {
	if ((flags.encrypt && flags.auth) || isLoopback(host)) return;
	const off = flags.encrypt ? 'enable_node_auth' : 'enable_encryption';
	throw new DapssError(
		'config',
		`Expected ${off} to be true for ${address}, got false: with it off, only loopback addresses may be called, ` +
			'because the network could read and change all messages. Switch it on here and at the nodes',
	);
}

async function call(
	transport: TransportOptions,
	address: string,
	{hello, timeoutMs, expect, signal}: DialOptions,
	attempt: Attempt,
): Promise<Channel> {
	const {host, port} = expectAddress(address);
	const name = `peer ${address}`;
	const {names} = transport;
	const socket = net.connect({
		host,
		port,
		noDelay: true,
		keepAlive: true,
		keepAliveInitialDelay: 15_000,
		lookup: names.lookup,
		autoSelectFamily: true,
		autoSelectFamilyAttemptTimeout: attemptMs,
	});
	socket.on('error', () => {}); // Handled by each waiter; this listener prevents an unhandled error.
	let phase = 'does not answer';
	let end: Error | undefined;
	const stop = (error: Error): void => {
		end ??= error;
		socket.destroy();
	};

	using _deadline = runDeadline(systemClock, timeoutMs, () =>
		stop(new DapssError('unreachable', `${name} ${phase} within ${timeoutMs} ms (timeout${triedText(socket)})`)),
	);
	const abort = (): void =>
		stop(new DapssError('closed', `The call to ${name} was given up`, {cause: signal?.reason}));
	signal?.addEventListener('abort', abort, {once: true});
	if (signal?.aborted) abort();
	try {
		await connected(socket, name);
		expectProtected(transport, plainHost(socket.remoteAddress), address); // The address that the name led to.
		names.worked(host, plainHost(socket.remoteAddress));
		phase = 'takes connections but does not answer the handshake';
		const secured = transport.flags.encrypt ? await secure(socket, attempt, name) : undefined;
		return await open({
			socket: secured ?? socket,
			remoteAddress: address,
			transport,
			handshake: {
				side: 'dialer',
				local: helloOf(transport, hello),
				binding: secured ? bindingOf(secured) : Buffer.alloc(0),
				keys: [attempt.key],
				peerName: name,
				expect,
				protocolMin: hello.protocolMin,
			},
		});
	} catch (error) {
		socket.destroy();
		if (end || !(error instanceof NoTlsError) || !(await refusesTls(transport, address, timeoutMs, signal)))
			throw end ?? error;
		throw new RefusedError(
			{code: 'flags', reason: `${name} has enable_encryption=false, this node has true`},
			'peer',
		);
	} finally {
		signal?.removeEventListener('abort', abort);
	}
}

/**
Whether the peer is a node with encryption off. Such a node answers the first bytes of TLS with a refusal in plain text,
which TLS hides from the first connection.
*/
function refusesTls(
	{names}: TransportOptions,
	address: string,
	timeoutMs: number,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const {host, port} = expectAddress(address);
	const reader = new FrameReader(helloBytesMax);
	return new Promise(resolve => {
		const socket = net.connect({host, port, lookup: names.lookup, autoSelectFamily: true});
		const deadline = runDeadline(systemClock, timeoutMs, () => finish(false));
		const abort = (): void => finish(false);
		const finish = (isNode: boolean): void => {
			deadline[Symbol.dispose]();
			signal?.removeEventListener('abort', abort);
			socket.destroy();
			resolve(isNode);
		};

		signal?.addEventListener('abort', abort, {once: true});
		socket.on('connect', () => socket.write(tlsStart));
		socket.on('data', chunk => {
			if (reader.push(chunk, payload => finish(isRefusal(payload))) !== undefined) finish(false);
		});
		socket.on('error', () => finish(false));
		socket.on('close', () => finish(false));
	});
}

/** The hello of this side. */
export function helloOf(
	{cluster, identity, clientIdentity, flags, version, protocols = spokenProtocols}: TransportOptions,
	{protocolMin: _ours, ...local}: LocalHello,
): Hello {
	return {
		...local,
		role: identity ? 'node' : 'client',
		id: identity?.id,
		cluster,
		flags: flagsText(flags),
		version,
		protocol: protocols[1],
		...(clientIdentity && {clientKey: clientIdentity.publicKey}),
	};
}

function connected(socket: Socket, name: string): Promise<void> {
	return new Promise((resolve, reject) => {
		socket.once('connect', () => resolve());
		socket.once('error', (error: NodeJS.ErrnoException) => {
			const failures = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error];
			// The peer counts as down only if every address refused the connection.
			const cause = failures.find(({code}) => code !== 'ECONNREFUSED') ?? failures[0] ?? error;
			const text =
				failures.length > 1
					? failures.map(failure => failureText(failure)).join(', ')
					: (error.code ?? errorMessage(error));
			const why =
				cause.code === 'ECONNREFUSED'
					? `refuses connections: nothing listens there (${text})`
					: `cannot be reached (${text})`;
			reject(new DapssError('unreachable', `${name} ${why}`, {cause}));
		});
		socket.once('close', () => reject(new DapssError('unreachable', `${name} closed the connection`)));
	});
}

/** Such as `10.0.0.9 ECONNREFUSED`. */
function failureText({address, code, message}: NodeJS.ErrnoException & {readonly address?: string}): string {
	return `${address ?? ''} ${code ?? message}`.trim();
}

/** The addresses that were tried so far, if the name has several. */
function triedText({
	autoSelectFamilyAttemptedAddresses: tried = [],
}: {
	readonly autoSelectFamilyAttemptedAddresses?: readonly string[];
}): string {
	return tried.length > 1 ? `; tried ${tried.map(address => address.replace(/:\d+$/, '')).join(', ')}` : '';
}

function secure(socket: Socket, {key, as}: Attempt, name: string): Promise<ReturnType<typeof secureClientSide>> {
	return new Promise((resolve, reject) => {
		const secured = secureClientSide(socket, key, keyNameOf(key, as));
		secured.once('secureConnect', () => {
			if (isPreShared(secured)) return resolve(secured);
			secured.destroy();
			reject(new DapssError('not-authenticated', `${name} did not prove the cluster's secret`));
		});
		secured.on('error', (error: Error) => reject(explainClientError(error, name, key, as)));
		secured.once('close', () => reject(new HungUpError(name)));
	});
}
