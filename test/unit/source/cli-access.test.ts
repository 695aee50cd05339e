import {expect, test} from 'vitest';
import type {Grant, IdentityKey} from '../../../core/access.ts';
import type {FakeBroker} from '../../support/fakes.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();
const bob: Grant = {identity: 'b'.repeat(64) as IdentityKey, role: 'client', name: 'bob', topics: ['orders.>']};

function withBob(): FakeBroker {
	const broker = healthy();
	broker.accessValue = {...broker.accessValue, grants: [bob]};
	return broker;
}

test.each([
	['keeps the patterns of a client that only gets another name', 'bob client robert', {name: 'robert'}],
	['replaces them with --only', 'bob client --only wages,orders.*', {topics: ['wages', 'orders.*']}],
	['takes them from an operator, who needs none', 'bbbbbbbb operator', {role: 'operator', topics: []}],
	['gives a new client all topics', `${'c'.repeat(64)} client`, {identity: 'c'.repeat(64), name: '', topics: []}],
])('access add %s', async (_name, given, changed) => {
	const broker = withBob();
	expect((await dapss(`access add ${given}`, {broker})).code).toBe(0);
	expect(broker.accessChanges).toEqual([{type: 'grant', ...bob, ...changed}]);
});

test.each([
	['--uses 0', 'Expected --uses to be a whole number from 1 to 1024, got "0"'],
	['--uses many', 'Expected --uses to be a whole number from 1 to 1024, got "many"'],
	['--expires soon', 'Expected --expires to be a time such as 500ms, 10s or 1m, at most 8760h, got "soon"'],
	['--expires 9999d', 'Expected --expires to be a time such as 500ms, 10s or 1m, at most 8760h, got "9999d"'],
])('access token %s is refused, and makes no token', async (flags, text) => {
	const broker = withBob();
	expect(await dapss(`access token ${flags}`, {broker})).toMatchObject({
		code: 2,
		err: expect.stringContaining(text) as string,
	});
	expect(broker.accessChanges).toEqual([]);
});

test.each(['revoke nobody', 'add nobody client', 'withdraw join-x'])(
	'access %s names what is expected',
	async given => {
		const broker = withBob();
		expect(await dapss(`access ${given}`, {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('in `access list`') as string,
		});
		expect(broker.accessChanges).toEqual([]);
	},
);
