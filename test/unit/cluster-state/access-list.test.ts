import {describe, expect, test} from 'vitest';
import type {AccessChange, IdentityKey} from '../../../core/access.ts';
import {grantsMax} from '../../../core/cluster-state/access-list.ts';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope} from '../../../core/cluster-state/command.ts';
import type {NodeId} from '../../../core/message.ts';

const node = 'aaaaaaaaaaaaaaaa' as NodeId;
const key = (digit: string): IdentityKey => digit.repeat(64) as IdentityKey;
const founder = key('f');
const bounds = {topicsMax: 8, membersMax: 8};

function founded({
	operator,
	protocol = 4,
}: {
	readonly operator?: IdentityKey;
	readonly protocol?: number;
}): ClusterState {
	const state = new ClusterState(bounds);
	state.applyConfiguration(
		1,
		[node],
		encodeContext({clusterId: 'c1', node, address: '127.0.0.1:5000', protocol, ...(operator && {operator})}),
	);
	return state;
}

let seq = 0;
function change(state: ClusterState, asked: AccessChange): ReturnType<ClusterState['apply']> {
	seq++;
	return state.apply(
		seq + 1,
		encodeEnvelope({
			node,
			incarnation: 1,
			seq,
			answeredBelow: 1,
			lamport: 1,
			command: {type: 'access', node, by: founder, change: asked},
		}),
	);
}

const grant = (
	identity: IdentityKey,
	role: 'observer' | 'client' | 'operator',
	{name = '', topics = []}: {readonly name?: string; readonly topics?: readonly string[]} = {},
): AccessChange => ({type: 'grant', identity, role, name, topics});

describe('the access list', () => {
	test('has the founder as operator, and gives everyone else the role client', () => {
		const {access} = founded({operator: founder});
		expect(access.of(founder).role).toBe('operator');
		expect([access.of(key('1')).role, access.of(undefined).role]).toEqual(['client', 'client']);
	});

	test('gives everyone the role operator in a cluster without a founder, as such a cluster always did', () => {
		const {access} = founded({});
		expect([access.of(key('1')).role, access.of(undefined).role]).toEqual(['operator', 'operator']);
	});

	test('reports a grant with its author, and takes it back', () => {
		const state = founded({operator: founder});
		const {result, events} = change(state, grant(key('1'), 'client', {name: 'billing', topics: ['orders.>']}));
		expect(result).toEqual({ok: true});
		expect(events).toEqual([
			{
				type: 'granted',
				identity: key('1'),
				role: 'client',
				name: 'billing',
				topics: ['orders.>'],
				node,
				by: founder,
			},
		]);
		expect(state.access.of(key('1'))).toMatchObject({role: 'client', topics: ['orders.>']});
		expect(change(state, {type: 'revoke', identity: key('1')}).events).toEqual([
			{type: 'revoked', identity: key('1'), name: 'billing', node, by: founder},
		]);
		expect(state.access.of(key('1'))).toEqual({role: 'client', topics: []});
	});

	test.each([
		['takes the grant of the last operator', {type: 'revoke', identity: founder}],
		['lowers the role of the last operator', grant(founder, 'client')],
	] as const)('refuses a change that %s', (_name, asked) => {
		const state = founded({operator: founder});
		expect(change(state, asked).result).toEqual({
			ok: false,
			reason: 'the cluster would have no operator: give another identity the role operator first',
		});
		expect(state.access.of(founder).role).toBe('operator');
	});

	test('closes an open cluster only once it has an operator', () => {
		const state = founded({});
		expect(change(state, {type: 'default', role: 'client'}).result.ok).toBe(false);
		change(state, grant(key('1'), 'operator'));
		expect(change(state, {type: 'default', role: 'none'}).result).toEqual({ok: true});
		expect([state.access.of(undefined).role, state.access.of(key('1')).role]).toEqual(['none', 'operator']);
	});

	test('refuses a name that another identity has, ignoring case', () => {
		const state = founded({operator: founder});
		change(state, grant(key('1'), 'client', {name: 'Billing'}));
		expect(change(state, grant(key('2'), 'client', {name: 'billing'})).result).toEqual({
			ok: false,
			reason: `the name billing belongs to the identity ${key('1')}`,
		});
	});

	test('refuses one grant more than its limit', () => {
		const state = founded({operator: founder});
		for (let index = 1; index < grantsMax; index++)
			change(state, grant(index.toString(16).padStart(64, '0') as IdentityKey, 'observer'));
		expect(change(state, grant(key('e'), 'observer')).result).toEqual({
			ok: false,
			reason: `Expected at most ${grantsMax} identities with access, got one more`,
		});
	});

	test('is part of a snapshot', () => {
		const state = founded({operator: founder});
		change(state, grant(key('1'), 'client', {name: 'billing', topics: ['orders.>']}));
		change(state, {type: 'default', role: 'observer'});
		const loaded = new ClusterState(bounds);
		loaded.load(state.save());
		expect(loaded.access.grants).toEqual(state.access.grants);
		expect(loaded.access.defaultRole).toBe('observer');
		expect(loaded.save()).toEqual(state.save());
	});

	test('does not change before all members have agreed on protocol 4, and saves the bytes of version 3 until then', () => {
		const state = founded({operator: founder, protocol: 3});
		const before = state.save();
		const {result} = change(state, grant(key('1'), 'client'));
		expect(result).toEqual({ok: false, reason: 'Expected a command of protocol 3, got one of protocol 4'});
		expect(state.access.grants).toEqual([]);
		const old = new ClusterState(bounds);
		old.load(before);
		expect(old.access.defaultRole).toBe('operator');
	});

	test.each([
		['an identity of another length', {...grant(key('1'), 'client'), identity: 'abc'}],
		['an unknown role', {...grant(key('1'), 'client'), role: 'admin'}],
		['a name that looks like an id', grant(key('1'), 'client', {name: 'abcdef'})],
		['a pattern with > in the middle', grant(key('1'), 'client', {topics: ['a.>.b']})],
		['patterns for an operator', grant(key('1'), 'operator', {topics: ['a']})],
		['65 patterns', grant(key('1'), 'client', {topics: Array.from({length: 65}, (_, index) => `t${index}`)})],
		['an unknown change', {type: 'grant-all'}],
	] as const)('applies %s as nothing, on every node alike', (_name, asked) => {
		const state = founded({operator: founder});
		const {envelope, events} = change(state, asked as unknown as AccessChange);
		expect([envelope, events]).toEqual([undefined, []]);
	});
});
