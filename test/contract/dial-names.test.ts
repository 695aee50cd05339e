/**
Calls to a host name: all of its addresses are tried within the one deadline, and the error names them.
*/
import {expect, test} from 'vitest';
import type {DapssError} from '../../core/errors.ts';
import {Names} from '../../core/io/net/host-names.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {hello, listening, side} from './support/channel-sides.ts';

/**
A multicast address, to which no connection can be made. A silent address needs a network of its own: see
test/e2e/addresses.test.ts.
*/
const dead = '224.0.0.1';

function caller(addresses: readonly string[]): {
	readonly names: Names;
	call(port: number, timeoutMs?: number): Promise<DapssError | 'up'>;
} {
	const names = new Names({lookup: async () => addresses});
	const {transport} = side(options => createTransport({...options, names}), {});
	return {
		names,
		call: (port, timeoutMs = 3000) =>
			transport.dial(`peer:${port}`, {hello, timeoutMs}).then(
				channel => {
					channel.destroy('done');
					return 'up' as const;
				},
				(error: unknown) => error as DapssError,
			),
	};
}

test('if no node answers at the first address, the second is used, and comes first from then on', async () => {
	await using listener = await listening(side(createTransport, {}));
	const {names, call} = caller([dead, '127.0.0.1']);
	expect(await call(listener.port)).toBe('up');
	expect(names.known('peer')).toEqual(['127.0.0.1', dead]);
	expect(await call(listener.port, 400)).toBe('up');
});

test('the error has the failure of each address if only one of them refused the connection', async () => {
	const port = await listening(side(createTransport, {})).then(async listener => {
		const bound = listener.port;
		await listener[Symbol.asyncDispose]();
		return bound;
	});
	const refused = await caller(['127.0.0.1', '127.0.0.2']).call(port);
	expect(refused).toMatchObject({
		code: 'unreachable',
		message:
			`peer peer:${port} refuses connections: ` +
			'nothing listens there (127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED)',
		cause: {code: 'ECONNREFUSED'},
	});
	const error = (await caller(['127.0.0.1', dead]).call(port, 700)) as DapssError;
	expect(error.message).toContain(dead);
	expect(error).not.toMatchObject({cause: {code: 'ECONNREFUSED'}});
});

test('with a silent name server the call ends at its deadline', async () => {
	const names = new Names({lookup: () => new Promise(() => undefined)});
	const {transport} = side(options => createTransport({...options, names}), {});
	await expect(transport.dial('peer:5000', {hello, timeoutMs: 200})).rejects.toThrow(
		'peer peer:5000 does not answer within 200 ms (timeout)',
	);
});

test('the error of listening on an address of another machine names the flags', async () => {
	// TEST-NET-3 (RFC 5737).
	await expect(listening(side(createTransport, {}), {host: '203.0.113.7'})).rejects.toThrow(
		/host 203\.0\.113\.7 is no address of this machine: use --host .*--advertise/,
	);
});
