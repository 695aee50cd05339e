/**
Faults on purpose, for drills and tests: traffic to and from some peers is lost, or everything is delayed or thinned out. A cut is
silent, as a real one is: frames and datagrams vanish, connections stay as they are and time out.
*/
import type {FaultCommand} from '../api.ts';
import type {NodeId} from '../message.ts';

type Cut = {readonly peers: ReadonlySet<NodeId>; readonly direction: 'both' | 'in' | 'out'; readonly untilMs: number};

export class Faults {
	#cuts: Cut[] = [];
	#delay = {ms: 0, untilMs: 0};
	#drop = {percent: 0, untilMs: 0};

	apply(command: FaultCommand): void {
		switch (command.type) {
			case 'cut': {
				this.#cuts.push({peers: new Set(command.peers), direction: command.direction, untilMs: performance.now() + command.forMs});
				return;
			}

			case 'delay': {
				this.#delay = {ms: command.ms, untilMs: performance.now() + command.forMs};
				return;
			}

			case 'drop': {
				this.#drop = {percent: command.percent, untilMs: performance.now() + command.forMs};
				return;
			}

			case 'heal': {
				this.#cuts = [];
				this.#delay = {ms: 0, untilMs: 0};
				this.#drop = {percent: 0, untilMs: 0};
				return;
			}

			default: command satisfies never;
		}
	}

	isCut(peer: NodeId, direction: 'in' | 'out'): boolean {
		if (this.#cuts.length === 0) return false;
		const nowMs = performance.now();
		this.#cuts = this.#cuts.filter(({untilMs}) => untilMs > nowMs);
		return this.#cuts.some(cut => cut.peers.has(peer) && (cut.direction === 'both' || cut.direction === direction));
	}

	/** Datagrams are thinned out; what TCP carries is not lost but late, so a link is only delayed. */
	isDropped(): boolean {
		return this.#drop.percent > 0 && this.#drop.untilMs > performance.now() && Math.random() * 100 < this.#drop.percent;
	}

	get delayMs(): number {
		return this.#delay.ms > 0 && this.#delay.untilMs > performance.now() ? this.#delay.ms : 0;
	}

	/** What is active, for people. */
	active(): readonly string[] {
		const nowMs = performance.now();
		const left = (untilMs: number): string => `${Math.ceil((untilMs - nowMs) / 1000)} s`;
		return [
			...this.#cuts.filter(({untilMs}) => untilMs > nowMs).map(({peers, direction, untilMs}) => `cut ${direction === 'both' ? 'from' : direction} ${[...peers].map(peer => peer.slice(0, 6)).join(' ')} (${left(untilMs)})`),
			...(this.delayMs > 0 ? [`delay ${this.#delay.ms} ms (${left(this.#delay.untilMs)})`] : []),
			...(this.#drop.percent > 0 && this.#drop.untilMs > nowMs ? [`drop ${this.#drop.percent} % (${left(this.#drop.untilMs)})`] : []),
		];
	}
}
