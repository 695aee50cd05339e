/**
The plan of a run: faults and their times, drawn from the seed before the run starts, so that shrinking can remove
events from a failing plan. The seed also decides which kinds of faults occur at all (swarm testing, Groce 2012). Each
event carries numbers that select hosts when it happens.

Incidents change the environment of the nodes: addresses, copied disks, blocked transports, versions, keys, descriptors,
full disks, operators who create and delete topics or rotate the key, and new followers. Incidents and traits have
random streams of their own, so that the faults of a seed are the same with and without them.
*/
import {createRandom, type SeededRandom} from '../random.ts';

export const faultKinds = [
	'kill',
	'power',
	'storm',
	'blackout',
	'pause',
	'stop',
	'split',
	'isolate',
	'one-way',
	'ring',
	'clog',
	'heal',
	'eio',
	'enospc',
	'clock-jump',
	'wipe',
	'rot-raft',
	'rot-topic',
	'truncate',
	'join',
	'remove',
	'transfer',
] as const;
export const incidentKinds = [
	'move',
	'swap',
	'rotate',
	'reuse',
	'copy',
	'block-tcp',
	'block-udp',
	'other-version',
	'other-key',
	'few-files',
	'create-topic',
	'delete-topic',
	'rotate-key',
	'full-disk',
	'follower',
] as const;
/** Properties of a whole run. `together`: all hosts start at the same time with empty disks. */
export const traits = ['together'] as const;
export type FaultKind = (typeof faultKinds)[number];
export type IncidentKind = (typeof incidentKinds)[number];
export type Kind = FaultKind | IncidentKind;
export type Trait = (typeof traits)[number];
export type Event = {
	readonly atMs: number;
	readonly kind: Kind;
	readonly a: number;
	readonly b: number;
	readonly forMs: number;
};

/** Kinds that must occur in every run of 100 seeds. */
export const kinds: readonly Kind[] = [...faultKinds, ...incidentKinds];

/** Kinds that occur less often. */
const rare: ReadonlySet<Kind> = new Set<Kind>([
	'eio',
	'enospc',
	'wipe',
	'rot-raft',
	'rot-topic',
	'truncate',
	'remove',
	'join',
	'blackout',
]);

/** The plan of a seed. */
export function planOf(seed: number, forMs: number): Event[] {
	const faults = drawFaults(createRandom(`${seed}/plan`), forMs);
	const times = new Set(faults.map(({atMs}) => atMs));
	const incidents = drawIncidents(createRandom(`${seed}/incidents`), forMs).map(event => {
		let {atMs} = event;
		while (times.has(atMs)) atMs++; // The time identifies an event.
		times.add(atMs);
		return {...event, atMs};
	});
	return [...faults, ...incidents].toSorted((one, other) => one.atMs - other.atMs);
}

/** The traits of a seed. */
export function traitsOf(seed: number): ReadonlySet<Trait> {
	const random = createRandom(`${seed}/traits`);
	const chances: Readonly<Record<Trait, readonly [number, number]>> = {together: [1, 4]};
	return new Set(traits.filter(trait => random.child(trait).chance(...chances[trait])));
}

function drawFaults(random: SeededRandom, untilMs: number): Event[] {
	const enabled = faultKinds.filter(kind => kind === 'heal' || random.chance(1, 2));
	const everyMs = random.pick([300, 1000, 3000]);
	const events: Event[] = [];
	for (let atMs = 3000 + random.between(1, everyMs * 2); atMs < untilMs; atMs += random.between(1, everyMs * 2)) {
		const kind = random.pick(enabled);
		const event = {atMs, kind, a: random.below(1 << 16), b: random.below(1 << 16), forMs: random.between(20, 3000)};
		if (!rare.has(kind) || random.chance(1, 3)) events.push(event);
	}

	return events;
}

/** Half of the runs have incidents. Each kind has a stream of its own, so one kind does not affect another. */
function drawIncidents(random: SeededRandom, untilMs: number): Event[] {
	if (!random.chance(1, 2)) return [];
	return incidentKinds.flatMap(kind => {
		const own = random.child(kind);
		const isCommon = kind === 'create-topic' || kind === 'delete-topic' || kind === 'rotate-key';
		if (!own.chance(isCommon ? 2 : 1, 3)) return [];
		const everyMs = own.pick(isCommon ? [2000, 5000, 12_000] : [5000, 12_000, 30_000]);
		const events: Event[] = [];
		for (
			let atMs = 4000 + own.between(1, everyMs);
			atMs < untilMs;
			atMs += own.between(everyMs >> 1, everyMs * 2)
		) {
			events.push({atMs, kind, a: own.below(1 << 16), b: own.below(1 << 16), forMs: own.between(20, 4000)});
		}

		return events;
	});
}
