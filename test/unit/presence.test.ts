import {expect, test} from 'vitest';
import {defaults} from '../../core/config.ts';
import type {NodeId} from '../../core/message.ts';
import type {BrokerEvent} from '../../core/observe/events.ts';
import type {Links} from '../../core/ports.ts';
import {Presence} from '../../core/presence.ts';

const [self, peer] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];
const tickMs = 25;

test('counts from when a member was found not alive until it is heard again', () => {
	let nowMs = 1000;
	const events: BrokerEvent[] = [];
	const links = {send: () => true, state: () => ({state: 'down', why: 'connection refused'}), drop: () => undefined, hint: () => undefined} as unknown as Links;
	const presence = new Presence({
		self, links, tickMs, incarnation: 1, random: {below: () => 0}, config: {...defaults, port: 1, data: '', secret: new Uint8Array(0)}, nowMs: () => nowMs,
		datagrams: {send: () => undefined}, address: () => '127.0.0.1:2', voters: () => [self, peer], raft: () => ({term: 1, leader: self, applied: 0, commit: 0, matches: []}), name: id => id, published: () => 0, resync: () => undefined,
		emit: event => void events.push(event),
	});
	const downMs = (): number | undefined => presence.members().find(({id}) => id === peer)?.downMs;
	const pass = (ms: number): void => {
		for (const endMs = nowMs + ms; nowMs < endMs;) {
			nowMs += tickMs;
			presence.tick();
		}
	};

	presence.setMembers([self, peer]);
	presence.heard(peer);
	pass(tickMs);
	expect(downMs()).toBeUndefined();
	const isSuspected = (): boolean => events.some(event => event.type === 'member' && event.state === 'suspect');
	for (let ticks = 0; ticks < 2000 && !isSuspected(); ticks++) pass(tickMs);
	const foundMs = nowMs;
	pass(40_000); // It is dead meanwhile: the count goes on.
	expect(events.some(event => event.type === 'member' && event.state === 'unreachable')).toBe(true);
	expect(downMs()).toBe(nowMs - foundMs);
	presence.step(peer, {type: 'gossip', incarnation: 2, updates: [], rows: []});
	pass(tickMs);
	expect(downMs()).toBeGreaterThan(0); // It answers; whether it can be worked with is not known before a link works.
	presence.heard(peer);
	pass(tickMs);
	expect(downMs()).toBeUndefined();
	pass(60_000);
	expect(downMs()).toBeGreaterThan(0);
	presence.setMembers([self]);
	presence.setMembers([self, peer]);
	expect(downMs()).toBeUndefined();
});
