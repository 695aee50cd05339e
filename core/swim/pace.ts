/**
How fast things go, in ticks, for a cluster of a given size. A node sends a bounded number of probes whatever the size
(SWIM, section 3); in small clusters it spends that on probing everyone several times within `silentMs`, in large ones
the times grow.
*/
import type {Config} from '../config.ts';

export type Timing = {
	/** From a ping to the verdict, and to the detour over relays and the link. */
	readonly probe: number;
	readonly timeout: number;
	/** Between two pings to the same member. */
	readonly pair: number;
	/**
	Silence after which a member does not count as heard: at least two pings to it went unanswered, and two of its own
	did not arrive.
	*/
	readonly silent: number;
	/** A row gets a new version at least this often, and is forgotten when none came for `stale`. */
	readonly refresh: number;
	readonly stale: number;
	/** How long sides must be the same before they are believed. */
	readonly debounce: number;
	/** Suspicion without and with enough confirmations (Lifeguard, section IV-B). */
	readonly suspicionMax: number;
	readonly suspicionMin: number;
	/** Independent confirmations that shorten a suspicion to its least. */
	readonly confirmations: number;
	/** How often a rumour is passed on. */
	readonly transmissions: number;
	/** Between two broadcasts of the own row. */
	readonly push: number;
	/**
	Between two looks at all members: whom we hear, which sides there are. Seldom in a large cluster, where everything
	takes longer.
	*/
	readonly look: number;
};

/** Pings a node starts within `probeMs` at most: at 16 members everyone is probed every 300 ms. */
const probesPerPeriod = 10;
/**
In large clusters a member may miss so many turns before it counts as silent: at 20 % loss about one pair in 300 looks
so.
*/
const silentPairs = 2.5;
/** Lifeguard's beta: the longest suspicion is so many times the shortest. */
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
