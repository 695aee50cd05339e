/** Watchers of one turn share one snapshot. */
import {expect, test} from 'vitest';
import {ManualClock} from '../../../core/io/net/memory-network.ts';
import {Watchers} from '../../../core/observe/watchers.ts';
import {decodeFrame, encodeFrame, remoteKinds} from '../../../core/remote/protocol.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {FakeNode, pipes, settle} from '../../support/remote-pipes.ts';
import {healthy} from '../../tui/support/fixtures.ts';

function watching() {
	const clock = new ManualClock();
	let views = 0;
	const watchers = new Watchers({clock, intervalMs: 100, view: () => ({...healthy, atMs: ++views})});
	return {clock, watchers, views: () => views};
}

test('1,000 watchers that come at once get one snapshot, later ones a newer one', () => {
	const {clock, watchers, views} = watching();
	const got: Snapshot[] = [];
	for (let count = 0; count < 1000; count++) watchers.add(snapshot => got.push(snapshot));
	expect(views()).toBe(1);
	expect(new Set(got).size).toBe(1);
	clock.advance(1);
	watchers.add(snapshot => got.push(snapshot));
	expect(got.at(-1)!.atMs).toBe(2);
	clock.advance(100);
	expect(views()).toBe(3);
	expect(got.length).toBe(1000 + 1 + 1001);
});

test('a snapshot is encoded once for all watchers of a node', async () => {
	const node = new FakeNode();
	let encoded = 0;
	const snapshot = {...healthy};
	Object.defineProperty(snapshot, 'lamport', {
		enumerable: true,
		get() {
			encoded++;
			return 5;
		},
	});
	Object.assign(node, {
		watch(onSnapshot: (shown: Snapshot) => void): Disposable {
			onSnapshot(snapshot);
			return {[Symbol.dispose]: () => undefined};
		},
	});
	const ends = pipes(100_000_000);
	const got: Buffer[] = [];
	ends.near.onFrame = frame => got.push(frame);
	serve(node.broker, ends.far, localCaller, () => undefined);
	for (let id = 1; id <= 500; id++) ends.far.onFrame(encodeFrame('request', {id, op: 'watch'}));
	await settle(ends);
	expect(encoded).toBe(1);
	expect(got.every(frame => frame[0] === remoteKinds.snapshot)).toBe(true);
	expect(got.map(frame => (decodeFrame(frame) as [number, Snapshot])[0])).toEqual(
		Array.from({length: 500}, (_, index) => index + 1),
	);
	expect((decodeFrame(got[499]!) as [number, Snapshot])[1]).toMatchObject({lamport: 5, self: healthy.self});
});
