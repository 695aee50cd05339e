/**
The networks of the other tests work: cut connections hang, blocked packets are dropped, and nothing is left afterwards.
*/
import {spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {canFilter, canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';

sayNotRun('test/e2e/namespaces.test.ts', true);

/** Without an answer for this long, the result is `silence`. */
const silentMs = 400;

/**
The answer that a program in one host gets from another over TCP or UDP: a word, `refused`, or `silence` after the
timeout.
*/
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

async function answer(host: Host): Promise<void> {
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

	test('carries both protocols and both families, until they are blocked or cut', async () => {
		const [a, b, c] = [network.host(), network.host(), network.host()];
		await answer(b);
		const all = (from: Host, protocol: 'tcp' | 'udp', limitMs?: number): Promise<string[]> =>
			Promise.all([ask(from, protocol, b.v4, 7000, limitMs), ask(from, protocol, b.v6, 7000, limitMs)]);
		expect([await all(a, 'tcp'), await all(a, 'udp')]).toEqual([
			['word', 'word'],
			['word', 'word'],
		]);
		const unblock = network.block({protocol: 'udp', from: a});
		expect(await Promise.all([all(a, 'tcp'), all(a, 'udp', silentMs), all(c, 'udp')])).toEqual([
			['word', 'word'],
			['silence', 'silence'],
			['word', 'word'],
		]);
		const unblockToo = network.block({protocol: 'tcp', from: a, to: b, oneWay: true});
		expect(await Promise.all([all(a, 'tcp', silentMs), all(c, 'tcp')])).toEqual([
			['silence', 'silence'],
			['word', 'word'],
		]);
		unblock();
		unblockToo();
		expect(await Promise.all([all(a, 'tcp'), all(a, 'udp')])).toEqual([
			['word', 'word'],
			['word', 'word'],
		]);
		network.cut(b);
		expect(await all(a, 'tcp', silentMs)).toEqual(['silence', 'silence']);
		network.heal(b);
		expect(await all(a, 'tcp')).toEqual(['word', 'word']);
		b.setAddresses(['10.77.0.99/24']);
		expect(await Promise.all([ask(a, 'tcp', b.v4, 7000, silentMs), ask(a, 'tcp', '10.77.0.99', 7000)])).toEqual([
			'silence',
			'word',
		]);
	});

	test('has hosts with mapped ports, and its own names', async () => {
		const {gateway, host} = network.mapped({ports: [[17_000, 7000]]});
		await answer(host);
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
	expect(spawnSync('ip', ['netns', 'pids', host.space]).status).not.toBe(0);
	expect(await ended).toEqual([null, 'SIGKILL']);
});
