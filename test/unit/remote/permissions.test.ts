import {describe, expect, test} from 'vitest';
import type {Access, IdentityKey, Role} from '../../../core/access.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {publishRefusal, readsAllTopics, requestRefusal, type Caller} from '../../../core/remote/permissions.ts';
import type {Request} from '../../../core/remote/protocol.ts';

const identity = '1'.repeat(64) as IdentityKey;
const caller: Caller = {identity, isLocal: false, isReadonly: false, address: '10.0.0.9:40000'};
const accessOf = (role: Role, rest: Partial<Access> = {}): Access => ({role, topics: [], isReadonly: false, ...rest});
const orders = 'orders' as Topic;
const node = 'aaaaaaaaaaaaaaaa' as NodeId;

const reading: readonly Request[] = [
	{id: 1, op: 'snapshot'},
	{id: 1, op: 'watch'},
	{id: 1, op: 'events', messages: false},
	{id: 1, op: 'read-index'},
	{id: 1, op: 'access'},
];
const changing: readonly Request[] = [
	{id: 1, op: 'subscribe-node', topic: orders},
	{id: 1, op: 'unsubscribe-node', topic: orders},
	{id: 1, op: 'create-topic', topic: orders, settings: {}, update: false},
	{id: 1, op: 'delete-topic', topic: orders, force: false},
	{id: 1, op: 'change-access', change: {type: 'default', role: 'operator'}},
	{id: 1, op: 'transfer'},
	{id: 1, op: 'remove', node},
	{id: 1, op: 'leave'},
	{id: 1, op: 'fault', command: {type: 'heal'}},
];
const subscribe: Request = {id: 1, op: 'subscribe', topics: [orders], from: 'now', credit: 1};
const messages: Request = {id: 1, op: 'events', messages: true};
const codeOf = (access: Access, request: Request): string | undefined => requestRefusal(access, request, caller)?.code;

describe('the roles', () => {
	test.each(reading)('$op is for every role, and not without one', request => {
		for (const role of ['observer', 'client', 'operator'] as const)
			expect(codeOf(accessOf(role), request)).toBeUndefined();
		expect(codeOf(accessOf('none'), request)).toBe('not-authorized');
	});

	test.each(changing)('$op is for operators', request => {
		expect(codeOf(accessOf('operator'), request)).toBeUndefined();
		for (const role of ['none', 'observer', 'client'] as const)
			expect(codeOf(accessOf(role), request)).toBe('not-authorized');
	});

	test('reading and publishing messages are for clients and operators', () => {
		for (const role of ['client', 'operator'] as const) {
			expect(codeOf(accessOf(role), subscribe)).toBeUndefined();
			expect(codeOf(accessOf(role), messages)).toBeUndefined();
			expect(publishRefusal(accessOf(role), orders, caller)).toBeUndefined();
		}

		for (const role of ['none', 'observer'] as const) {
			expect(codeOf(accessOf(role), subscribe)).toBe('not-authorized');
			expect(codeOf(accessOf(role), messages)).toBe('not-authorized');
			expect(publishRefusal(accessOf(role), orders, caller)?.code).toBe('not-authorized');
			expect(readsAllTopics(accessOf(role))).toBe(false);
		}
	});

	test('a client with patterns uses matching topics only, and no feed of all topics', () => {
		const access = accessOf('client', {topics: ['orders.>']});
		const subscribeTo = (topics: readonly string[]): Request => ({...subscribe, topics: topics as Topic[]});
		expect(codeOf(access, subscribeTo(['orders.eu']))).toBeUndefined();
		expect(codeOf(access, subscribeTo(['orders.eu', 'wages']))).toBe('not-authorized');
		expect(publishRefusal(access, 'orders.eu', caller)).toBeUndefined();
		expect(publishRefusal(access, 'wages', caller)?.message).toBe(
			`The identity ${identity} may use the topics orders.>, not wages: ask an operator for access`,
		);
		expect(codeOf(access, messages)).toBe('not-authorized');
		expect(readsAllTopics(access)).toBe(false);
	});

	test('a read-only connection of an operator reads, and changes nothing', () => {
		const access = accessOf('operator', {isReadonly: true});
		for (const request of [...reading, subscribe, messages]) expect(codeOf(access, request)).toBeUndefined();
		for (const request of changing) expect(codeOf(access, request)).toBe('not-authorized');
		expect(publishRefusal(access, orders, caller)?.code).toBe('not-authorized');
	});

	test('a refusal names the role, the identity, and the command of an operator', () => {
		expect(requestRefusal(accessOf('client'), {id: 1, op: 'leave'}, caller)?.message).toBe(
			`The request to leave the cluster needs the role operator, the identity ${identity} has client. ` +
				`Ask an operator to run: dapss-tui access add ${identity} operator`,
		);
		expect(
			requestRefusal(accessOf('client'), {id: 1, op: 'leave'}, {...caller, identity: undefined})?.message,
		).toBe(
			'The request to leave the cluster needs the role operator, a connection without an identity has client. ' +
				'Connect with an identity file (identity_file) that an operator gave access',
		);
	});
});
