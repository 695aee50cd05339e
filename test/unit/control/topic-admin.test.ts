/** Topics that an operator creates and deletes: the questions to other members, and the wait for their answers. */
import {describe, expect, test} from 'vitest';
import type {Command} from '../../../core/cluster-state/command.ts';
import type {Control} from '../../../core/control/control.ts';
import {DesiredSubscriptions} from '../../../core/control/desired-subscriptions.ts';
import {TopicAdmin} from '../../../core/control/topic-admin.ts';
import type {Data} from '../../../core/data/data.ts';
import {Lamport} from '../../../core/lamport.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {encodeControl} from '../../../core/wire/wire.ts';
import {agreedState} from './support/agreed-state.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const c = 'cccccccccccccccc' as NodeId;
const news = 'news' as Topic;

/** Node `a` of three, and the packets that it sends. */
function setUp(protocol = 3) {
	const {state: topics, agree: apply} = agreedState([a, b, c], protocol);

	const lamport = new Lamport(0, 2 ** 40);
	const sent: Array<{readonly to: NodeId; readonly kind: string; readonly packet: Record<string, unknown>}> = [];
	const stored = new Map<Topic, {readonly messages: number}>();
	const reachable = new Set<NodeId>([b, c]);
	const proposed: Command[] = [];
	let nowMs = 0;
	const desired = new DesiredSubscriptions({
		self: a,
		state: topics,
		latest: async () => 0,
		propose: async () => undefined,
		former: [[news, 5]],
		given: new Set(),
	});
	const admin = new TopicAdmin({
		self: a,
		lamport,
		lamportJumpMax: 2 ** 40,
		desired,
		awakeMs: () => nowMs,
		label: node => node.slice(0, 1),
		isReachable: node => reachable.has(node),
		control: {state: topics} as unknown as Control,
		data: {
			topics: stored,
			table: {reserve: () => ({[Symbol.dispose]: () => undefined})},
			setDeletions: (deletions: ReadonlyMap<Topic, number>) => [...deletions],
		} as unknown as Data,
		stateWriter: {save: async () => undefined},
		async propose(command) {
			proposed.push(command);
			apply(command);
		},
		send: (to, kind, packet) => sent.push({to, kind, packet: packet as Record<string, unknown>}) > 0,
	});
	const answer = (
		from: NodeId,
		rest: {readonly lamport: number; readonly messages: number; readonly until: number},
	): boolean => {
		const {packet} = sent.findLast(({to}) => to === from)!;
		return admin.onAnswer(from, encodeControl('managed', {look: packet['look'], ...rest}));
	};

	return {
		topics,
		stored,
		apply,
		lamport,
		sent,
		reachable,
		proposed,
		desired,
		admin,
		answer,
		advance(ms: number) {
			nowMs += ms;
			admin.tick();
		},
	};
}

const turn = (): Promise<void> => new Promise(setImmediate);

describe('a deletion', () => {
	test('is later than all stamps of the reachable members, and resolves when they have applied it', async () => {
		const {apply, proposed, answer, admin, advance, lamport} = setUp();
		apply({type: 'create', topic: news, node: a, settings: {}, update: false});
		let done: unknown;
		const work = admin.delete(news, false).then(value => (done = value));
		answer(b, {lamport: 5000, messages: 7, until: 0});
		await turn();
		expect(proposed).toEqual([]);
		answer(c, {lamport: 90, messages: 3, until: 0});
		await turn();
		expect(proposed).toMatchObject([{type: 'delete', topic: news, force: false}]);
		const {until} = proposed[0] as Extract<Command, {type: 'delete'}>;
		expect([until, lamport.now]).toEqual([5000 + 2 ** 24, 5000]);
		answer(b, {lamport: until, messages: 0, until});
		answer(c, {lamport: 91, messages: 3, until: 0});
		await turn();
		advance(25);
		await turn();
		expect(done).toBeUndefined();
		answer(b, {lamport: until, messages: 0, until});
		answer(c, {lamport: until, messages: 0, until});
		await work;
		expect(done).toEqual({messages: 7, missing: []});
	});

	test('does not wait for members that become unreachable or do not answer, and names them', async () => {
		const {apply, reachable, answer, admin, advance, proposed} = setUp();
		apply({type: 'create', topic: news, node: a, settings: {}, update: false});
		reachable.delete(c);
		const work = admin.delete(news, false);
		advance(2000);
		await turn();
		expect(proposed.length).toBe(1);
		reachable.delete(b);
		advance(25);
		await expect(work).resolves.toEqual({messages: 0, missing: [b, c]});
		expect(answer(b, {lamport: 1, messages: 0, until: 0})).toBe(true);
	});

	test('is refused with the names of the subscribers, and for a topic that no member has', async () => {
		const {apply, answer, admin, proposed} = setUp();
		apply({type: 'subscribe', topic: news, node: b, since: 0});
		await expect(admin.delete(news, false)).rejects.toMatchObject({
			code: 'refused',
			message: 'The topic news has subscribers: b. Let them unsubscribe, or delete it nonetheless with --force',
		});
		for (const force of [false, true]) {
			const unknown = admin.delete('nwes' as Topic, force);
			for (const node of [b, c]) answer(node, {lamport: 1, messages: 0, until: 0});
			await expect(unknown).rejects.toMatchObject({
				code: 'usage',
				message: 'Expected a topic of this cluster, got "nwes": no member has it',
			});
		}

		expect(proposed).toEqual([]);
	});

	test('is refused if only unreachable members may have the topic, with their names; force deletes it', async () => {
		const {answer, admin, advance, reachable, proposed} = setUp();
		reachable.delete(c);
		const refused = admin.delete(news, false);
		answer(b, {lamport: 1, messages: 0, until: 0});
		await expect(refused).rejects.toMatchObject({
			code: 'usage',
			message:
				'Expected a topic of this cluster, got "news": no member that can be reached has it. ' +
				'Away is c, which may have it: to delete it there too, use --force',
		});
		// A member that does not answer counts as unreachable.
		const silent = admin.delete(news, false);
		advance(2000);
		await expect(silent).rejects.toMatchObject({
			message: expect.stringContaining('Away are b, c, which may have it') as string,
		});
		expect(proposed).toEqual([]);
		reachable.delete(b);
		await expect(admin.delete(news, true)).resolves.toEqual({messages: 0, missing: [b, c]});
		expect(proposed).toMatchObject([{type: 'delete', topic: news, force: true}]);
	});

	test('accepts a name that an earlier version accepted and this node has stored', async () => {
		const {admin, advance, proposed, reachable, stored} = setUp();
		reachable.clear();
		const former = '\u200B' as Topic;
		await expect(admin.delete(former, true)).rejects.toMatchObject({
			code: 'usage',
			message: expect.stringContaining('a visible character') as string,
		});
		stored.set(former, {messages: 2});
		const work = admin.delete(former, false);
		advance(25);
		await expect(work).resolves.toEqual({messages: 2, missing: [b, c]});
		expect(proposed).toMatchObject([{type: 'delete', topic: former}]);
	});

	test('ends own earlier subscriptions, but neither later ones nor those in the settings', () => {
		const {apply, admin, desired} = setUp();
		desired.own.add(news);
		apply({type: 'delete', topic: news, node: b, until: 100, force: true});
		admin.agreed();
		expect([...desired.own]).toEqual([]);
		desired.own.add(news);
		apply({type: 'subscribe', topic: news, node: a, since: 0});
		desired.agreed();
		apply({type: 'delete', topic: news, node: b, until: 50, force: true});
		admin.agreed();
		expect([...desired.own]).toEqual([news]);
	});
});

test('no command is proposed while a member may not support it; questions are answered', async () => {
	const {admin, sent, proposed} = setUp(2);
	for (const work of [admin.create(news, {}, false), admin.delete(news, true)])
		await expect(work).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringMatching(/protocol 3\); this cluster uses protocol 2\. `peers` shows/) as string,
		});
	expect([sent, proposed]).toEqual([[], []]);
	expect(admin.onQuestion(b, encodeControl('manage', {look: 4, topic: news}))).toBe(true);
	expect(sent).toEqual([{to: b, kind: 'managed', packet: {look: 4, lamport: 0, messages: 0, until: 0}}]);
	for (const frame of [{look: 4}, {seq: 4, type: 'remove', node: c}, {look: -1, topic: news}])
		expect(admin.onQuestion(b, encodeControl('manage', frame))).toBe(false);
	expect(admin.onAnswer(b, encodeControl('managed', {seq: 1}))).toBe(false);
});

test('--update creates no topic that no member has, and creates one that has subscribers or messages', async () => {
	const {admin, answer, apply, advance, proposed, reachable, topics} = setUp();
	const unknown = admin.create('nwes' as Topic, {retainAgeS: 60}, true);
	for (const node of [b, c]) answer(node, {lamport: 1, messages: 0, until: 0});
	await expect(unknown).rejects.toMatchObject({
		code: 'usage',
		message:
			'Expected a topic that exists, for --update, got "nwes": no member has it. Without --update it is created',
	});
	reachable.delete(c);
	const away = admin.create(news, {retainAgeS: 60}, true);
	answer(b, {lamport: 1, messages: 0, until: 0});
	await expect(away).rejects.toMatchObject({
		code: 'usage',
		message:
			'Expected a topic that exists, for --update, got "news": no member that can be reached has it (away: ' +
			'c). Without --update it is created',
	});
	expect(proposed).toEqual([]);
	const stored = admin.create(news, {retainAgeS: 60}, true);
	answer(b, {lamport: 1, messages: 2, until: 0});
	await expect(stored).resolves.toBe('created');
	const subscribed = 'subscribed' as Topic;
	apply({type: 'subscribe', topic: subscribed, node: b, since: 0});
	const wanted = admin.create(subscribed, {}, true);
	advance(2000);
	await expect(wanted).resolves.toBe('created');
	expect([topics.settings(news), topics.settings(subscribed)]).toEqual([{retainAgeS: 60}, {}]);
});

test('a topic with other settings does not change without --update, and settings are bounded', async () => {
	const {admin, topics} = setUp();
	await expect(admin.create(news, {retainAgeS: 60}, false)).resolves.toBe('created');
	await expect(admin.create(news, {retainAgeS: 60}, false)).resolves.toBe('unchanged');
	await expect(admin.create(news, {}, false)).rejects.toMatchObject({
		code: 'refused',
		message: 'The topic news exists and keeps 1 min: to keep as configured on each node instead, use --update',
	});
	await expect(admin.create(news, {retainBytes: 4096}, false)).rejects.toMatchObject({
		code: 'refused',
		message:
			'The topic news exists and keeps 1 min: to keep 4.0 KiB instead, use --update; ' +
			'settings that are not named (--retain-age) return to the configuration of each node',
	});
	await expect(admin.create(news, {retainAgeS: 5, retainBytes: 4096}, false)).rejects.toMatchObject({
		message: expect.stringMatching(/use --update$/) as string,
	});
	await expect(admin.create(news, {retainBytes: 4096}, true)).resolves.toBe('changed');
	expect(topics.settings(news)).toEqual({retainBytes: 4096});
	await expect(admin.create(news, {retainBytes: 5}, true)).rejects.toMatchObject({
		code: 'usage',
		message: 'Expected retainBytes to be whole bytes, 4 KiB to 1 PiB, got 5',
	});
	await expect(admin.create(news, {retainAgeS: 0.5}, true)).rejects.toMatchObject({
		code: 'usage',
		message: 'Expected retainAgeS to be whole seconds, 1s to 3650d, got 0.5',
	});
	await expect(admin.create('a*' as Topic, {}, false)).rejects.toMatchObject({code: 'usage'});
});

describe('the Lamport time at which a subscription from now on starts', () => {
	test('is the latest of all members; concurrent callers share the next round', async () => {
		const {admin, answer, lamport, sent} = setUp();
		const first = admin.latest(news);
		await turn();
		const [second, third] = [admin.latest(news), admin.latest('orders' as Topic)];
		expect(third).toBe(second);
		expect(sent.length).toBe(2);
		answer(b, {lamport: 70_000, messages: 0, until: 0});
		answer(c, {lamport: 3, messages: 0, until: 0});
		await expect(first).resolves.toBe(70_000);
		expect(lamport.now).toBe(70_000);
		await turn();
		expect(sent.length).toBe(4);
		for (const node of [b, c]) answer(node, {lamport: 80_000, messages: 0, until: 0});
		await expect(second).resolves.toBe(80_000);
	});

	test('does not wait for an unreachable member, and has a deadline for others', async () => {
		const {admin, answer, advance, reachable} = setUp();
		reachable.delete(c);
		const asked = admin.latest(news);
		await turn();
		answer(b, {lamport: 9, messages: 0, until: 0});
		await expect(asked).resolves.toBe(9);
		const silent = admin.latest(news);
		await turn();
		advance(2000);
		await expect(silent).resolves.toBe(9);
	});
});
