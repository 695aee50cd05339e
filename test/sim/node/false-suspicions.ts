/**
Counts false positives of the failure detector: members that run and are reachable, yet suspected. Right after a pause,
a start or a cut a suspicion may still be about that event, so only members that ran undisturbed for a while count.
Suspicions without any disturbance are counted separately: both nodes have been members all the time and no link of
either was clogged. The accuser matters because it may be the slow one (the subject of local health, Lifeguard).
*/
import type {MemberState} from '../../../core/events.ts';

/** Longer than the way from silence to a declared death in a cluster of this size. */
const whileMs = 3000;

/** How long a node has run without a cut, and how long without any disturbance. */
type Undisturbed = {readonly ranMs: number; readonly undisturbedMs: number};

export class FalseSuspicions {
	readonly counts = {suspected: 0, suspectedInPeace: 0, dead: 0, deadInPeace: 0};

	add(state: MemberState, accuser: Undisturbed, accused: Undisturbed | undefined): void {
		if ((state !== 'suspect' && state !== 'unreachable' && state !== 'down') || !accused || accused.ranMs < whileMs)
			return;
		this.counts[state === 'suspect' ? 'suspected' : 'dead']++;
		if (Math.min(accuser.undisturbedMs, accused.undisturbedMs) >= whileMs)
			this.counts[state === 'suspect' ? 'suspectedInPeace' : 'deadInPeace']++;
	}
}
