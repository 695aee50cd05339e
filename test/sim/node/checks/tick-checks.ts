/**
Rules for the ticks of a node whose process stood still: it first reads the input that waits, and then runs one tick for
all that it missed. A node that ticked first would find its leader silent.
*/
import type {Host} from '../host/host.ts';

/** A late tick, and the next one at its time. */
const ticksMax = 2;

export class TickChecks {
	#lastMs = -1;
	/** Ticks at the time of the last one. */
	#count = 0;

	/** The node runs a tick. Returns the violation. */
	ticked({id, unread, options: {schedule}}: Host): string | undefined {
		if (unread > 0)
			return `input received during a stall is read before the next tick: ${id} has ${unread} unread inputs`;
		this.#count = schedule.nowMs === this.#lastMs ? this.#count + 1 : 1;
		this.#lastMs = schedule.nowMs;
		return this.#count > ticksMax ? `ticks missed in a stall are merged into one: ${id} runs them all` : undefined;
	}
}
