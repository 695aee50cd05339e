/** A real listener under a flood of slow junk connections: honest callers are served. */
import net, {type AddressInfo, type Socket} from 'node:net';
import {expect, test} from 'vitest';
import {createTransport} from '../../core/io/net/transport.ts';
import {createRandom} from '../sim/random.ts';
import {hello, listening, side} from './support/channel-sides.ts';

/** Waits until the condition holds. */
async function until(isMet: () => boolean): Promise<void> {
	while (!isMet()) await new Promise(resolve => setImmediate(resolve));
}

/** A slow path to a port: what the listener answers arrives when `open` is called. */
async function slowPath(port: number): Promise<{
	readonly address: string;
	/** Callers whose first flight was answered. */
	readonly answered: () => number;
	open(): void;
	close(): void;
}> {
	const held: Array<() => void> = [];
	let isOpen = false;
	const server = net.createServer(near => {
		const far = net.connect(port, '127.0.0.1');
		for (const socket of [near, far]) socket.on('error', () => undefined);
		near.pipe(far);
		near.once('close', () => far.destroy());
		far.once('close', () => near.destroy());
		if (isOpen) far.pipe(near);
		else
			far.once('readable', () => {
				held.push(() => far.pipe(near));
				if (isOpen) far.pipe(near);
			});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		answered: () => held.length,
		open() {
			isOpen = true;
			for (const go of held) go();
		},
		close: () => void server.close(),
	};
}

/** Linux has all of 127/8 on loopback, so that one machine can call from many addresses. */
test.runIf(process.platform === 'linux')(
	'16 honest callers with a long round trip are served while 1,500 junk connections come from 64 addresses',
	async () => {
		const server = side(options => createTransport({...options, random: createRandom(20)}), {
			limits: {handshakeMs: 60_000},
		});
		await using at = await listening(server);
		const path = await slowPath(at.port);
		const caller = side(createTransport, {});
		const honest = Array.from({length: 16}, () =>
			caller.transport.dial(path.address, {hello: {...hello, via: 'client'}, timeoutMs: 60_000}),
		);
		const served = Promise.allSettled(honest);
		await until(() => path.answered() === 16);

		const junk: Socket[] = [];
		for (let round = 0; round < 15; round++)
			await Promise.all(
				Array.from(
					{length: 100},
					(_, index) =>
						new Promise<void>(resolve => {
							const localAddress = `127.0.1.${1 + ((round * 100 + index) % 64)}`;
							const socket = net.connect({port: at.port, host: '127.0.0.1', localAddress}, () => {
								if (index % 2 === 0) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1])); // Starts like TLS.
								resolve();
							});
							socket.on('error', () => resolve());
							junk.push(socket);
						}),
				),
			);
		await until(() => server.options.refusals.of('unauthenticated') >= 900);
		expect(at.unauthenticated).toBeLessThanOrEqual(512 + 64);
		path.open();
		const results = await served;
		expect(results.filter(({status}) => status === 'fulfilled')).toHaveLength(16);
		// Those who come during the flood are served, too.
		(await side(createTransport, {}).transport.dial(at.address, {hello, timeoutMs: 60_000})).close('done');
		for (const result of results) if (result.status === 'fulfilled') result.value.close('done');
		for (const socket of junk) socket.destroy();
		path.close();
	},
	60_000,
);
