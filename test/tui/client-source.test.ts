import type {IdentityKey} from '../../core/access.ts';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import type {Broker, LinkNews} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {createSource} from '../../tui/client-source.ts';
import {a, b, c, healthy} from './support/fixtures.ts';

class FakeBroker {
	readonly calls: unknown[] = [];
	readonly ended = Promise.withResolvers<string>();
	failure: Error | undefined;
	show: (snapshot: Snapshot) => void = () => undefined;
	isWatched = false;
	readonly closed = this.ended.promise;

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		this.show = onSnapshot;
		this.isWatched = true;
		return {
			[Symbol.dispose]: () => {
				this.isWatched = false;
			},
		};
	}

	async publish(topic: string, bodies: readonly Uint8Array[]): Promise<unknown> {
		this.calls.push(['publish', topic, bodies.map(body => new TextDecoder().decode(body))]);
		if (this.failure) throw this.failure;
		return {origin: a, incarnation: 1, topic, firstSeq: 7, count: 1};
	}

	async subscribeNode(topic: string): Promise<void> {
		this.calls.push(['subscribe', topic]);
		if (this.failure) throw this.failure;
	}

	async unsubscribeNode(topic: string): Promise<void> {
		this.calls.push(['unsubscribe', topic]);
	}

	async readIndex(): Promise<number> {
		return 318;
	}

	async transferLeadership(to?: string): Promise<string> {
		this.calls.push(['transfer', to]);
		if (this.failure) throw this.failure;
		return to ?? b;
	}

	async removeMember(node: string): Promise<void> {
		this.calls.push(['remove', node]);
		if (this.failure) throw this.failure;
	}

	async access(): Promise<unknown> {
		return {
			defaultRole: 'none',
			grants: [
				{identity: '9f'.repeat(32), role: 'operator', name: 'alice', topics: []},
				{identity: 'ab'.repeat(32), role: 'client', name: '', topics: ['orders.>']},
			],
			admitted: [],
			tokens: [],
			you: {identity: '9f'.repeat(32), role: 'operator', topics: [], isOwner: true},
		};
	}

	async changeAccess(change: unknown): Promise<void> {
		this.calls.push(['access', change]);
	}

	async leave(): Promise<void> {
		this.calls.push(['leave']);
		if (this.failure) throw this.failure;
	}

	async fault(command: unknown): Promise<void> {
		this.calls.push(['fault', command]);
		if (this.failure) throw this.failure;
	}
}

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

test('shows the first snapshot at once, then at most ten per second, and shares unchanged parts', () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	let changes = 0;
	source.subscribe(() => {
		changes++;
	});
	expect(source.getState()).toMatchObject({connection: 'connecting', snapshot: undefined});
	broker.show(healthy);
	expect(changes).toBe(1);
	const first = source.getState();
	expect(source.getState()).toBe(first);
	for (let ms = 0; ms < 1000; ms += 10) {
		broker.show({...structuredClone(healthy), lamport: ms});
		vi.advanceTimersByTime(10);
	}

	expect(changes).toBeGreaterThanOrEqual(10);
	expect(changes).toBeLessThanOrEqual(12);
	expect(source.getState().snapshot?.lamport).toBeGreaterThan(800);
	expect(source.getState().snapshot?.topics).toBe(first.snapshot?.topics);
});

test('a silent node counts as lost until its next snapshot', () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	broker.show(healthy);
	vi.advanceTimersByTime(4500);
	expect(source.getState()).toMatchObject({
		connection: 'lost',
		detail: 'no snapshot from the node for 3 s, still trying',
	});
	expect(source.getState().snapshot).toBe(healthy);
	broker.show(healthy);
	expect(source.getState().connection).toBe('connected');
});

test('a closed broker counts as lost permanently, with its reason and its last snapshot', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	broker.show(healthy);
	broker.ended.resolve('worker exited with 1');
	await vi.advanceTimersByTimeAsync(0);
	expect(source.getState()).toMatchObject({connection: 'lost', detail: 'worker exited with 1', snapshot: healthy});
	broker.show({...healthy, lamport: 1});
	vi.advanceTimersByTime(1000);
	expect(source.getState().connection).toBe('lost');
});

test('disposing stops watching and all timers', () => {
	const broker = new FakeBroker();
	createSource(broker as unknown as Broker)[Symbol.dispose]();
	expect(broker.isWatched).toBe(false);
	expect(vi.getTimerCount()).toBe(0);
});

test('a client that gets another name keeps its patterns; another role has none', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	const identity = 'ab'.repeat(32) as IdentityKey;
	for (const role of ['client', 'observer'] as const)
		await source.run({type: 'access-change', change: {type: 'grant', identity, role, name: 'shop', topics: []}});
	expect(broker.calls).toEqual([
		['access', {type: 'grant', identity, role: 'client', name: 'shop', topics: ['orders.>']}],
		['access', {type: 'grant', identity, role: 'observer', name: 'shop', topics: []}],
	]);
});

test('access is listed in lines, and revoked by name or by digits', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	expect((await source.run({type: 'access-list'})).lines).toEqual([
		'operator  9f9f9f9f9f9f  alice',
		'client    abababababab    orders.>',
		'',
		'Everyone else who has the secret: no access',
		'You: 9f9f9f9f9f9f, role operator (you run this node)',
	]);
	expect(await source.run({type: 'access-revoke', name: 'Alice'})).toMatchObject({ok: true});
	expect(await source.run({type: 'access-revoke', name: 'abababab'})).toMatchObject({ok: true});
	expect(await source.run({type: 'access-revoke', name: 'bob'})).toMatchObject({ok: false});
	expect(broker.calls).toEqual(['9f', 'ab'].map(digits => ['access', {type: 'revoke', identity: digits.repeat(32)}]));
});

test('commands become calls, and their results one line', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	expect(await source.run({type: 'publish', topic: 'weather', body: 'grüezi'})).toEqual({
		ok: true,
		text: `Published to weather: #7, 7 B, stored on ${a.slice(0, 8)}`,
	});
	expect(await source.run({type: 'subscribe', topics: ['x', 'y']})).toEqual({ok: true, text: 'Subscribed to x, y'});
	expect(await source.run({type: 'unsubscribe', topics: ['x']})).toEqual({ok: true, text: 'Unsubscribed from x'});
	expect((await source.run({type: 'confirm'})).text).toContain('commit 318');
	expect((await source.run({type: 'fault', fault: {type: 'drop', percent: 5, forMs: 2000}})).text).toBe(
		'Fault is on: drop for 2 s',
	);
	expect(broker.calls).toEqual([
		['publish', 'weather', ['grüezi']],
		['subscribe', 'x'],
		['subscribe', 'y'],
		['unsubscribe', 'x'],
		['fault', {type: 'drop', percent: 5, forMs: 2000}],
	]);
});

test('an error is one clear line, never a rejection', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	broker.failure = new DapssError('no-quorum', 'The subscription could not be agreed.');
	expect(await source.run({type: 'subscribe', topics: ['x']})).toEqual({
		ok: false,
		text: 'Could not subscribe: The subscription could not be agreed (no majority of voters is reachable)',
	});
	broker.failure = new DapssError('refused', 'This node takes no faults: start it with --faults');
	expect((await source.run({type: 'fault', fault: {type: 'heal'}})).text).toBe(
		'Could not fault: This node takes no faults: start it with --faults',
	);
});

test('transfer and removal return one line with the result or the reason of the failure', async () => {
	const broker = new FakeBroker();
	using source = createSource(broker as unknown as Broker);
	expect(await source.run({type: 'transfer', to: undefined})).toEqual({ok: true, text: `${b.slice(0, 8)} leads now`});
	expect(await source.run({type: 'transfer', to: c})).toEqual({ok: true, text: `${c.slice(0, 8)} leads now`});
	expect(await source.run({type: 'remove', node: c})).toEqual({
		ok: true,
		text: `${c.slice(0, 8)} is no longer a member`,
	});
	expect(broker.calls).toEqual([
		['transfer', undefined],
		['transfer', c],
		['remove', c],
	]);
	broker.failure = new DapssError('refused', `Node ${c} is the only voter: without it there is no cluster`);
	expect(await source.run({type: 'remove', node: c})).toEqual({
		ok: false,
		text: `Could not remove: Node ${c} is the only voter: without it there is no cluster`,
	});
});

test('while a broker reconnects, the loss is shown with its reason, then the new node for a while', () => {
	const broker = new FakeBroker();
	let reportLink: (news: LinkNews) => void = () => undefined;
	let nowMs = 0;
	using source = createSource(
		Object.assign(broker, {
			onLink(listener: (news: LinkNews) => void) {
				reportLink = listener;
				return {[Symbol.dispose]: () => undefined};
			},
		}) as unknown as Broker,
		() => [...healthy.members.filter(({self}) => !self).map(({address}) => address), '10.0.0.9:5000'],
		{nowMs: () => nowMs, wallMs: () => Date.parse('2026-11-30T18:02:11')},
	);
	broker.show(healthy);
	expect(source.getState()).toMatchObject({connection: 'connected', detail: ''});
	nowMs = 10;
	broker.show({...healthy, lamport: 900}); // A snapshot that React had not drawn when the node was lost is outdated.
	reportLink({state: 'lost', server: '10.0.0.1:5000', why: 'the connection was lost', retryMs: 1400});
	vi.advanceTimersByTime(500);
	expect(source.getState()).toMatchObject({
		connection: 'lost',
		detail:
			'trying a11de875 (127.0.0.1:5001), 034462a6 (127.0.0.1:5002), 10.0.0.9:5000 since 18:02:11, ' +
			'next in 1.4 s · 10.0.0.1:5000: the connection was lost',
		why: '10.0.0.1:5000: the connection was lost',
	});
	expect(source.getState().snapshot?.lamport).toBe(healthy.lamport);
	nowMs = 2000;
	reportLink({state: 'connected', server: '10.0.0.2:5000'});
	expect(source.getState()).toMatchObject({
		connection: 'lost',
		detail: 'connected to 10.0.0.2:5000, waiting for its snapshot',
	});
	broker.show({...healthy, lamport: 901});
	expect(source.getState()).toMatchObject({connection: 'connected', detail: 'Attached to 10.0.0.2:5000 now'});
	nowMs = 18_000;
	broker.show({...healthy, lamport: 902});
	expect(source.getState()).toMatchObject({connection: 'connected', detail: ''});
});
