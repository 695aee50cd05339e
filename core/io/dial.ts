/**
The calling end of a connection: TCP, TLS when it is on, the handshake; one deadline over all of it.
*/
import net, {type Socket} from 'node:net';
import {DapssError, errorMessage} from '../errors.ts';
import {expectAddress} from '../address.ts';
import {spokenProtocols} from '../version.ts';
import {flagsText, type Channel, type DialOptions, type Hello, type LocalHello, type TransportOptions} from './channel.ts';
import {HungUpError, open} from './opening.ts';
import {withPatience} from './patience.ts';
import {bindingOf, explainClientError, isPreShared, secureClientSide} from './tls.ts';

/** See `Transport.dial`. */
export async function dial(transport: TransportOptions, address: string, {hello, timeoutMs, expect, signal}: DialOptions): Promise<Channel> {
	const {host, port} = expectAddress(address);
	const name = `peer ${address}`;
	const socket = net.connect({host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000});
	socket.on('error', () => {}); // Told by whoever waits for it; never unhandled.
	let phase = 'does not answer';
	let end: Error | undefined;
	const stop = (error: Error): void => {
		end ??= error;
		socket.destroy();
	};

	using _deadline = withPatience(timeoutMs, () => stop(new DapssError('unreachable', `${name} ${phase} within ${timeoutMs} ms (timeout)`)));
	const abort = (): void => stop(new DapssError('closed', `The call to ${name} was given up`, {cause: signal?.reason}));
	signal?.addEventListener('abort', abort, {once: true});
	if (signal?.aborted) abort();
	try {
		await connected(socket, name);
		phase = 'takes connections but does not answer the handshake';
		const local = helloOf(transport, hello);
		const remoteAddress = address;
		if (!transport.flags.encrypt) return await open({socket, remoteAddress, transport, handshake: {side: 'dialer', local, binding: Buffer.alloc(0), peerName: name, expect, protocolMin: hello.protocolMin}});
		const secured = await secure(socket, transport, name);
		return await open({socket: secured, remoteAddress, transport, handshake: {side: 'dialer', local, binding: bindingOf(secured), peerName: name, expect, protocolMin: hello.protocolMin}});
	} catch (error) {
		socket.destroy();
		throw end ?? error;
	} finally {
		signal?.removeEventListener('abort', abort);
	}
}

export function helloOf({cluster, identity, flags, version, protocols = spokenProtocols}: TransportOptions, {protocolMin: _ours, ...local}: LocalHello): Hello {
	return {...local, role: identity ? 'node' : 'client', id: identity?.id, cluster, flags: flagsText(flags), version, protocol: protocols[1]};
}

function connected(socket: Socket, name: string): Promise<void> {
	return new Promise((resolve, reject) => {
		socket.once('connect', () => resolve());
		socket.once('error', (error: NodeJS.ErrnoException) => {
			const why = error.code === 'ECONNREFUSED' ? 'refuses connections: nothing listens there (ECONNREFUSED)' : `cannot be reached (${error.code ?? errorMessage(error)})`;
			reject(new DapssError('unreachable', `${name} ${why}`, {cause: error}));
		});
		socket.once('close', () => reject(new DapssError('unreachable', `${name} closed the connection`)));
	});
}

function secure(socket: Socket, {keys}: TransportOptions, name: string): Promise<ReturnType<typeof secureClientSide>> {
	return new Promise((resolve, reject) => {
		const secured = secureClientSide(socket, keys);
		secured.once('secureConnect', () => {
			if (isPreShared(secured)) return resolve(secured);
			secured.destroy();
			reject(new DapssError('not-authenticated', `${name} did not prove the cluster's secret`));
		});
		secured.on('error', (error: Error) => reject(explainClientError(error, name, keys)));
		secured.once('close', () => reject(new HungUpError(name)));
	});
}
