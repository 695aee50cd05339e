/**
The validation of saved states with hostile values: each is refused with a reason, and nothing throws.
*/
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {AccessChange, IdentityKey} from '../../../core/access.ts';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command} from '../../../core/cluster-state/command.ts';
import {parseSavedState} from '../../../core/cluster-state/saved-state.ts';
import {decode, encode} from '../../../core/codec.ts';
import type {NodeId, Topic} from '../../../core/message.ts';

const key = '1'.repeat(64) as IdentityKey;
const [a, b] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];

/** A state with something in each field. */
function state(protocol: number): ClusterState {
	const topics = new ClusterState({topicsMax: 10, membersMax: 10});
	let index = 0;
	const apply = (node: NodeId, command: Command): void => {
		index++;
		topics.apply(index, encodeEnvelope({node, incarnation: 1, seq: index, answeredBelow: 1, lamport: 1, command}));
	};

	const founder = encodeContext({clusterId: 'c', protocol, node: a, address: '127.0.0.1:1', name: 'a'});
	topics.applyConfiguration(++index, [a], founder);
	topics.applyConfiguration(++index, [a, b], encodeContext({node: b, address: '127.0.0.1:2'}));
	apply(a, {type: 'subscribe', topic: 'news' as Topic, node: a, since: 7});
	apply(b, {type: 'claim', node: b, incarnation: 2, instance: '00000000000000bb'});
	apply(b, {type: 'create', topic: 'kept' as Topic, node: b, settings: {retainAgeS: 60}, update: false});
	apply(b, {type: 'delete', topic: 'gone' as Topic, node: b, until: 9, force: false});
	const change = (asked: AccessChange): void =>
		apply(a, {type: 'access', node: a, by: undefined, isOwner: true, change: asked});
	change({type: 'grant', identity: key, role: 'client', name: 'billing', topics: ['orders.>']});
	change({type: 'admit', node: b});
	change({type: 'token', hash: key, uses: 3, untilMs: 5000});
	topics.applyConfiguration(++index, [a], new Uint8Array(0));
	return topics;
}

test.each([1, 2, 3, 4])('a state of protocol %i is read back unchanged', protocol => {
	const saved = state(protocol).save();
	const again = new ClusterState({topicsMax: 10, membersMax: 10});
	again.load(saved);
	expect(Buffer.compare(again.save(), saved)).toBe(0);
});

const fields = decode(state(4).save()) as Record<string, unknown>;
const access = fields['access'] as Record<string, unknown>;
const hostile: ReadonlyArray<readonly [field: string, values: readonly unknown[]]> = [
	['version', [undefined, 0, '3', 1.5]],
	['applied', [undefined, -1, 1.5, 2 ** 48, '7']],
	['clusterId', [undefined, 7, 'c'.repeat(65)]],
	['protocol', [0, 65_536, '3']],
	[
		'members',
		[
			undefined,
			{},
			[[a]],
			[[a, 7]],
			[['x', '']],
			[
				[a, ''],
				[a, ''],
			],
			[[a, 'x'.repeat(256)]],
		],
	],
	['removed', [undefined, [[a, -1]], Array.from({length: 4097}, (_, n) => [n.toString(16).padStart(16, '0'), 1])]],
	['topics', [undefined, [['', []]], [['t', [[a, 2 ** 48]]]], [['t', [[a, -1]]]], [['t', 7]]]],
	['sessions', [undefined, [[a, 1, 0]], [[a, 1, 0, [[1, 7]]]], [[a, 1, 0, [[-1, '']]]], [[a, -1, 0, []]]]],
	['names', [[[a, '']], [[a, '\u001b[31m']], {}]],
	['instances', [[[a, 1, 'x']], [[a, -1, '00000000000000aa']], 7]],
	['created', [[['t', {retainAgeS: 0}]], [['t', 7]]]],
	['deleted', [[['t', 2 ** 48]], [[7, 1]]]],
	[
		'access',
		[
			7,
			{},
			{...access, defaultRole: 'admin'},
			{...access, grants: [['x', 'client', '', []]]},
			{...access, grants: [[key, 'none', '', []]]},
			{...access, grants: [[key, 'client', '\u001b[31m', []]]},
			{...access, admitted: ['x']},
			{...access, tokens: [[key, 0, 1]]},
		],
	],
];

test.each(hostile.flatMap(([field, values]) => values.map(value => [field, value] as const)))(
	'a state with the wrong %s is refused: %j',
	(field, value) => {
		const parsed = parseSavedState(encode({...fields, [field]: value}));
		expect('problem' in parsed && parsed.problem).toContain(field === 'version' ? 'version' : `\`${field}\``);
	},
);

test('a state of a newer format is refused with both formats', () => {
	expect(parseSavedState(encode({...fields, version: 5}))).toEqual({
		problem: 'format 5, this program reads up to 4',
	});
});

test('any bytes, and any flipped bit of a state, are read or refused', () => {
	const saved = state(4).save();
	fc.assert(fc.property(fc.uint8Array({maxLength: 200}), bytes => void parseSavedState(bytes)));
	for (let bit = 0; bit < saved.length * 8; bit++) {
		const bytes = Buffer.from(saved);
		bytes[bit >> 3]! ^= 1 << (bit & 7);
		const parsed = parseSavedState(bytes);
		const topics = new ClusterState({topicsMax: 10, membersMax: 10});
		if (!('problem' in parsed)) topics.load(bytes);
	}
});
