/**
Injected faults for drills and tests, only in nodes that were started with `--faults`. They behave like a network. A cut
is silence, not a closed connection: new calls run into their timeout. A lost packet delays a TCP stream until its
retransmission, while a lost datagram is gone. A connection that lost bytes in a cut cannot continue, so it is closed
when the cut heals.
*/
import type {FaultCommand} from '../../broker.ts';
import type {Random} from '../../machine.ts';
import type {NodeId} from '../../message.ts';
import type {Clock} from '../../ports.ts';
import {systemClock, systemEntropy} from '../clock.ts';

type Active = {
	readonly command: Exclude<FaultCommand, {type: 'heal'}>;
	readonly untilMs: number;
	/** Who asked for it, for people; may be empty. */
	readonly by: string;
	readonly timer: Disposable | undefined;
};

/** The fate of a frame or datagram: `lost`, or sent after this many milliseconds. */
export type Fate = 'lost' | number;

/**
A lost segment of a TCP stream is retransmitted after about this long (the minimal retransmission timeout of Linux).
*/
const retransmitMs = 200;
const activeMax = 64;
/** The largest delay that `setTimeout` accepts. */
const timeoutMsMax = 2 ** 31 - 1;

export class Faults {
	#active: Active[] = [];
	readonly #clock: Clock;
	readonly #random: Random;
	/** Called when a cut of these peers ends. */
	onHealed: (peers: readonly NodeId[]) => void = () => {};
	/** Called when a fault has ended at its time. */
	onExpired: () => void = () => {};

	constructor(clock: Clock = systemClock, random: Random = systemEntropy) {
		this.#clock = clock;
		this.#random = random;
	}

	/**
	Starts a fault, or heals all. `forMs` 0 lasts until healed.
	@param by who asks for it, for people
	*/
	apply(command: FaultCommand, by = ''): void {
		if (command.type === 'heal') return this.#end(this.#active);
		if (this.#active.length >= activeMax) this.#end([this.#active[0]!]);
		const active: Active = {
			command,
			by,
			untilMs: command.forMs > 0 ? this.#clock.monotonicMs() + command.forMs : Number.POSITIVE_INFINITY,
			timer:
				command.forMs > 0
					? this.#clock.after(Math.min(command.forMs, timeoutMsMax), () => {
							this.#end([active]);
							this.onExpired();
						})
					: undefined,
		};
		this.#active.push(active);
	}

	/** A line for each active fault. @param label gives the name of a peer */
	active(label: (peer: NodeId) => string = peer => peer.slice(0, 6)): readonly string[] {
		const nowMs = this.#clock.monotonicMs();
		return this.#active.map(({command, untilMs, by}) => {
			const left =
				untilMs === Number.POSITIVE_INFINITY
					? 'until healed'
					: `${Math.max(0, (untilMs - nowMs) / 1000).toFixed(1)} s left`;
			const rest = by === '' ? left : `${left}, by ${by}`;
			switch (command.type) {
				case 'cut':
					return (
						`cut ${{both: 'from', in: 'what comes from', out: 'what goes to'}[command.direction]} ` +
						`${command.peers.map(peer => label(peer)).join(',')} (${rest})`
					);
				case 'delay':
					return `delay ${command.ms} ms (${rest})`;
				case 'drop':
					return `drop ${command.percent} % (${rest})`;
				default:
					return command satisfies never;
			}
		});
	}

	isCut(peer: NodeId, direction: 'in' | 'out'): boolean {
		return this.#active.some(
			({command}) =>
				command.type === 'cut' &&
				(command.direction === 'both' || command.direction === direction) &&
				command.peers.includes(peer),
		);
	}

	/** The fate of a frame to a peer, on an ordered stream. */
	frameOut(peer: NodeId): Fate {
		if (this.#active.length === 0) return 0;
		if (this.isCut(peer, 'out')) return 'lost';
		return this.#delayMs() + (this.#isDropped() ? retransmitMs : 0);
	}

	/** The fate of a datagram to a peer; `undefined` when the peer at its address is unknown. */
	datagramOut(peer: NodeId | undefined): Fate {
		if (this.#active.length === 0) return 0;
		return (peer !== undefined && this.isCut(peer, 'out')) || this.#isDropped() ? 'lost' : this.#delayMs();
	}

	isDatagramLost(peer: NodeId): boolean {
		return this.#active.length > 0 && (this.isCut(peer, 'in') || this.#isDropped());
	}

	#delayMs(): number {
		let delayMs = 0;
		for (const {command} of this.#active) if (command.type === 'delay') delayMs = Math.max(delayMs, command.ms);
		return delayMs;
	}

	#isDropped(): boolean {
		return this.#active.some(
			({command}) => command.type === 'drop' && this.#random.below(10_000) < command.percent * 100,
		);
	}

	[Symbol.dispose](): void {
		for (const {timer} of this.#active) timer?.[Symbol.dispose]();
		this.#active = [];
	}

	#end(ended: readonly Active[]): void {
		const wasCut = new Set<NodeId>();
		for (const {command, timer} of ended) {
			timer?.[Symbol.dispose]();
			if (command.type === 'cut') for (const peer of command.peers) wasCut.add(peer);
		}

		this.#active = this.#active.filter(active => !ended.includes(active));
		const healed = [...wasCut].filter(peer => !this.isCut(peer, 'in') && !this.isCut(peer, 'out'));
		if (healed.length > 0) this.onHealed(healed);
	}
}

/** Delays frames, and keeps their order. */
export class DelayLine {
	readonly #waiting: Array<{readonly dueMs: number; readonly bytes: number; readonly run: () => void}> = [];
	#timer: Disposable | undefined;
	#queuedBytes = 0;
	#lastDueMs = 0;
	readonly #clock: Pick<Clock, 'monotonicMs' | 'after'>;

	constructor(clock: Pick<Clock, 'monotonicMs' | 'after'>) {
		this.#clock = clock;
	}

	get queuedBytes(): number {
		return this.#queuedBytes;
	}

	get isEmpty(): boolean {
		return this.#waiting.length === 0;
	}

	/** Runs `run` after `delayMs`, and after everything that was added before. */
	add(delayMs: number, bytes: number, run: () => void): void {
		this.#lastDueMs = Math.max(this.#lastDueMs, this.#clock.monotonicMs() + delayMs);
		this.#waiting.push({dueMs: this.#lastDueMs, bytes, run});
		this.#queuedBytes += bytes;
		this.#arm();
	}

	clear(): void {
		this.#timer?.[Symbol.dispose]();
		this.#timer = undefined;
		this.#waiting.length = 0;
		this.#queuedBytes = 0;
	}

	#arm(): void {
		const first = this.#waiting[0];
		if (!first || this.#timer) return;
		this.#timer = this.#clock.after(Math.max(0, first.dueMs - this.#clock.monotonicMs()), () => {
			this.#timer = undefined;
			const nowMs = this.#clock.monotonicMs();
			let due = 0;
			while (due < this.#waiting.length && this.#waiting[due]!.dueMs <= nowMs + 0.5) due++;
			for (const {bytes, run} of this.#waiting.splice(0, due)) {
				this.#queuedBytes -= bytes;
				run();
			}

			this.#arm();
		});
	}
}
