/**
How often a member that runs and can be reached is accused all the same (a false positive, in the words of SWIM). Right after a pause, a start or a
cut an accusation may still be about that; only members that had peace for a while count. The accuser may be the one who is in trouble: that is
what local health (Lifeguard) is for, so accusations by those who had peace themselves are counted apart.
*/
import type {MemberState} from '../../../core/observe/events.ts';

/** Longer than a silence takes to become a death in a cluster of this size. */
const peaceMs = 3000;

export class Accusations {
	/** Of members at peace; of those by members at peace themselves. */
	readonly counts = {suspected: 0, suspectedInPeace: 0, dead: 0, deadInPeace: 0};

	/** @param accuserMs how long either has had its peace */
	add(state: MemberState, accuserMs: number, accusedMs: number): void {
		if ((state !== 'suspect' && state !== 'dead') || accusedMs < peaceMs) return;
		this.counts[state === 'suspect' ? 'suspected' : 'dead']++;
		if (accuserMs >= peaceMs) this.counts[state === 'suspect' ? 'suspectedInPeace' : 'deadInPeace']++;
	}
}
