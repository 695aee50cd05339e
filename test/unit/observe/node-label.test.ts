import {describe, expect, test} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import {refusalsOf} from '../../../core/node/snapshot-of.ts';
import {nodesOf} from '../../../core/observe/event-nodes.ts';
import {Journal} from '../../../core/observe/journal.ts';
import {membersCalled} from '../../../core/observe/member-named.ts';
import {labelOf, labelsIn, labelsOf, labelsThatFit, refusalReason} from '../../../core/observe/node-label.ts';
import {a, b, c, member} from '../../tui/support/fixtures.ts';

describe('the label of a node', () => {
	test('is its name, else the first digits of its id, made printable', () => {
		expect([labelOf(a, 'n1'), labelOf(a, ''), labelOf(a, undefined), labelOf(a, 'n\u001B[2J')]).toEqual([
			'n1',
			'3f2a91c4',
			'3f2a91c4',
			'n␛[2J',
		]);
		expect(labelsIn({names: {[a]: 'n1'}})(a)).toBe('n1');
		expect([labelsIn({names: {[a]: 'n1'}})('__proto__'), labelsIn({})(a)]).toEqual(['__proto_', '3f2a91c4']);
	});

	test('is the same function while the names are unchanged', () => {
		const label = labelsOf([member(a, {name: 'n1', rttMs: 1}), member(b)]);
		expect(labelsOf([member(a, {name: 'n1', rttMs: 2}), member(b)])).toBe(label);
		expect(labelsOf([member(a, {name: 'n2'}), member(b)])).not.toBe(label);
		expect([label(a), label(b), label(c)]).toEqual(['n1', 'a11de875', '034462a6']);
	});

	test('is cut to the cells available', () => {
		expect([
			labelsThatFit([a, b, c], id => id.slice(0, 8), 22, 3),
			labelsThatFit([a, b, c], id => id.slice(0, 8), 33, 3),
			labelsThatFit([a, b], () => 'x'.repeat(63), 20, 3),
		]).toEqual([2, 3, 1]);
	});
});

describe('a member is found', () => {
	const members = [member(a, {name: '5001'}), member(b, {name: 'n2'}), member(c, {name: a.slice(0, 6)})];
	const called = (name: string): readonly NodeId[] => membersCalled(name, members).map(({id}) => id);

	test('by its exact name first, then its address, its port, the first digits of its id', () => {
		expect(called('5001')).toEqual([a]); // It is the port of b, too.
		expect(called(a.slice(0, 6))).toEqual([c]); // It is the begin of the id of a, too.
		expect([called('n2'), called('N2')]).toEqual([[b], [b]]);
		expect(called('127.0.0.1:5001')).toEqual([b]);
		expect(called('localhost:5001')).toEqual([b]);
		expect(called('5002')).toEqual([c]);
		expect(called(b.slice(0, 4))).toEqual([b]);
	});

	test('but not by a part of a name, nor by three digits', () => {
		for (const name of ['n', '', '500', b.slice(0, 3), '__proto__']) expect(called(name)).toEqual([]);
		expect(membersCalled('n9', [member(a, {name: 'n9'}), member(b, {name: 'n9'})])).toHaveLength(2);
	});
});

test('events carry the names of the nodes that they mention, also of a node that has just left', () => {
	const names = new Map([
		[a, 'n1'],
		[b, 'n2'],
	]);
	const journal = new Journal({
		wallMs: () => 7,
		nameOf: id => names.get(id) ?? '',
		feedMax: 10,
		eventsMax: 10,
		previewBytes: 10,
	});
	journal.record({type: 'leader', term: 2, leader: a, previous: b});
	names.delete(b);
	journal.record({type: 'member', id: b, address: '127.0.0.1:5001', state: 'left'});
	journal.record({type: 'member', id: c, address: '127.0.0.1:5002', state: 'alive'});
	journal.record({type: 'stopped', reason: 'stopped'});
	expect(journal.events().map(event => event.names)).toEqual([
		{[a]: 'n1', [b]: 'n2'},
		{[b]: 'n2'},
		undefined,
		undefined,
	]);
	expect(nodesOf({type: 'partition', state: 'ended', sides: [[a]], gone: [b], quorum: 0, tookMs: 1})).toEqual([a, b]);
	expect(nodesOf({type: 'partition', state: 'healed', sides: [[a], [b, c]], quorum: 0, tookMs: 1})).toEqual([
		a,
		b,
		c,
	]);
	expect(nodesOf({type: 'refused', id: undefined, address: '', code: 'flags', reason: '', by: 'us'})).toEqual([]);
});

test('beacons of other clusters are ignored, not refused', () => {
	expect(
		refusalsOf(
			new Map([['malformed', 1]]),
			new Map([
				['malformed', 2],
				['beacon-foreign', 480],
				['beacon-interface', 20],
				['cluster', 3],
			]),
		),
	).toEqual({
		rejected: {malformed: 3, cluster: 3},
		ignored: {'beacon-foreign': 480, 'beacon-interface': 20},
	});
});

test('the text of a refusal contains the address once', () => {
	expect(refusalReason({address: '10.0.0.7:4', reason: 'peer 10.0.0.7:4 has another secret than this node'})).toBe(
		'has another secret than this node',
	);
	expect(refusalReason({address: '10.0.0.7:4', reason: 'node x was removed'})).toBe('node x was removed');
});
