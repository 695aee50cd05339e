/** With encryption or authentication off, nothing is called beyond this machine. */
import net from 'node:net';
import {networkInterfaces} from 'node:os';
import {expect, test, vi} from 'vitest';
import {connect} from '../../core/connect.ts';
import {Names} from '../../core/io/net/host-names.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {hello, listening, secret, side} from './support/channel-sides.ts';

const offs = [
	['enable_encryption', {enableEncryption: false}],
	['enable_node_auth', {enableNodeAuth: false}],
] as const;

test.each(offs)(
	'with %s off, a call to another machine is refused before a connection is opened',
	async (name, off) => {
		const opened = vi.spyOn(net, 'connect');
		const {transport} = side(createTransport, off);
		for (const address of ['192.0.2.1:5000', '[2001:db8::1]:5000', 'db.example:5000'])
			await expect(transport.dial(address, {hello, timeoutMs: 3000})).rejects.toMatchObject({
				code: 'config',
				message: expect.stringContaining(`Expected ${name} to be true for ${address}, got false`),
			});
		expect(opened).not.toHaveBeenCalled();
		opened.mockRestore();
	},
);

test.each(offs)('with %s off, the library refuses the addresses of other machines', async (name, off) => {
	await expect(connect({servers: ['192.0.2.1:5000'], secret, ...off, timeoutMs: 3000})).rejects.toMatchObject({
		code: 'config',
		message: expect.stringContaining(`Expected ${name} to be true for 192.0.2.1:5000`),
	});
});

test.each(offs)('with %s off, nodes on this machine are called', async (_name, off) => {
	const server = side(createTransport, off);
	await using at = await listening(server);
	(await side(createTransport, off).transport.dial(at.address, {hello, timeoutMs: 3000})).close('done');
});

const elsewhere = Object.values(networkInterfaces())
	.flatMap(list => list ?? [])
	.find(({family, internal}) => family === 'IPv4' && !internal)?.address;

test.runIf(elsewhere)('a name of this machine that leads elsewhere is refused before anything is sent', async () => {
	const received: Buffer[] = [];
	const server = net.createServer(socket =>
		socket.on('error', () => undefined).on('data', chunk => received.push(chunk)),
	);
	await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve));
	const {port} = server.address() as net.AddressInfo;
	const names = new Names({lookup: async () => [elsewhere!]});
	const {transport} = side(options => createTransport({...options, names}), {enableEncryption: false});
	await expect(transport.dial(`localhost:${port}`, {hello, timeoutMs: 3000})).rejects.toMatchObject({code: 'config'});
	await new Promise(resolve => server.close(resolve));
	expect(received).toEqual([]);
});
