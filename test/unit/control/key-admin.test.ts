/** The order of a rotation: a key is used once all members have it, and removed once nobody uses it. */
import {expect, test} from 'vitest';
import type {KeyConnection, KeyId, KeyUse} from '../../../core/cluster-keys.ts';
import type {Command} from '../../../core/cluster-state/command.ts';
import {KeyList} from '../../../core/cluster-state/key-list.ts';
import type {Control} from '../../../core/control/control.ts';
import {KeyAdmin} from '../../../core/control/key-admin.ts';
import type {DapssError} from '../../../core/errors.ts';
import type {NodeId} from '../../../core/message.ts';
import type {OwnKeys} from '../../../core/ports.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const key = (digit: string): KeyId => digit.repeat(16) as KeyId;
const [former, next] = [key('1'), key('2')];
const [self, other] = ['a'.repeat(16), 'b'.repeat(16)] as [NodeId, NodeId];
const author = {by: undefined, isOwner: true};
const sealed = Buffer.alloc(60, 1);

/** A node, and another member whose answers the test decides. */
class World {
	readonly list = new KeyList();
	readonly state = {keys: this.list, members: () => [{id: self}, {id: other}], protocol: 4};
	readonly proposed: Command[] = [];
	nowMs = 0;
	isReachable = true;
	/** What the other member answers; `undefined` for no answer. */
	theirs: KeyUse | undefined;
	own: KeyUse = {active: former, valid: [former], file: 'current', connections: []};
	readonly admin: KeyAdmin;

	constructor() {
		const keys: OwnKeys = {
			agreed: () => undefined,
			tick: () => undefined,
			use: () => this.own,
			keyOf: () => next,
			addition: () => ({
				type: 'add',
				key: next,
				before: former,
				secret: sealed,
				former: sealed,
				batch: sealed,
				formerBatch: sealed,
			}),
			view: () => ({...this.own, secretFile: '', wrong: []}),
		};
		this.admin = new KeyAdmin({
			self,
			control: {state: this.state} as unknown as Control,
			keys,
			awakeMs: () => this.nowMs,
			wallMs: () => 1000,
			isReachable: () => this.isReachable,
			label: node => node.slice(0, 1),
			propose: async command => {
				this.proposed.push(command);
				if (command.type !== 'keys') return;
				const result = this.list.apply(command.change, command.atMs, []);
				if (!result.ok) throw new Error(result.reason);
			},
			send: (_to, _kind, packet) => {
				const {keys: seq} = packet as {readonly keys: number};
				const use = this.theirs;
				if (use) queueMicrotask(() => this.admin.onAnswer(other, encodeControl('managed', {keys: seq, use})));
				return true;
			},
		});
	}

	/** Settles a change, while time passes. */
	async outcome(work: Promise<unknown>): Promise<unknown> {
		let isSettled = false;
		const settled = work
			.catch((error: DapssError) => error.message)
			.finally(() => {
				isSettled = true;
			});
		const isWaiting = (): boolean => !isSettled;
		for (let ticks = 0; ticks < 400 && isWaiting(); ticks++) {
			this.nowMs += 25;
			this.admin.tick();
			await new Promise(resolve => setImmediate(resolve));
		}

		return settled;
	}

	get changes(): readonly string[] {
		return this.proposed.map(command => (command.type === 'keys' ? command.change.type : command.type));
	}
}

const using = (active: KeyId, connections: readonly KeyConnection[] = []): KeyUse => ({
	active,
	valid: [former, next],
	file: 'current',
	connections,
});

async function added(): Promise<World> {
	const world = new World();
	world.theirs = using(former);
	world.own = using(former);
	expect(await world.outcome(world.admin.change({type: 'add', secret: Buffer.alloc(32, 1)}, author))).toEqual({
		key: next,
		missing: [],
	});
	return world;
}

test('a key is not used while a member lacks it, or does not answer', async () => {
	const world = await added();
	world.theirs = {...using(former), valid: [former]};
	const use = {type: 'use', key: next, force: false} as const;
	expect(await world.outcome(world.admin.change(use, author))).toContain('b (has not applied it)');
	world.theirs = undefined;
	world.isReachable = false;
	expect(await world.outcome(world.admin.change(use, author))).toContain('b (does not answer)');
	expect(world.changes).toEqual(['add']);

	expect(await world.outcome(world.admin.change({...use, force: true}, author))).toEqual({
		key: next,
		missing: [self, other],
	});
	expect(world.changes).toEqual(['add', 'use']);
});

test('a key is not removed while a member uses it, or a connection does', async () => {
	const world = await added();
	world.own = using(next);
	world.theirs = using(next);
	await world.outcome(world.admin.change({type: 'use', key: next, force: false}, author));
	const remove = {type: 'remove', key: former, force: false} as const;

	world.theirs = using(former);
	expect(await world.outcome(world.admin.change(remove, author))).toContain('is still in use: b uses it');
	world.theirs = using(next, [{key: former, kind: 'client', who: '10.0.0.7:40000'}]);
	expect(await world.outcome(world.admin.change(remove, author))).toContain(
		'connections use it: client 10.0.0.7:40000 at b',
	);
	world.isReachable = false;
	expect(await world.outcome(world.admin.change(remove, author))).toContain('b does not answer');
	world.isReachable = true;

	// A link that is renewed in time does not refuse it.
	world.theirs = using(next, [{key: former, kind: 'node', who: self}]);
	const work = world.admin.change(remove, author);
	setImmediate(() => {
		world.theirs = using(next);
	});
	expect(await world.outcome(work)).toEqual({key: former, missing: []});
	expect(world.changes).toEqual(['add', 'use', 'remove']);
});

test('with force it is removed nevertheless', async () => {
	const world = await added();
	world.own = using(next);
	world.theirs = using(former);
	await world.outcome(world.admin.change({type: 'use', key: next, force: true}, author));
	expect(await world.outcome(world.admin.change({type: 'remove', key: former, force: true}, author))).toEqual({
		key: former,
		missing: [],
	});
});

test('the report names the users of each key, outdated files, former connections and absent members', async () => {
	const world = await added();
	world.own = {...using(next), file: 'outdated'};
	world.theirs = using(former, [{key: former, kind: 'client', who: '10.0.0.7:40000'}]);
	expect(await world.outcome(world.admin.report())).toEqual({
		keys: [
			{id: former, state: 'active', sinceMs: 0, usedBy: [other]},
			{id: next, state: 'valid', sinceMs: 1000, usedBy: [self]},
		],
		outdatedFiles: [self],
		connections: [{key: former, kind: 'client', who: '10.0.0.7:40000', at: other}],
		away: [],
	});
	world.isReachable = false;
	expect(await world.outcome(world.admin.report())).toMatchObject({away: [other]});
});

test('unknown keys, short secrets and earlier protocols are refused', async () => {
	const world = await added();
	expect(await world.outcome(world.admin.change({type: 'use', key: key('9'), force: true}, author))).toContain(
		'Expected a key of this cluster',
	);
	expect(await world.outcome(world.admin.change({type: 'add', secret: Buffer.alloc(31)}, author))).toContain(
		'Expected a secret of 32 to 1024 bytes',
	);
	world.state.protocol = 3;
	expect(await world.outcome(world.admin.change({type: 'add', secret: Buffer.alloc(32)}, author))).toContain(
		'this cluster uses protocol 3',
	);
});
