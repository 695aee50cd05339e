/**
Links between nodes, over TLS and over a network within the process: one link per pair, restored when it breaks, and
only between members.
*/
import {afterEach, describe, expect, test, vi} from 'vitest';
import type {Channel, Transport, TransportOptions} from '../../core/io/net/channel.ts';
import {Faults} from '../../core/io/net/faults.ts';
import {MemoryNetwork} from '../../core/io/net/memory-network.ts';
import {createMesh, type Mesh, type MeshOptions} from '../../core/io/net/mesh.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import type {NodeId} from '../../core/message.ts';
import {protocolMax} from '../../core/version.ts';
import {createIdentity, type Identity} from '../../core/wire/seal.ts';
import {closing, frames, hello, side, type Settings} from './support/channel-sides.ts';

type Member = {
	readonly mesh: Mesh;
	readonly id: NodeId;
	readonly address: string;
	readonly identity: Identity;
	readonly transport: Transport;
	readonly options: TransportOptions;
	readonly log: string[];
	readonly problems: string[];
	readonly guests: Channel[];
	readonly faults: Faults;
};
type MemberSettings = Settings & {
	readonly identity?: Identity;
	readonly port?: number;
	readonly incarnation?: number;
	readonly clusterId?: string;
	readonly mesh?: Partial<MeshOptions>;
	readonly wrap?: (transport: Transport) => Transport;
	readonly protocols?: readonly [number, number];
};

const members: Member[] = [];
afterEach(async () => {
	await Promise.all(members.splice(0).map(({mesh}) => mesh[Symbol.asyncDispose]()));
});

async function until(isMet: () => boolean, what = 'the condition'): Promise<void> {
	await vi.waitFor(
		() => {
			if (!isMet()) throw new Error(`Expected ${what} within 10 s`);
		},
		{timeout: 10_000, interval: 2},
	);
}

const isUp = (from: Member, to: Member): boolean => from.mesh.state(to.id).state === 'up';
const peersOf = (...of: readonly Member[]): Map<NodeId, string> => new Map(of.map(({id, address}) => [id, address]));
const link = async (one: Member, other: Member): Promise<void> => {
	one.mesh.setPeers(peersOf(other));
	other.mesh.setPeers(peersOf(one));
	await until(() => isUp(one, other) && isUp(other, one), 'a link');
};

const network = new MemoryNetwork();
describe.each<readonly [string, (options: TransportOptions) => Transport]>([
	['TLS', createTransport],
	['memory', options => network.transport(options)],
])('%s', (transportName, make) => {
	/** The in-memory network does not report refused peers on the listening side. */
	const isReported = transportName === 'TLS';
	async function member({
		identity = createIdentity(),
		port = 0,
		incarnation = 1,
		clusterId = '',
		mesh: more = {},
		protocols,
		wrap = plain => plain,
		...settings
	}: MemberSettings = {}): Promise<Member> {
		const {options, transport, problems} = side(
			given => make(protocols ? {...given, protocols} : given),
			settings,
			identity,
		);
		const log: string[] = [];
		const guests: Channel[] = [];
		const faults = new Faults();
		const addressOf = (): string => `127.0.0.1:${mesh.listener.port}`;
		const mesh: Mesh = await createMesh({
			transport: wrap(transport),
			id: identity.id,
			keys: options.keys,
			host: '127.0.0.1',
			port,
			refusals: options.refusals,
			faults,
			outQueueBytes: 1_000_000,
			backoffMs: [10, 100],
			dialTimeoutMs: 1000,
			hello: () => ({address: addressOf(), clusterId, incarnation, instance: '', name: ''}),
			onFrame: (from, frame) => log.push(`frame ${from} ${frame.toString('latin1')}`),
			onUp: id => log.push(`up ${id}`),
			onDown: (id, why) => log.push(`down ${id} ${why}`),
			onRefused: id => log.push(`refused ${id}`),
			onUnknownPeer: (id, address) => log.push(`outsider ${id} ${address}`),
			onRemoved: id => log.push(`removed ${id}`),
			onClient: channel => guests.push(channel),
			onJoin: channel => guests.push(channel),
			onRefusal: ({reason}) => problems.push(reason),
			...more,
		});
		const made: Member = {
			mesh,
			id: identity.id,
			identity,
			address: addressOf(),
			transport,
			options,
			log,
			problems,
			guests,
			faults,
		};
		members.push(made);
		return made;
	}

	test('a node that was called tests whether it can call the peer, and the link stays (case B)', async () => {
		const one = await member();
		const other = await member();
		other.mesh.setPeers(new Map([[one.id, '127.0.0.1:1']]));
		one.mesh.setPeers(peersOf(other));
		await until(() => isUp(one, other) && isUp(other, one), 'a link');
		expect(one.mesh.called(other.id)).toEqual({state: 'works'});
		expect(other.mesh.called(one.id)).toEqual({state: 'untried'});
		other.mesh.tryCall(one.id);
		await until(() => other.mesh.called(one.id).state !== 'untried', 'the outcome of a call to the wrong address');
		expect(other.mesh.called(one.id)).toEqual({state: 'failed', code: 'ECONNREFUSED'});
		other.mesh.setPeers(peersOf(one));
		expect(other.mesh.called(one.id)).toEqual({state: 'untried'});
		other.mesh.tryCall(one.id);
		await until(() => other.mesh.called(one.id).state === 'works', 'the outcome of a call to the right address');
		// Another member answers there.
		const third = await member();
		other.mesh.setPeers(new Map([[one.id, third.address]]));
		other.mesh.tryCall(one.id);
		await until(
			() => other.mesh.called(one.id).state !== 'untried',
			'the outcome of a call to the address of another',
		);
		expect(other.mesh.called(one.id)).toEqual({state: 'failed', code: 'identity'});
		expect([...one.log, ...other.log].filter(line => line.startsWith('down'))).toEqual([]);
		expect(one.mesh.send(other.id, [Buffer.from('still here')])).toBe(true);
		await until(() => other.log.includes(`frame ${one.id} still here`), 'a frame');
	});

	test('members link, and frames go both ways', async () => {
		const one = await member();
		const other = await member();
		expect(one.mesh.send(other.id, [Buffer.from('early')])).toBe(false);
		await link(one, other);
		expect(one.mesh.send(other.id, [Buffer.from('he'), Buffer.from('llo')])).toBe(true);
		expect(other.mesh.send(one.id, [Buffer.from('hi')])).toBe(true);
		await until(
			() => other.log.includes(`frame ${one.id} hello`) && one.log.includes(`frame ${other.id} hi`),
			'the frames',
		);
		expect(one.mesh.stats.sentBytes).toBeGreaterThan(0);
		expect([...one.mesh.states()]).toEqual([[other.id, {state: 'up', why: ''}]]);
	});

	test('the version of a peer is known after its first link, and is removed with the peer', async () => {
		const one = await member();
		const other = await member({mesh: {}, protocols: [1, 1]});
		expect(one.mesh.speaks(other.id)).toBeUndefined();
		await link(one, other);
		expect([one.mesh.speaks(other.id), other.mesh.speaks(one.id)]).toEqual([
			{protocol: 1, version: '1.0.0'},
			{protocol: 1, version: '1.0.0'},
		]);
		await other.mesh[Symbol.asyncDispose]();
		await until(() => !isUp(one, other), 'the end of the link');
		expect(one.mesh.speaks(other.id)).toEqual({protocol: 1, version: '1.0.0'});
		one.mesh.setPeers(new Map());
		expect(one.mesh.speaks(other.id)).toBeUndefined();
	});

	test('members refuse a member below the agreed protocol; both report both numbers', async () => {
		const one: Member = await member({
			mesh: {
				hello: () => ({
					address: one.address,
					clusterId: '',
					incarnation: 1,
					instance: '',
					name: '',
					protocolMin: protocolMax,
				}),
			},
		});
		const other = await member({protocols: [1, 1]});
		one.mesh.setPeers(peersOf(other));
		other.mesh.setPeers(peersOf(one));
		const hasProblem = (problems: readonly string[], pattern: RegExp): boolean =>
			problems.some(line => pattern.test(line));
		await until(
			() =>
				hasProblem(
					one.problems,
					new RegExp(
						`speaks protocol 1 \\(version 1\\.0\\.0\\), this node ${protocolMax} \\(version 1\\.0\\.0\\)`,
					),
				),
			'the refusal',
		);
		await until(
			() =>
				hasProblem(
					other.problems,
					new RegExp(
						`speaks protocol ${protocolMax} \\(version 1\\.0\\.0\\), this node 1 \\(version 1\\.0\\.0\\)`,
					),
				),
			'the refusal at the other end',
		);
		expect([isUp(one, other), isUp(other, one)]).toEqual([false, false]);
	});

	test('when all nodes call at once, each pair keeps the same single link', async () => {
		const all = await Promise.all(Array.from({length: 6}, () => member()));
		for (const each of all) each.mesh.setPeers(peersOf(...all));
		const pairs = all.flatMap(one => all.filter(other => other !== one).map(other => [one, other] as const));
		await until(() => pairs.every(([one, other]) => isUp(one, other)), 'every link');
		// Frames over the remaining links arrive: both sides kept the same channel of each pair.
		await until(() => all.every(({mesh}) => mesh.listener.unauthenticated === 0));
		await until(() => {
			for (const [one, other] of pairs) one.mesh.send(other.id, [Buffer.from('x')]);
			return pairs.every(([one, other]) => other.log.includes(`frame ${one.id} x`));
		}, 'a frame on every link');
		expect(all.reduce((sum, {mesh}) => sum + mesh.listener.connections, 0)).toBe(15);
	});

	test('a broken link is opened again', async () => {
		const one = await member();
		const other = await member();
		await link(one, other);
		for (let round = 0; round < 3; round++) {
			one.log.length = 0;
			one.mesh.drop(other.id, 'silent');
			await until(
				() => one.log.includes(`down ${other.id} silent`) && isUp(one, other) && isUp(other, one),
				'the link again',
			);
			other.mesh.send(one.id, [Buffer.from(`round ${round}`)]);
			await until(() => one.log.includes(`frame ${other.id} round ${round}`), 'a frame');
		}
	});

	test('a node calls at once when its peer closes the link, and reports a refusal', async () => {
		const one = await member({mesh: {backoffMs: [60_000, 60_000]}});
		const other = await member();
		await link(one, other);
		await other.mesh[Symbol.asyncDispose]();
		await until(
			() => one.log.includes(`refused ${other.id}`),
			'a refused connection, long before the back-off is over',
		);
		expect(one.log.slice(-2)).toEqual([`down ${other.id} the node is stopping`, `refused ${other.id}`]);
	});

	test('a restarted peer is linked again, and its earlier incarnation is refused', async () => {
		const one = await member();
		const other = await member();
		await link(one, other);
		await other.mesh[Symbol.asyncDispose]();
		await until(() => one.log.includes(`refused ${other.id}`), 'a refused connection');
		expect(one.log.find(line => line.startsWith('down'))).toBe(`down ${other.id} the node is stopping`);
		expect(one.mesh.state(other.id)).toMatchObject({state: 'down', why: expect.stringContaining('ECONNREFUSED')});
		const again = await member({
			identity: other.identity,
			port: Number(other.address.split(':')[1]),
			incarnation: 2,
		});
		again.mesh.setPeers(peersOf(one));
		await until(() => isUp(one, again) && isUp(again, one), 'the link again');
		// A copy of its data folder, started with the earlier incarnation.
		await expect(
			other.transport.dial(one.address, {hello: {...hello, incarnation: 1}, timeoutMs: 1000}),
		).rejects.toMatchObject({refusal: {code: 'older-incarnation'}});
		expect(isUp(one, again)).toBe(true);
	});

	test('a new incarnation replaces a connection that was never closed', async () => {
		const one = await member();
		// The mesh of `other` never calls, so `one` opens the link, and keeps it.
		const other = await member({
			wrap: plain => ({...plain, dial: async () => Promise.withResolvers<Channel>().promise}),
		});
		one.mesh.setPeers(peersOf(other));
		other.mesh.setPeers(peersOf(one));
		await until(() => isUp(one, other), 'the link');
		const channel = await other.transport.dial(one.address, {hello: {...hello, incarnation: 2}, timeoutMs: 1000});
		channel.onFrame = () => {};
		await until(() => one.log.includes(`down ${other.id} replaced by a later connection`), 'the change');
		channel.send([Buffer.from('anew')]);
		await until(() => one.log.includes(`frame ${other.id} anew`), 'a frame of the new incarnation');
	});

	test('the next call of a removed member is expected; a call of its later incarnation is reported', async () => {
		const one = await member({clusterId: 'aaaa'});
		const leaver = await member({clusterId: 'aaaa'});
		const removal = (): readonly string[] =>
			one.problems.filter(line => line.includes('was removed from the cluster'));
		await link(one, leaver);
		one.mesh.setRemoved([leaver.id]);
		await until(() => leaver.log.includes(`removed ${one.id}`), 'the refusal of the removed node');
		one.mesh.setRemoved([leaver.id]); // A later change was agreed.
		await until(() => leaver.log.filter(line => line === `removed ${one.id}`).length > 1, 'another call');
		expect(removal()).toEqual([]);
		await leaver.mesh[Symbol.asyncDispose]();
		const again = await member({clusterId: 'aaaa', identity: leaver.identity, incarnation: 2});
		again.mesh.setPeers(peersOf(one));
		await until(() => again.log.includes(`removed ${one.id}`), 'the refusal of the later incarnation');
		expect(removal()).toHaveLength(isReported ? 1 : 0);
	});

	test('only members are linked, and a removed member is informed', async () => {
		const one = await member({clusterId: 'aaaa'});
		const outsider = await member({clusterId: 'aaaa'});
		outsider.mesh.setPeers(peersOf(one));
		await until(() => outsider.options.refusals.of('call-not-a-member') > 0, 'a refusal');
		expect(one.mesh.state(outsider.id)).toEqual({state: 'down', why: 'not a member'});
		expect(one.log).toContain(`outsider ${outsider.id} ${outsider.address}`);
		await link(one, outsider);
		one.mesh.setRemoved([outsider.id]);
		await until(
			() => outsider.problems.some(line => line.includes(`node ${outsider.id} was removed from the cluster`)),
			'the refusal of the removed node',
		);
		expect(outsider.log).toContain(`removed ${one.id}`);
		expect(one.mesh.state(outsider.id)).toEqual({state: 'down', why: 'removed from the cluster'});
		one.mesh.setPeers(peersOf(outsider));
		expect(one.mesh.states().size).toBe(0);
		expect(outsider.problems).toHaveLength(1);
	});

	test('members of two clusters of one name do not link', async () => {
		const one = await member({clusterId: 'aaaa'});
		const other = await member({clusterId: 'bbbb'});
		one.mesh.setPeers(peersOf(other));
		other.mesh.setPeers(peersOf(one));
		await until(() => one.problems.length > 0 && other.problems.length > 0, 'both to say so');
		expect(one.problems[0]).toContain('belongs to another cluster of this name');
		expect([...one.log, ...other.log].filter(line => line.startsWith('outsider'))).toEqual([]);
		expect(isUp(one, other)).toBe(false);
	});

	test('joining nodes and clients use the same port, and are informed when the node stops', async () => {
		const one = await member();
		const {transport} = side(make, {});
		const join = await transport.dial(one.address, {hello: {...hello, via: 'join'}, timeoutMs: 1000});
		const client = await make({...side(make, {}).options, identity: undefined}).dial(one.address, {
			hello: {...hello, address: '', via: 'client'},
			timeoutMs: 1000,
		});
		await until(() => one.guests.length === 2, 'both');
		expect(one.guests.map(({remote}) => remote.via).toSorted()).toEqual(['client', 'join']);
		const ends = [closing(join), closing(client)];
		join.onFrame = () => {};
		const word = frames(client, 1);
		for (const guest of one.guests) {
			guest.onFrame = () => {};
			guest.send([Buffer.from('welcome')]);
		}

		expect(String((await word)[0])).toBe('welcome');
		ends[1] = closing(client);
		await one.mesh[Symbol.asyncDispose]();
		expect(await Promise.all(ends)).toEqual(['the node is stopping', 'the node is stopping']);
	});

	test('a peer with a new address is called there', async () => {
		const one = await member();
		const other = await member();
		one.mesh.setPeers(new Map([[other.id, '127.0.0.1:1']]));
		await until(() => one.log.includes(`refused ${other.id}`), 'a refusal at the wrong place');
		await link(one, other);
	});

	test('during a cut no frame arrives, the link stays and calls time out; a heal opens a new link', async () => {
		const one = await member({mesh: {dialTimeoutMs: 60}});
		const other = await member();
		await link(one, other);
		one.faults.apply({type: 'cut', peers: [other.id], direction: 'both', forMs: 0});
		one.log.length = 0;
		other.log.length = 0;
		expect(one.mesh.send(other.id, [Buffer.from('lost')])).toBe(true);
		other.mesh.send(one.id, [Buffer.from('lost too')]);
		expect(isUp(one, other)).toBe(true);
		one.mesh.drop(other.id, 'silent');
		await until(() => one.mesh.state(other.id).why.includes('timeout'), 'a call that times out');
		expect(one.log.filter(line => line.startsWith('frame'))).toEqual([]);
		expect(one.faults.active()).toEqual([
			expect.stringContaining(`cut from ${other.id.slice(0, 6)} (until healed)`),
		]);
		one.faults.apply({type: 'heal'});
		await until(() => isUp(one, other) && isUp(other, one), 'the link again');
		one.mesh.send(other.id, [Buffer.from('found')]);
		await until(() => other.log.includes(`frame ${one.id} found`), 'a frame');
		expect(other.log.filter(line => line.startsWith('frame'))).toEqual([`frame ${one.id} found`]);
	});

	test('a call that was lost in a cut is replaced when the peer is heard', async () => {
		let isCut = true;
		let calls = 0;
		const cutOff = (transport: Transport): Transport => ({
			listen: options => transport.listen(options),
			dial: (address, options) => {
				calls++;
				return isCut
					? new Promise((_resolve, reject) =>
							options.signal?.addEventListener('abort', () => reject(new Error('given up'))),
						)
					: transport.dial(address, options);
			},
		});
		const one = await member({wrap: cutOff});
		const other = await member({wrap: cutOff});
		one.mesh.setPeers(peersOf(other));
		other.mesh.setPeers(peersOf(one));
		await until(() => calls === 2, 'both calls');
		isCut = false;
		one.mesh.hint(other.id);
		await until(() => isUp(one, other) && isUp(other, one), 'a link');
	});

	test('a link that lost frames in a cut is replaced after the heal', async () => {
		const one = await member();
		const other = await member();
		await link(one, other);
		one.faults.apply({type: 'cut', peers: [other.id], direction: 'out', forMs: 0});
		one.mesh.send(other.id, [Buffer.from('lost')]);
		other.mesh.send(one.id, [Buffer.from('heard')]); // The other direction is not cut.
		await until(() => one.log.includes(`frame ${other.id} heard`), 'the other direction');
		one.faults.apply({type: 'heal'});
		await until(
			() => one.log.includes(`down ${other.id} frames were lost in a cut`) && isUp(one, other),
			'a fresh link',
		);
		expect(other.log).not.toContain(`frame ${one.id} lost`);
	});

	test('delayed frames keep their order and their bound', async () => {
		const one = await member();
		const other = await member();
		await link(one, other);
		one.faults.apply({type: 'delay', ms: 20, forMs: 60_000});
		for (let frame = 0; frame < 20; frame++) one.mesh.send(other.id, [Buffer.from(String(frame))]);
		expect(one.mesh.queuedBytes(other.id)).toBeGreaterThanOrEqual(30);
		one.faults.apply({type: 'heal'});
		one.mesh.send(other.id, [Buffer.from('last')]);
		await until(() => other.log.includes(`frame ${one.id} last`), 'the last frame');
		expect(other.log.filter(line => line.startsWith('frame')).map(line => line.split(' ')[2])).toEqual([
			...Array.from({length: 20}, (_, index) => String(index)),
			'last',
		]);
		one.faults.apply({type: 'delay', ms: 5000, forMs: 60_000});
		const large = Buffer.alloc(400_000);
		expect([1, 2, 3].map(() => one.mesh.send(other.id, [large]))).toEqual([true, true, false]);
	});
});
