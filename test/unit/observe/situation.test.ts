/** The sentences about incidents, each as an operator reads them. */
import {describe, expect, test} from 'vitest';
import {widthOf} from '../../../core/observe/printable.ts';
import {pastSituation} from '../../../core/observe/situation-past.ts';
import {situationOf} from '../../../core/observe/situation.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {atMs, healthy, hostile, hostileTexts, joining, largeCluster, member} from '../../tui/support/fixtures.ts';
import * as incidents from '../../tui/support/incidents.ts';

/** The statements as `title: text`. */
function read(snapshot: Snapshot, command = ':'): readonly string[] {
	return situationOf(snapshot, command)?.statements.map(({about, text}) => `${about}: ${text}`) ?? [];
}

const heading = (snapshot: Snapshot): string => {
	const {headings, since} = situationOf(snapshot, ':')!;
	return `${headings.join(' · ')} ${since}`.trimEnd();
};

test('nothing is wrong in a healthy cluster, small or large', () => {
	expect(situationOf(healthy, ':')).toBeUndefined();
	expect(pastSituation(healthy)).toBeUndefined();
	expect(situationOf(largeCluster, ':')).toBeUndefined();
});

describe('the incident, the next action, and what is known', () => {
	test('a slow disk: a follower does not keep up', () => {
		expect(heading(incidents.slowDisk)).toBe('n3 DEGRADED since 09:40:55 (12 s ago)');
		expect(read(incidents.slowDisk)).toEqual([
			'what: n3 is degraded since 09:40:55 (12 s ago): 1,200 entries behind and not catching up.',
			'do: Check its disk and its events: dapss-tui events --server 127.0.0.1:5002',
			'here: n1 (this node) is the leader in term 4. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 5 of 5 voters reachable, 3 needed; 2 more voters can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n1. None is known ' +
				'to be missing here.',
		]);
	});

	test('a wiped node that joined again, as it sees itself', () => {
		expect(heading(incidents.wiped)).toBe('COPYING MESSAGES · n5 HAS NO VOTE YET');
		expect(read(incidents.wiped)).toEqual([
			'what: n5 copies 48,000 messages that it lacks.',
			'what: n5 joined and has no vote yet: it gets one when it has the log of the cluster.',
			'do: Wait until the messages are here, before another node is stopped.',
			'do: Wait: the new node becomes a voter when it has the log. Until then stop no voter.',
			'here: n5 (this node) is a learner (without a vote) in term 4. Everything works here: publishing, ' +
				'reading, new subscriptions and topics.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 4 of 4 voters reachable, 3 needed; 1 more voter can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n5. 48,000 messages ' +
				'are missing here (40,000 of n1 and 8,000 of n4).',
		]);
	});

	test('a learner catches up, as the leader sees it', () => {
		expect(heading(incidents.catchingUp)).toBe('n5 CATCHES UP · n5 HAS NO VOTE YET since 09:40:46 (21 s ago)');
		expect(read(incidents.catchingUp)).toEqual([
			'what: n5 lacks 7,000 of 9,000 log entries, and catches up.',
			'what: n5 joined and has no vote yet: it gets one when it has the log of the cluster.',
			'do: Wait: the new node becomes a voter when it has the log. Until then stop no voter.',
			'here: n1 (this node) is the leader in term 4. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 4 of 4 voters reachable, 3 needed; 1 more voter can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n1. None is known ' +
				'to be missing here.',
		]);
	});

	test('five links cut in a ring: no side, and no word against the matrix', () => {
		expect(heading(incidents.ring)).toBe('5 LINKS CUT since 09:40:58 (9 s ago)');
		expect(read(incidents.ring)).toEqual([
			'what: Since 09:40:58 (9 s ago) 5 links are cut. Every running node is still reached, through others.',
			'do: Repair the network between n1–n2, n1–n5, n2–n3, n3–n4 and n4–n5: a firewall or a route drops TCP ' +
				'and UDP, ports 5000, 5001, 5002, 5003 and 5004.',
			'here: n4 (this node) is a follower in term 4. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: Cut both ways (5 links): n1–n2, n1–n5, n2–n3, n3–n4 and n4–n5.',
			'quorum: Decisions are made: 5 of 5 voters reachable, 3 needed; 2 more voters can be lost as long as ' +
				'the others stay linked.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n4. None is known ' +
				'to be missing here.',
		]);
	});

	test('a node with another secret', () => {
		expect(heading(incidents.wrongKey)).toBe('n5 REFUSED since 09:40:25 (42 s ago)');
		expect(read(incidents.wrongKey)).toEqual([
			'what: n5 runs, but is refused since 09:40:25 (42 s ago): it has another secret than this node.',
			'do: Only n5 has another secret: give it the secret file of the others (--secret-file), and restart ' +
				'it.',
			'here: n4 (this node) is a follower in term 4. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n1, n2, n3 and n4 are one side, with the quorum. n5 is outside: refused.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 4 of 5 voters reachable, 3 needed; 1 more voter can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. n5 gets what is published meanwhile when it comes back; ' +
				'how much is not counted here. None is known to be missing here.',
		]);
	});

	test('a full disk', () => {
		expect(heading(incidents.fullDisk)).toBe('DISK FULL');
		expect(read(incidents.fullDisk)).toEqual([
			'what: The disk of n4 is full: 12 MiB are left on the disk of /var/lib/dapss, 64 MiB are kept free ' +
				'(limits.disk_reserve_bytes).',
			'do: Free space on the disk, or retain less: storage.retain_bytes, storage.retain_age_s, ' +
				'limits.disk_bytes.',
			'here: n4 (this node) is a follower in term 4. Publishing is refused here, and nothing new is stored. ' +
				'Reading stored messages works.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 5 of 5 voters reachable, 3 needed; 2 more voters can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n4. None is known ' +
				'to be missing here.',
		]);
	});

	test('a partition, seen from the minority', () => {
		expect(heading(incidents.minority)).toBe('NO QUORUM · PARTITION · 1 FAULT INJECTED since 09:40:47 (20 s ago)');
		expect(read(incidents.minority)).toEqual([
			'what: Since 09:40:47 (20 s ago) n1, n2 and n3 do not answer (noticed after 700 ms): cut off by the ' +
				'injected fault or the network, or stopped.',
			'do: End the injected fault of this node: `:fault heal`.',
			'do: If the sides stay apart, repair the network between them.',
			'do: Look from there: `dapss-tui check --server 127.0.0.1:5000`.',
			'here: n4 (this node) is a pre-candidate in term 4. Publishing and reading work on side A; new ' +
				'subscriptions and topics wait for the quorum.',
			'sides: A (here): n4 and n5: 2 of 5 voters, no quorum.',
			'sides: B: n1, n2 and n3: 3 of 5 voters, may have the quorum (not visible from here).',
			'nodes: n1, n2 and n3 are unreachable: no answer for 19 s (ETIMEDOUT). No connection was refused, so ' +
				'they may run.',
			'links: No one-way link is known.',
			'quorum: No decisions: 2 of 5 voters reachable, 3 needed: 1 more must return.',
			'leader: No leader is known on this side since 09:40:48 (19 s ago). Before: n1. Why: n1 was silent ' +
				'for 825 ms.',
			'messages: Delivered here: 1,284 messages/s. n1, n2 and n3 lack 386 to 388 messages of n4 until the ' +
				'heal. What side B publishes is unknown.',
			'faults: At n4: cut from n1,n2,n3 (40.7 s left), injected at 09:40:47 (20 s ago) from 127.0.0.1:36456 ' +
				'by 61acdda2dd0d.',
		]);
	});

	test('the same partition, seen from the majority', () => {
		expect(heading(incidents.majority)).toBe('PARTITION since 09:40:47 (20 s ago)');
		expect(read(incidents.majority)).toEqual([
			'what: Since 09:40:47 (20 s ago) n4 and n5 do not answer (noticed after 725 ms): the network is cut, ' +
				'or they stopped without a word.',
			'do: Repair the network between the sides (TCP and UDP ports 5003 and 5004), or resume the stopped ' +
				'processes.',
			'do: Look from there: `dapss-tui check --server 127.0.0.1:5003`.',
			'here: n3 (this node) is a follower in term 5. Everything works; messages arrive on side A only.',
			'sides: A (here): n1, n2 and n3: 3 of 5 voters, has the quorum.',
			'sides: B: n4 and n5: 2 of 5 voters, no quorum.',
			'nodes: n4 and n5 are unreachable: no answer for 19 s (ETIMEDOUT). No connection was refused, so they ' +
				'may run.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 3 of 5 voters reachable, 3 needed; no further loss is tolerated.',
			'leader: n2 leads in term 5 since 09:40:48 (19 s ago), after 640 ms without a leader. Before: n1. ' +
				'Why: n1 was silent for 550 ms, and runs as a follower now.',
			'messages: Delivered here: 1,284 messages/s. n3 has published nothing that the other side lacks. What ' +
				'side B publishes is unknown.',
		]);
	});

	test('the leader was killed', () => {
		expect(heading(incidents.leaderKilled)).toBe('n1 DOWN · NEW LEADER since 09:41:04 (3 s ago)');
		expect(read(incidents.leaderKilled)).toEqual([
			'what: n1 is down since 09:41:04 (3 s ago), noticed 400 ms after its last packet: its host refuses ' +
				'connections to 127.0.0.1:5000, so no process runs there.',
			'do: Start the process of n1 on host 127.0.0.1 (port 5000).',
			'here: n4 (this node) is a follower in term 5. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n2, n3, n4 and n5 are one side, with the quorum.',
			'links: No one-way link is known.',
			'quorum: Decisions are made: 4 of 5 voters reachable, 3 needed; 1 more voter can be lost.',
			'leader: n2 leads in term 5 since 09:41:04 (3 s ago), after 640 ms without a leader. Before: n1. Why: ' +
				'n1 crashed (its link closed and a new connection was refused).',
			'messages: Delivered here: 1,284 messages/s. n1 gets what is published meanwhile when it comes back; ' +
				'how much is not counted here. None is known to be missing here.',
		]);
	});

	test('three of five voters were killed', () => {
		expect(heading(incidents.quorumLost)).toBe('NO QUORUM · n1, n2 and n3 DOWN since 09:41:03 (4 s ago)');
		expect(read(incidents.quorumLost)).toEqual([
			'what: n1, n2 and n3 are down since 09:41:03 (4 s ago), noticed 400 ms after their last packet: their ' +
				'hosts refuse connections, so their processes do not run.',
			'do: Start the processes of n1 on host 127.0.0.1 (port 5000), n2 on host 127.0.0.1 (port 5001) and n3 ' +
				'on host 127.0.0.1 (port 5002): 1 of them brings the quorum back.',
			'here: n4 (this node) is a pre-candidate in term 4. Publishing and reading work; new subscriptions ' +
				'and topics wait for the quorum.',
			'sides: n4 and n5 are one side, without a quorum.',
			'links: No one-way link is known.',
			'quorum: No decisions: 2 of 5 voters reachable, 3 needed: 1 more must return.',
			'leader: Nobody leads since 09:41:03 (4 s ago). Before: n1. Why: n1 crashed (its link closed and a ' +
				'new connection was refused).',
			'messages: Delivered here: 1,284 messages/s. n1, n2 and n3 get what is published meanwhile when they ' +
				'come back; how much is not counted here. None is known to be missing here.',
		]);
	});

	test('a link that works in one direction', () => {
		expect(heading(incidents.oneWay)).toBe('1 ONE-WAY LINK since 09:40:59 (8 s ago)');
		expect(read(incidents.oneWay)).toEqual([
			'what: Since 09:40:59 (8 s ago) 1 link works in one direction only. Every running node is still ' +
				'reached, through others.',
			'do: Repair the network from n1 to n4: a firewall or a route drops TCP and UDP, ports 5000 and 5003.',
			'here: n4 (this node) is a follower in term 4. Everything works here: publishing, reading, new ' +
				'subscriptions and topics.',
			'sides: n1, n2, n3, n4 and n5 are one side, with the quorum.',
			'links: One way: packets from n1 to n4 are lost; those from n4 to it arrive.',
			'quorum: Decisions are made: 5 of 5 voters reachable, 3 needed; 2 more voters can be lost.',
			'leader: n1 leads in term 4 at least since 09:26:07 (15 min ago): no change was seen here.',
			'messages: Delivered here: 1,284 messages/s. No node is known to lack messages of n4. None is known ' +
				'to be missing here.',
		]);
	});
});

test('a joining node says what it waits for, and nothing about a quorum', () => {
	expect(heading(joining)).toMatch(/^JOINING since /u);
	const lines = read(joining);
	expect(lines[0]).toBe(
		'what: This node is joining: 127.0.0.1:5000 does not answer (connection refused); trying again.',
	);
	expect(lines.filter(line => line.startsWith('quorum') || line.startsWith('leader'))).toEqual([]);
});

test('the commands of the command line have its prefix', () => {
	expect(read(incidents.minority, 'dapss-tui ')).toContain(
		'do: End the injected fault of this node: `dapss-tui fault heal`.',
	);
	const gone = {...incidents.leaderKilled, uptimeMs: 900_000};
	const forLong = {
		...gone,
		members: gone.members.map(one => (one.state === 'down' ? {...one, downMs: 60_000} : one)),
	};
	const advice = (command: string): string | undefined =>
		read(forLong, command).find(line => line.includes('peer remove'));
	expect(advice(':')).toContain('`:peer remove n1 yes`');
	expect(advice('dapss-tui ')).toContain('`dapss-tui peer remove n1`');
});

test('an election without a leader is no lost quorum', () => {
	const raft = {...healthy.raft, leader: undefined, hasQuorum: false, quorum: 'electing', role: 'candidate'} as const;
	const electing = {...healthy, raft};
	expect(situationOf(electing, ':')).toMatchObject({tone: 'bad', headings: ['NO LEADER']});
	expect(read(electing)).toContainEqual(
		expect.stringMatching(/^quorum: No decisions until a leader is elected: 3 of 3/u),
	);
});

test('a key stays while its problem lasts, and another problem has another key', () => {
	const later = {...incidents.leaderKilled, atMs: atMs + 5000};
	expect(situationOf(later, ':')!.keys).toEqual(situationOf(incidents.leaderKilled, ':')!.keys);
	expect(situationOf(incidents.quorumLost, ':')!.keys).not.toEqual(situationOf(incidents.leaderKilled, ':')!.keys);
});

test('of many nodes the first are named, and the others counted', () => {
	const down = new Set(largeCluster.members.slice(10, 40).map(({id}) => id));
	const many: Snapshot = {
		...largeCluster,
		members: largeCluster.members.map(one =>
			down.has(one.id)
				? member(one.id, {state: 'down', downMs: 4000, heardMsAgo: 4100, name: `w${one.address}`})
				: one,
		),
	};
	const [what] = read(many);
	expect(what).toMatch(/ and 23 more are down since /u);
	expect(situationOf(many, ':')!.headings[0]).toMatch(/ and 27 more DOWN$/u);
});

test('text of others is printable, and nodes are called by their names', () => {
	for (const text of hostileTexts) {
		const snapshot: Snapshot = {
			...incidents.minority,
			fullDisk: text,
			detail: text,
			faults: [text],
			members: incidents.minority.members.map(one => ({...one, name: text, why: text, address: text})),
			events: incidents.minority.events.map(event =>
				event.type === 'audit' ? {...event, by: text, address: text} : event,
			),
		};
		const {statements, headings} = situationOf(snapshot, ':')!;
		for (const line of [...headings, ...statements.map(statement => statement.text)]) {
			expect(line).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u);
			expect(widthOf(line)).toBeGreaterThan(0);
		}
	}

	for (const snapshot of [incidents.minority, incidents.majority, incidents.leaderKilled, incidents.ring])
		for (const line of read(snapshot)) for (const id of incidents.nodes) expect(line).not.toContain(id.slice(0, 8));
	expect(situationOf(hostile, ':')).toBeDefined();
});

describe('after an incident', () => {
	test('a partition, its repair and the new leader are one line, for five minutes', () => {
		expect(pastSituation(incidents.healed)).toEqual({
			endedAtMs: atMs - 26_000,
			text:
				'09:38:34 partition until 09:40:37 (2 min 3 s; n1, n2 and n3 | n4 and n5), noticed after 700 ms, ' +
				'healed; 132 messages came in here within 4.0 s; n2 leads since 09:38:37 (before: n1, 640 ms ' +
				'without a leader). All 5 nodes run, no message is known to be missing here, 2 more voters can be lost: nothing to do.',
		});
		expect(pastSituation({...incidents.healed, atMs: atMs + 300_000})).toBeUndefined();
	});

	test('a node that is back says for how long it was away; one that only joined says nothing', () => {
		const [, n2] = incidents.nodes;
		const of = (...states: ReadonlyArray<readonly ['alive' | 'down', number]>): Snapshot => ({
			...incidents.healed,
			raft: {...incidents.healed.raft, leaders: []},
			events: states.map(([state, agoMs]) => ({
				at: atMs - agoMs,
				type: 'member',
				id: n2!,
				address: 'h:1',
				state,
			})),
		});
		expect(pastSituation(of(['alive', 90_000], ['down', 70_000], ['alive', 10_000]))?.text).toBe(
			'09:39:57 n2 was down for 1 min. All 5 nodes run, no message is known to be missing here, 2 more voters can be lost: nothing to do.',
		);
		expect(pastSituation(of(['alive', 10_000]))).toBeUndefined();
	});

	test('one node that did not answer is no partition in words: it may have hung', () => {
		const [n1, n2, n3, n4, n5] = incidents.nodes;
		const sides = [[n1!, n2!, n4!, n5!], [n3!]];
		const events = incidents.healed.events.map(event =>
			event.type === 'partition' && event.state === 'detected' ? {...event, sides} : event,
		);
		expect(pastSituation({...incidents.healed, events})?.text).toMatch(
			/^09:38:34 n3 did not answer for 2 min 3 s; 132 messages came in here within 4\.0 s; /u,
		);
	});

	test('a lost quorum that is held again says for how long', () => {
		const events: Snapshot['events'] = [
			{at: atMs - 60_000, type: 'quorum', held: false, state: 'lost', reachable: 2, voters: 5},
			{at: atMs - 20_000, type: 'quorum', held: true, state: 'held', reachable: 5, voters: 5},
		];
		expect(pastSituation({...incidents.healed, events, raft: {...incidents.healed.raft, leaders: []}})?.text).toBe(
			'09:40:07 no quorum for 40 s. All 5 nodes run, no message is known to be missing here, 2 more voters can be lost: nothing to do.',
		);
	});
});
