/**
docs/troubleshooting.md has every message of `check`, with its words; a new message without an entry fails here. The
messages of `doctor`: doctor.test.ts.
*/
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import type {KeyId} from '../../../core/cluster-keys.ts';
import type {Cause} from '../../../core/membership/reachability.ts';
import {connectionQuotas} from '../../../core/io/net/connection-quotas.ts';
import {findingReasons, type FindingReason} from '../../../core/observe/finding-reasons.ts';
import {limitWords} from '../../../core/observe/limit-text.ts';
import {findingsOf} from '../../../core/observe/findings.ts';
import type {CutSnapshot, KeysSnapshot, MemberSnapshot, Snapshot} from '../../../core/snapshot.ts';
import {a, b, c, healthy, member} from '../../tui/support/fixtures.ts';
import {isMatch, rowsOf} from './troubleshooting-page.ts';

const withMember = (changes: Partial<MemberSnapshot>): Snapshot => ({
	...healthy,
	members: [healthy.members[0]!, healthy.members[1]!, member(c, changes)],
});
const withCut = (what: CutSnapshot['what']): Snapshot => ({
	...healthy,
	cuts: [{between: [a, c], what, blamed: [c], via: undefined, forMs: 4000}],
});
const withRaft = (raft: Partial<Snapshot['raft']>): Snapshot => ({...healthy, raft: {...healthy.raft, ...raft}});
const withPartition = (partition: Partial<Snapshot['partition']>): Snapshot => ({
	...healthy,
	partition: {...healthy.partition, state: 'partitioned', sides: [[a, b], [c]], quorum: 0, ...partition},
});
const withBound = (name: string): Snapshot => ({...healthy, counters: {...healthy.counters, bounds: {[name]: 3}}});
const [oneKey, otherKey] = ['1a2b3c4d5e6f7081', '9f8e7d6c5b4a3921'] as [KeyId, KeyId];
const withKeys = (keys: Partial<KeysSnapshot>): Snapshot => ({
	...healthy,
	keys: {active: oneKey, valid: [oneKey], file: 'current', secretFile: '/etc/dapss.secret', wrong: [], ...keys},
});
const gone = {reached: false, why: 'no answer for 5 s', downMs: 5000};

type Sample = readonly [snapshot: Snapshot, confirmed?: 'no-quorum' | 'timeout'];
/** A snapshot for each reason. */
const samples: Readonly<Record<FindingReason, Sample>> = {
	'no-quorum': [withRaft({quorum: 'lost', hasQuorum: false, reachableVoters: 1})],
	'no-log': [{...healthy, members: [], raft: {...healthy.raft, voters: [], learners: []}}],
	electing: [withRaft({quorum: 'electing', hasQuorum: false, leader: undefined})],
	'quorum-regained': [healthy, 'no-quorum'],
	unconfirmed: [healthy, 'timeout'],
	'no-spare-voter': [withMember({state: 'unreachable', ...gone})],
	'catching-up': [withRaft({applied: 300})],
	'two-clusters': [
		{...healthy, foreign: [{clusterId: 'ffff0000ffff0000', address: '10.0.0.9:5000', heardMsAgo: 300}]},
	],
	'two-processes': [
		{...healthy, duplicates: [{id: b, address: '127.0.0.1:5001', other: '127.0.0.1:5009', msAgo: 100}]},
	],
	'tcp-blocked': [withCut('tcp')],
	'udp-blocked': [withCut('udp')],
	'cut-off': [withCut('all')],
	stopped: [withMember({state: 'left', ...gone})],
	degraded: [withMember({state: 'degraded', why: 'follows no leader for 3 s', cause: 'leaderless'})],
	suspect: [withMember({state: 'suspect', ...gone})],
	unreachable: [withMember({state: 'unreachable', ...gone})],
	down: [withMember({state: 'down', ...gone})],
	silent: [withPartition({isFarHeard: false, quorum: -1})],
	partitioned: [withPartition({})],
	repairing: [withPartition({state: 'repairing'})],
	'not-running': [{...healthy, phase: 'joining', detail: 'waiting for 10.0.0.9:5000 to answer'}],
	promoting: [{...healthy, raft: {...healthy.raft, isPromoting: true}}],
	subscribing: [{...healthy, gossip: {...healthy.gossip, unsubscribed: 1}}],
	comparing: [{...healthy, gossip: {...healthy.gossip, unsynced: 1}}],
	copying: [{...healthy, gossip: {...healthy.gossip, missing: 5000}}],
	'disk-full': [
		{
			...healthy,
			fullDisk: 'The disk of /data is full: no new messages are stored, stored messages can be read',
		},
	],
	'left-behind': [{...healthy, counters: {...healthy.counters, rejected: {'call-cluster': 3}}}],
	'secret-outdated': [withKeys({file: 'outdated'})],
	'removed-key': [withKeys({wrong: [{key: otherKey, state: 'removed', address: '10.0.0.9:41000', msAgo: 5}]})],
	'unknown-key': [withKeys({wrong: [{key: otherKey, state: 'unknown', address: '127.0.0.1:41000', msAgo: 5}]})],
	faults: [{...healthy, faults: ['delay 200 ms']}],
	insecure: [{...healthy, insecure: ['encryption']}],
	'messages-lost': [{...healthy, topics: healthy.topics.map(topic => ({...topic, missing: 2}))}],
	'topics-full': [{...healthy, topicSlots: {used: 16, max: 16}}],
	'bound-topics': [withBound('topics')],
	'bound-connections': [withBound('connections')],
	'bound-disk': [withBound('disk')],
	'bound-open-files': [withBound('open-files')],
	bounds: [withBound('out-queue')],
};

describe('the page', () => {
	test('has every reason of the code with its verdicts, and no other', () => {
		expect(Object.fromEntries(rowsOf('check').map(({name, cells}) => [name, cells[0]!.split(', ')]))).toEqual(
			findingReasons,
		);
	});

	test.each(Object.entries(samples) as Array<[FindingReason, Sample]>)(
		'has for %s the text of check',
		(reason, [snapshot, confirmed]) => {
			const finding = findingsOf(snapshot, {
				confirmed: confirmed ?? snapshot.raft.commit,
				command: 'dapss-tui ',
			}).find(one => one.reason === reason);
			const row = rowsOf('check').find(({name}) => name === reason)!;
			expect(findingReasons[reason] as readonly string[]).toContain(finding?.code);
			expect({
				words: row.cells[1],
				problem: finding!.problem,
				isMatch: isMatch(row.cells[1]!, finding!.problem),
			}).toMatchObject({isMatch: true});
		},
	);

	test('has every cause of a degraded member', () => {
		// The type checker compares this list with the causes. A cause that is a state of its own is no degradation.
		const isDegraded: Readonly<Record<Exclude<Cause, ''>, boolean>> = {
			uncalled: true,
			tcp: true,
			udp: true,
			cut: true,
			unlinked: true,
			'not-authenticated': true,
			protocol: true,
			flags: true,
			cluster: true,
			identity: true,
			'disk-full': true,
			leaderless: true,
			behind: true,
			left: false,
			down: false,
			unreachable: false,
			suspect: false,
			returning: false,
		};
		expect(
			rowsOf('Why a member is degraded')
				.map(({name}) => name)
				.toSorted(),
		).toEqual(
			Object.entries(isDegraded)
				.filter(([, is]) => is)
				.map(([cause]) => cause)
				.toSorted(),
		);
	});

	test('has every bound that is counted', () => {
		const core = join(import.meta.dirname, '../../../core');
		const names = readdirSync(core, {recursive: true, encoding: 'utf8'})
			.filter(file => file.endsWith('.ts'))
			.flatMap(file =>
				[...readFileSync(join(core, file), 'utf8').matchAll(/\bbound\('([\w-]+)'[,)]/gu)].map(
					match => match[1]!,
				),
			);
		expect(names.length).toBeGreaterThan(5);
		expect(rowsOf('Bounds that may be hit').map(({name}) => name)).toEqual(
			[...new Set([...names, ...connectionQuotas])].toSorted(),
		);
		expect(Object.keys(limitWords).toSorted()).toEqual([...new Set([...names, ...connectionQuotas])].toSorted());
	});
});

test('a cell matches its own words only, and `…` matches any text', () => {
	expect([
		isMatch('a … (…) is gone', 'a b (c) is gone'),
		isMatch('a … gone', 'a bone'),
		isMatch('a.c', 'abc'),
		isMatch('', 'x'),
	]).toEqual([true, false, false, false]);
});
