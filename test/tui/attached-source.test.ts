/** Switching between nodes and clusters, and the members that a lost connection may go to. */
import {expect, test} from 'vitest';
import type {FollowedBroker} from '../../core/broker.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import {createAttachedSource, type Attached, type Target} from '../../tui/attached-source.ts';
import type {ClientSource} from '../../tui/client-source.ts';
import type {NamedContext, SourceState} from '../../tui/source/source.ts';
import {headerSpans} from '../../tui/view/header.ts';
import {a, b, healthy} from './support/fixtures.ts';

const named = (self: string): Snapshot => ({
	...healthy,
	self: self as Snapshot['self'],
	members: healthy.members.map(member => ({
		...member,
		self: member.id === self,
		name: member.id === a ? 'n1' : member.id === b ? 'n2' : 'n3',
	})),
});

class FakeConnection implements Attached {
	readonly broker = {} as FollowedBroker;
	readonly context: NamedContext | undefined;
	readonly learned: string[][] = [];
	isClosed = false;
	isWatched = true;
	readonly ran: string[] = [];
	#state: SourceState = {snapshot: undefined, connection: 'connecting', detail: ''};
	#listener: () => void = () => undefined;

	constructor(context?: NamedContext) {
		this.context = context;
	}

	learn(members: readonly MemberSnapshot[]): void {
		this.learned.push(members.map(({name}) => name));
	}

	tries(): readonly string[] {
		return [];
	}

	show(state: Partial<SourceState>): void {
		this.#state = {...this.#state, ...state};
		this.#listener();
	}

	readonly source: ClientSource = {
		getState: () => this.#state,
		subscribe: onChange => {
			this.#listener = onChange;
			return () => {
				this.#listener = () => undefined;
			};
		},
		run: async ({type}) => {
			this.ran.push(type);
			return {ok: true, text: type};
		},
		[Symbol.dispose]: () => {
			this.isWatched = false;
		},
	};

	async [Symbol.asyncDispose](): Promise<void> {
		this.isClosed = true;
	}
}

function attached(first: FakeConnection, ...next: ReadonlyArray<FakeConnection | Error>) {
	const asked: Target[] = [];
	const source = createAttachedSource(
		first,
		async target => {
			asked.push(target);
			const one = next[asked.length - 1]!;
			if (one instanceof Error) throw one;
			return one;
		},
		connection => (connection as FakeConnection).source,
	);
	return {source, asked};
}

const headerText = (state: SourceState): string =>
	headerSpans({...state, title: 'dapss-tui', isReadonly: false, isRemote: true, attachment: state.attachment}, 120)
		.map(({text}) => text)
		.join('');

test('the members of each new snapshot are told to the connection, once', () => {
	const first = new FakeConnection();
	const {source} = attached(first);
	const snapshot = named(a);
	first.show({snapshot, connection: 'connected'});
	first.show({snapshot: {...snapshot, lamport: 1}});
	expect(first.learned).toEqual([['n1', 'n2', 'n3']]);
	first.show({snapshot: named(a)});
	expect(first.learned).toHaveLength(2);
	source[Symbol.dispose]();
});

test('after a failover the header says whose view it is, and in whose place', () => {
	const first = new FakeConnection();
	const {source} = attached(first);
	let changes = 0;
	source.subscribe(() => changes++);
	first.show({snapshot: named(a), connection: 'connected'});
	expect(source.getState().attachment).toEqual({context: undefined, insteadOf: undefined});
	expect(headerText(source.getState())).toMatch(/attached {2}n1 /);
	first.show({connection: 'lost', detail: 'trying n2'});
	expect(headerText(source.getState())).toMatch(/last view of {2}n1 .*NODE LOST/);
	first.show({snapshot: named(b), connection: 'connected'});
	expect(source.getState().attachment?.insteadOf).toBe('n1');
	expect(headerText(source.getState())).toMatch(/n2 .*instead of n1/);
	expect(source.getState()).toBe(source.getState());
	first.show({snapshot: named(a)});
	expect(source.getState().attachment?.insteadOf).toBeUndefined();
	expect(changes).toBe(4);
});

test('a switch shows the next node as the chosen one, and closes the former connection', async () => {
	const first = new FakeConnection();
	const prod = new FakeConnection({name: 'prod', colour: 'red'});
	const {source, asked} = attached(first, prod);
	first.show({snapshot: named(a), connection: 'connected'});
	expect(await source.run({type: 'context', name: 'prod'})).toEqual({ok: true, text: 'Attached to prod'});
	expect(asked).toEqual([{context: 'prod'}]);
	expect(first).toMatchObject({isClosed: true, isWatched: false});
	expect(source.getState()).toMatchObject({connection: 'connecting', snapshot: undefined});
	prod.show({snapshot: named(b), connection: 'connected'});
	expect(source.getState().attachment).toEqual({context: {name: 'prod', colour: 'red'}, insteadOf: undefined});
	const spans = headerSpans({...source.getState(), title: 'dapss-tui', isReadonly: false, isRemote: true}, 80);
	expect(spans.find(({text}) => text.trim() === 'prod')).toMatchObject({colour: 'red'});
	await source.run({type: 'subscribe', topics: ['x']});
	expect([first.ran, prod.ran]).toEqual([[], ['subscribe']]);
	await source[Symbol.asyncDispose]();
	expect(prod.isClosed).toBe(true);
});

test('a node that is not reached leaves the present one on the screen', async () => {
	const first = new FakeConnection();
	const {source} = attached(first, new Error('connection refused'));
	first.show({snapshot: named(a), connection: 'connected'});
	expect(await source.run({type: 'attach', server: '10.0.0.7:5000'})).toEqual({
		ok: false,
		text: 'Could not attach to 10.0.0.7:5000: connection refused',
	});
	expect(first).toMatchObject({isClosed: false, isWatched: true});
	first.show({snapshot: named(b)});
	expect(source.getState().snapshot?.self).toBe(b);
});

test('one switch at a time; a connection that comes too late is closed', async () => {
	const first = new FakeConnection();
	const late = new FakeConnection();
	const gate = Promise.withResolvers<Attached>();
	const source = createAttachedSource(
		first,
		() => gate.promise,
		connection => (connection as FakeConnection).source,
	);
	const switching = source.run({type: 'attach', server: 'a:1'});
	expect(await source.run({type: 'attach', server: 'b:1'})).toMatchObject({ok: false});
	source[Symbol.dispose]();
	gate.resolve(late);
	expect(await switching).toMatchObject({ok: false});
	expect(late.isClosed).toBe(true);
});
