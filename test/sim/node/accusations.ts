/**
How often a member that runs and can be reached is accused all the same (a false positive, in the words of SWIM). Right
after a pause, a start or a cut an accusation may still be about that; only members that ran for a while since then
count. Counted apart is what happened in peace: the accused was a member all the while and no link of it was clogged,
and the same holds for the accuser, who may be the one that is in trouble (that is what local health, Lifeguard, is
for).
*/
import type {MemberState} from '../../../core/events.ts';

/** Longer than a silence takes to become a death in a cluster of this size. */
const whileMs = 3000;

/** How long it has run uncut, and how long in peace. */
type Quiet = {readonly ranMs: number; readonly peaceMs: number};

export class Accusations {
	readonly counts = {suspected: 0, suspectedInPeace: 0, dead: 0, deadInPeace: 0};

	add(state: MemberState, accuser: Quiet, accused: Quiet | undefined): void {
		if ((state !== 'suspect' && state !== 'unreachable' && state !== 'down') || !accused || accused.ranMs < whileMs)
			return;
		this.counts[state === 'suspect' ? 'suspected' : 'dead']++;
		if (Math.min(accuser.peaceMs, accused.peaceMs) >= whileMs)
			this.counts[state === 'suspect' ? 'suspectedInPeace' : 'deadInPeace']++;
	}
}
