/**
The script of a run: faults and their times, drawn from the seed before the run begins, so that a failing script can be made smaller by
leaving events out. Which kinds a run has at all is drawn, too (swarm testing, Groce 2012). Numbers choose hosts when the event strikes.
*/
import type {SeededRandom} from '../random.ts';

export const kinds = [
	'kill', 'power', 'storm', 'blackout', 'pause', 'stop', 'split', 'isolate', 'one-way', 'ring', 'clog', 'heal',
	'eio', 'enospc', 'clock-jump', 'wipe', 'rot-raft', 'rot-topic', 'truncate', 'join', 'remove', 'transfer',
] as const;
export type Kind = (typeof kinds)[number];
export type Event = {readonly atMs: number; readonly kind: Kind; readonly a: number; readonly b: number; readonly forMs: number};

/** Kinds that come seldom. */
const rare: ReadonlySet<Kind> = new Set<Kind>(['eio', 'enospc', 'wipe', 'rot-raft', 'rot-topic', 'truncate', 'remove', 'join', 'blackout']);

export function drawPlan(random: SeededRandom, untilMs: number): Event[] {
	const enabled = kinds.filter(kind => kind === 'heal' || random.chance(1, 2));
	const everyMs = random.pick([300, 1000, 3000]);
	const events: Event[] = [];
	for (let atMs = 3000 + random.between(1, everyMs * 2); atMs < untilMs; atMs += random.between(1, everyMs * 2)) {
		const kind = random.pick(enabled);
		const event = {atMs, kind, a: random.below(1 << 16), b: random.below(1 << 16), forMs: random.between(20, 3000)};
		if (!rare.has(kind) || random.chance(1, 3)) events.push(event);
	}

	return events;
}
