/**
Protocol timing, in ticks, for a cluster of a given size. A node sends a bounded number of probes per period, whatever
the size (SWIM, section 3). In small clusters that suffices to probe each member several times within `silentMs`; in
large clusters the times grow.
*/
import type {Config} from '../config.ts';

export type Timing = {
	/** From a ping to suspicion, and to the indirect pings over relays and the link. */
	readonly probe: number;
	readonly timeout: number;
	/** Interval between two pings to the same member. */
	readonly pair: number;
	/**
	Silence after which a member does not count as heard. Until then at least two pings to it went unanswered, and two
	of its own did not arrive.
	*/
	readonly silent: number;
	/** A row gets a new version at least every `refresh`, and expires without one for `stale`. */
	readonly refresh: number;
	readonly stale: number;
	/** How long sides must stay the same before they are reported. */
	readonly debounce: number;
	/** Duration of a suspicion without and with enough confirmations (Lifeguard, section IV-B). */
	readonly suspicionMax: number;
	readonly suspicionMin: number;
	/** Independent confirmations that shorten a suspicion to its minimum. */
	readonly confirmations: number;
	/** How often a rumour is sent. */
	readonly transmissions: number;
	/** Minimum interval between two broadcasts of our row. */
	readonly push: number;
	/** Interval between two scans of all members for silence and sides; longer in a large cluster. */
	readonly look: number;
};

/** Pings that a node starts within `probeMs` at most: with 16 members, each is probed every 300 ms. */
const probesPerPeriod = 10;
/**
In large clusters, turns that a member may miss before it counts as silent. At 20 % loss one pair in 300 is wrong.
*/
const silentPairs = 2.5;
/** Lifeguard's beta: the longest suspicion as a multiple of the shortest. */
const suspicionMaxFactor = 6;
const confirmationsMax = 3;
const debounceMs = 100;
const pushMs = 50;

export function timingOf(members: number, tickMs: number, config: Config['swim']): Timing {
	const ticks = (ms: number): number => Math.max(1, Math.ceil(ms / tickMs));
	const timeout = ticks(config.probeTimeoutMs);
	const probe = Math.max(timeout + 1, ticks(config.probeMs));
	const others = Math.max(1, members - 1);
	const pair = Math.max(Math.floor(ticks(config.silentMs) / 4), Math.ceil((others * probe) / probesPerPeriod), 1);
	const silent = Math.max(ticks(config.silentMs), Math.ceil(silentPairs * pair));
	const suspicionMin = Math.ceil(config.suspicionMultiplier * Math.max(1, Math.log10(members)) * probe);
	return {
		probe,
		timeout,
		pair,
		silent,
		suspicionMin,
		refresh: Math.ceil(silent / 2),
		stale: 2 * silent,
		debounce: Math.max(2, ticks(debounceMs)),
		suspicionMax: suspicionMin * suspicionMaxFactor,
		confirmations: Math.max(0, Math.min(confirmationsMax, members - 2)),
		transmissions: 3 * Math.ceil(Math.log2(members + 1)) + 3,
		push: ticks(pushMs),
		look: 1 + (members >> 6),
	};
}
