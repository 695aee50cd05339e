/**
Real listeners and nodes: peers without the secret, clients and members that have it and send anything. Each must go on
serving honest ones.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import net from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {freePorts} from '../../../bench/cluster.ts';
import {connect} from '../../../core/connect.ts';
import {defaults} from '../../../core/config.ts';
import type {Channel, LocalHello} from '../../../core/io/net/channel.ts';
import {createTransport, transportOptions} from '../../../core/io/net/transport.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import type {Node} from '../../../core/node/node.ts';
import {openBroker, type OpenBroker} from '../../../core/open.ts';
import {encodeFrame, encodePublish, remoteKinds} from '../../../core/remote/protocol.ts';
import {kinds} from '../../../core/wire/wire.ts';
import {batchOf} from '../../support/batches.ts';
import {altered, bytes, changed, damaged, packed, value} from '../arbitraries.ts';
import {expectValid, gossipPackets, peer, raftPackets, swimPackets} from '../packets.ts';
import {must, target, type OpenTarget} from '../target.ts';

const secret = Buffer.alloc(32, 7);
const hello: LocalHello = {address: '', clusterId: '', incarnation: 0, instance: '', name: '', via: 'client'};
const turn = (): Promise<void> =>
	new Promise(resolve => {
		setImmediate(resolve);
	});

async function until(isMet: () => boolean | Promise<boolean>, what: string): Promise<void> {
	for (const startedMs = performance.now(); !(await isMet());) {
		must(performance.now() - startedMs < 20_000, what);
		await turn();
	}
}

/** A connection with these bytes; resolves with what comes back before it closes. */
function answerTo(port: number, content: Buffer): Promise<number> {
	return new Promise(resolve => {
		let received = 0;
		const socket = net.connect(port, '127.0.0.1', () => socket.end(content));
		socket.on('data', chunk => {
			received += chunk.length;
		});
		socket.on('error', () => undefined);
		socket.on('close', () => resolve(received));
	});
}

/** A plain start: random bytes, or the start of TLS and then random bytes. */
const opening = fc.oneof(
	bytes(300),
	bytes(300).map(rest => Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]), rest])),
	bytes(300).map(rest => Buffer.concat([Buffer.from([0, 0, 0, 80, 0, 1]), Buffer.from('dapss'), rest])),
	bytes(5000),
);

/** Peers that never prove the secret get no answer, except alerts of TLS, and honest ones come in. */
export const listenerTarget = target('port before authentication', 150, async () => {
	const transport = createTransport(transportOptions({...defaults, secret}, {identity: undefined, version: '1.0.0'}));
	const listener = await transport.listen({
		host: '127.0.0.1',
		port: 0,
		hello: () => ({...hello, address: '127.0.0.1:5000'}),
		admit: () => undefined,
		onChannel(channel) {
			channel.onFrame = () => undefined;
		},
	});
	return {
		inputs: opening,
		async check(content) {
			const received = await answerTo(listener.port, content);
			const isTls = content[0] === 0x16 && content[1] === 3;
			must(isTls || received === 0, 'no answer to a peer that speaks no TLS');
		},
		async close() {
			const channel = await transport.dial(`127.0.0.1:${listener.port}`, {hello, timeoutMs: 10_000});
			channel.close('done');
			await until(() => listener.unauthenticated === 0, 'no connection to be left');
			await listener[Symbol.asyncDispose]();
		},
	} satisfies OpenTarget<Buffer>;
});

type Running = {readonly node: Node & OpenBroker; readonly address: string; stop(): Promise<void>};

/** A node of one process, which leads its cluster. */
async function startNode(): Promise<Running> {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-fuzz-'));
	const [port] = (await freePorts(1)) as [number];
	const node = (await openBroker({
		port,
		secret,
		data: folder,
		cluster: 'fuzz',
		discovery: {enabled: false},
	})) as Node & OpenBroker;
	await until(async () => (await node.snapshot()).raft.leader === node.id, 'a leader');
	return {
		node,
		address: `127.0.0.1:${port}`,
		async stop() {
			await node[Symbol.asyncDispose]();
			rmSync(folder, {recursive: true, force: true});
		},
	};
}

/** An honest client publishes to the node, and reads what it published. */
async function expectServing(address: string): Promise<void> {
	await using client = await connect({servers: [address], secret, cluster: 'fuzz', timeoutMs: 20_000});
	const reading = client.subscribe(['honest']);
	await reading.agreed;
	await client.publish('honest', ['still here']);
	for await (const [first] of reading) {
		must(Buffer.from(first!.body).toString() === 'still here', 'the message that was published');
		return;
	}
}

const id = '1'.repeat(16) as NodeId;
const requests = [
	{id: 1, op: 'snapshot'},
	{id: 2, op: 'watch'},
	{id: 3, op: 'events', messages: true, isTracked: true, credit: 100},
	{id: 4, op: 'subscribe', topics: ['t'], from: 'beginning', isTracked: true, credit: 1000},
	{id: 5, op: 'create-topic', topic: 't', settings: {retainAgeS: 1}, update: false},
	{id: 6, op: 'delete-topic', topic: 't', force: true},
	{id: 7, op: 'transfer', to: id},
	{id: 8, op: 'remove', node: id},
];
const requestFrame = fc.oneof(
	fc
		.constantFrom(...requests)
		.chain(request => altered(request))
		// A client may ask its node to leave; that is no fault.
		.filter(request => !JSON.stringify(request ?? '').includes('leave'))
		.map(request => Buffer.concat([Buffer.of(remoteKinds.request), packed(request)])),
	damaged(Buffer.concat(encodePublish(9, 't' as Topic, [Buffer.from('x')]))),
	value.map(given => Buffer.concat([Buffer.of(remoteKinds.request), packed(given)])),
	fc.constant(encodeFrame('request', {id: 1, op: 'snapshot'})),
);

/** Clients with the secret send any frames to a node. */
export const clientTarget = target('frames of clients', 300, async () => {
	const running = await startNode();
	const transport = createTransport(
		transportOptions({...defaults, cluster: 'fuzz', secret}, {identity: undefined, version: '1.0.0'}),
	);
	let channel: Channel | undefined;
	const dial = async (): Promise<Channel> => {
		const fresh = await transport.dial(running.address, {hello, timeoutMs: 20_000});
		fresh.onFrame = () => undefined;
		fresh.onClose = () => {
			if (channel === fresh) channel = undefined;
		};
		return fresh;
	};
	return {
		inputs: fc.array(requestFrame, {minLength: 1, maxLength: 6}),
		async check(frames) {
			channel ??= await dial();
			for (const frame of frames) if (frame.length > 0) channel?.send([frame]);
			await turn();
		},
		async close() {
			await expectServing(running.address);
			channel?.close('done');
			await running.stop();
		},
	} satisfies OpenTarget<Buffer[]>;
});

const batch = batchOf({origin: peer, topic: 't' as Topic, firstSeq: 1}, [Buffer.from('x')]);
const others: ReadonlyArray<readonly [number, unknown]> = [
	[kinds.join, {id: peer, address: '127.0.0.1:9', clusterId: ''}],
	[kinds.manage, {seq: 1, type: 'remove', node: peer}],
	[kinds.managed, {seq: 1, code: 'failure', reason: 'x'}],
	[kinds.probe, {}],
];
const framed = (kind: number, packets: readonly unknown[]): fc.Arbitrary<Buffer> =>
	changed(packets).map(packet => Buffer.concat([Buffer.of(kind), packed(packet)]));
const memberFrame = fc.oneof(
	framed(kinds.raft, raftPackets),
	framed(kinds.gossip, gossipPackets),
	framed(kinds.swim, swimPackets),
	fc.constantFrom(...others).chain(([kind, packet]) => framed(kind, [packet])),
	damaged(Buffer.concat([Buffer.of(kinds.push, 1, 0), batch.bytes])),
	fc
		.tuple(fc.constantFrom(...Object.values(kinds)), bytes(200))
		.map(([kind, rest]) => Buffer.concat([Buffer.of(kind), rest])),
	memberRelay(),
);

function memberRelay(): fc.Arbitrary<Buffer> {
	return fc
		.tuple(bytes(140), fc.constantFrom(...Object.values(kinds)), fc.constantFrom(kinds.relay, kinds.provenRelay))
		.map(([rest, kind, relay]) =>
			Buffer.concat([Buffer.of(relay), Buffer.from(peer + id, 'hex'), Buffer.of(kind), rest]),
		);
}

/** A peer with the secret sends any frames on its link to a node. It is no voter, so it must not disturb the leader. */
export const memberTarget = target('frames of members', 2000, async () => {
	expectValid();
	const running = await startNode();
	const {node} = running;
	return {
		inputs: memberFrame,
		async check(frame) {
			node.onFrame(peer, frame);
			if (frame.length % 16 === 0) await turn();
		},
		async close() {
			await expectServing(running.address);
			must((await node.snapshot()).raft.leader === node.id, 'the node to lead');
			await running.stop();
		},
	} satisfies OpenTarget<Buffer>;
});
