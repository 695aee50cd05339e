/** The test networks work: cut connections hang, blocked packets vanish, and a disposed network leaves nothing. */
import {spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {canFilter, canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';

sayNotRun('test/e2e/namespaces.test.ts', true);

/** The timeout of a request that must get no answer. */
const silentMs = 400;

/** The answer to a request from a host over TCP or UDP: `word`, `refused`, or `silence` after the timeout. */
function ask(from: Host, protocol: 'tcp' | 'udp', host: string, port: number, limitMs = 5000): Promise<string> {
	const script =
		protocol === 'tcp'
			? `require('node:net').connect(${port}, '${host}').on('data', text => { console.log(String(text)); process.exit(); }).on('error', () => { console.log('refused'); process.exit(); });`
			: `require('node:dgram').createSocket('${host.includes(':') ? 'udp6' : 'udp4'}').on('message', text => { console.log(String(text)); process.exit(); }).send('?', ${port}, '${host}');`;
	const child = from.spawn(process.execPath, [
		'-e',
		`${script} setTimeout(() => { console.log('silence'); process.exit(); }, ${limitMs});`,
	]);
	return new Promise(resolve => {
		child.stdout!.on('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
	});
}

/** Answers `word` on port 7000 of the host, over TCP and UDP. */
async function startServer(host: Host): Promise<void> {
	const child = host.spawn(process.execPath, [
		'-e',
		`
		require('node:net').createServer(socket => socket.on('error', () => {}).end('word')).listen(7000, '::', () => {
			const udp = require('node:dgram').createSocket('udp6').on('message', (_, from) => udp.send('word', from.port, from.address)).bind(7000, () => console.log('ready'));
		});`,
	]);
	await new Promise(resolve => {
		child.stdout!.once('data', resolve);
	});
}

describe.runIf(canFilter)('a network of namespaces', () => {
	let network: Network;
	beforeAll(() => {
		network = new Network();
	});
	afterAll(() => network[Symbol.dispose]());

	test('carries TCP and UDP over IPv4 and IPv6 unless they are blocked or cut', async () => {
		const [a, b, c] = [network.host(), network.host(), network.host()];
		await startServer(b);
		const askBoth = (from: Host, protocol: 'tcp' | 'udp', limitMs?: number): Promise<string[]> =>
			Promise.all([ask(from, protocol, b.v4, 7000, limitMs), ask(from, protocol, b.v6, 7000, limitMs)]);
		expect([await askBoth(a, 'tcp'), await askBoth(a, 'udp')]).toEqual([
			['word', 'word'],
			['word', 'word'],
		]);
		const unblock = network.block({protocol: 'udp', from: a});
		expect(await Promise.all([askBoth(a, 'tcp'), askBoth(a, 'udp', silentMs), askBoth(c, 'udp')])).toEqual([
			['word', 'word'],
			['silence', 'silence'],
			['word', 'word'],
		]);
		const unblockToo = network.block({protocol: 'tcp', from: a, to: b, oneWay: true});
		expect(await Promise.all([askBoth(a, 'tcp', silentMs), askBoth(c, 'tcp')])).toEqual([
			['silence', 'silence'],
			['word', 'word'],
		]);
		unblock();
		unblockToo();
		expect(await Promise.all([askBoth(a, 'tcp'), askBoth(a, 'udp')])).toEqual([
			['word', 'word'],
			['word', 'word'],
		]);
		network.cut(b);
		expect(await askBoth(a, 'tcp', silentMs)).toEqual(['silence', 'silence']);
		network.heal(b);
		expect(await askBoth(a, 'tcp')).toEqual(['word', 'word']);
		b.setAddresses(['10.77.0.99/24']);
		expect(await Promise.all([ask(a, 'tcp', b.v4, 7000, silentMs), ask(a, 'tcp', '10.77.0.99', 7000)])).toEqual([
			'silence',
			'word',
		]);
	});

	test('has hosts with mapped ports and with their own names', async () => {
		const {gateway, host} = network.mapped({ports: [[17_000, 7000]]});
		await startServer(host);
		const other = network.host();
		other.setNames({both: [gateway.v4]});
		expect(
			await Promise.all([
				ask(other, 'tcp', gateway.v4, 17_000),
				ask(other, 'udp', gateway.v4, 17_000),
				ask(other, 'tcp', 'both', 17_000),
			]),
		).toEqual(['word', 'word', 'word']);
		expect(await ask(host, 'tcp', other.v4, 7000)).toBe('refused');
	});
});

test.runIf(canMakeNetworks)('a disposed network leaves no namespace, process or file', async () => {
	const network = new Network();
	const host = network.host();
	host.setNames({name: [host.v4]});
	const child = host.spawn('sleep', ['60']);
	const ended = once(child, 'exit');
	network[Symbol.dispose]();
	expect([existsSync(`/run/netns/${host.space}`), existsSync(`/etc/netns/${host.space}`)]).toEqual([false, false]);
	expect(spawnSync('ip', ['netns', 'pids', host.space], {encoding: 'utf8'})).toMatchObject({
		status: 1,
		stderr: expect.stringContaining('Cannot open network namespace') as string,
	});
	expect(await ended).toEqual([null, 'SIGKILL']);
});
