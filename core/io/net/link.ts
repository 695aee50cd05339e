/**
One link of the mesh: the channel to a peer, the calls that establish it, and the back-off between them. When a channel
closes, the peer is called again at once. After a failed call, the next one is made after a wait that doubles and is
half random, so that the nodes of a restarted cluster do not call in step. A sign of life from the peer (`hint`) ends
the wait.

When both sides call at once, two channels would result. Both sides then keep the call of the lower id, with two
exceptions. A call that hangs does not block the other side's call. A peer that calls although its channel has been up
for a while has lost that channel, whatever this side believes. Without these exceptions, a one-way cut or an unnoticed
crash would keep the two apart until TCP times out.
*/
import type {KeyId} from '../../cluster-keys.ts';
import {errorMessage} from '../../errors.ts';
import type {Random} from '../../machine.ts';
import type {NodeId} from '../../message.ts';
import type {Called, Clock, LinkState} from '../../ports.ts';
import type {Channel, Hello} from './channel.ts';
import {DelayLine, type Faults} from './faults.ts';
import {RefusedError} from './opening.ts';

export type LinkOptions = {
	readonly peer: NodeId;
	readonly address: string;
	readonly clock: Clock;
	readonly random: Random;
	/** The first and the longest wait between two calls, in milliseconds. */
	readonly backoffMs: readonly [number, number];
	readonly dialTimeoutMs: number;
	/** Bound on frames delayed by an injected fault. */
	readonly delayedBytesMax: number;
	readonly faults: Faults | undefined;
	/**
	When two calls cross, this side's call is kept. The peer has the opposite setting, so both keep the same call.
	*/
	readonly preferOurs: boolean;
	readonly dial: (address: string, signal: AbortSignal) => Promise<Channel>;
	/** A call that shows whether the peer answers at the address, and does not become a link. */
	readonly tryCall: (address: string, signal: AbortSignal) => Promise<Channel>;
	readonly onFrame: (payload: Buffer) => void;
	readonly onUp: (hello: Hello) => void;
	readonly onDown: (why: string, stats: Channel['stats']) => void;
	/** `isNews`: the reason differs from that of the last failure. */
	readonly onFailed: (error: Error, isNews: boolean) => void;
};

/** A call of this side that is older than this no longer blocks the peer's call. */
const crossingMs = 500;
/** Two channels that came up within this time have crossed. */
const crossedMs = 2000;
/** The minimal time between calls after signs of life, and after channels that close at once. */
const hintMs = 100;
/**
When the peer is heard, a pending call that is older than this is replaced. It was made while the network was down: TCP
would retry it seconds later, and a new call is answered now. (RFC 8305, section 5)
*/
const hungMs = 250;
/** How long a channel that was replaced under another key is still read, in milliseconds. */
const retiredMs = 500;
const replaced = 'replaced by a later connection';
/** The wait between two calls that only test the address: after the first, and at most. */
const tryMs: readonly [number, number] = [500, 10_000];
/** Failures that are conclusive at once. Any other failure may be temporary, so a second one must follow. */
const conclusiveCodes: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'identity']);

const works: Called = {state: 'works'};
const untried: Called = {state: 'untried'};

export class Link {
	channel: Channel | undefined;
	address: string;
	/** The address in the peer's newest hello. */
	heardAddress: string | undefined;
	readonly #options: LinkOptions;
	#isOurs = false;
	#upAtMs = 0;
	#call: {readonly abort: AbortController; readonly startedMs: number} | undefined;
	#calledAtMs = Number.NEGATIVE_INFINITY;
	#timer: Disposable | undefined;
	#failures = 0;
	#why = '';
	#code = '';
	/** The peer's last hello. */
	remote: Hello | undefined;
	#isStopped = false;
	/** Whether a call to the address worked, as far as the present link knows. */
	#called: Called = untried;
	readonly #tries = {failed: 0, atMs: Number.NEGATIVE_INFINITY, abort: undefined as AbortController | undefined};
	/** Frames were lost in a cut. */
	#isBroken = false;
	readonly #delayed: DelayLine | undefined;

	constructor(options: LinkOptions) {
		this.#options = options;
		this.address = options.address;
		if (options.faults) this.#delayed = new DelayLine(options.clock);
		this.#dial();
	}

	get state(): LinkState {
		if (this.channel) return {state: 'up', why: ''};
		return {state: this.#failures === 0 ? 'connecting' : 'down', why: this.#why, code: this.#code};
	}

	get called(): Called {
		return this.channel && this.#isOurs ? works : this.#called;
	}

	get queuedBytes(): number {
		return (this.channel?.queuedBytes ?? 0) + (this.#delayed?.queuedBytes ?? 0);
	}

	send(pieces: readonly Uint8Array[]): boolean {
		const {channel} = this;
		if (!channel) return false;
		return this.#delayed ? this.#sendFaulty(channel, this.#delayed, pieces) : channel.send(pieces);
	}

	setAddress(address: string): void {
		if (address === this.address) return;
		this.address = address;
		this.#forgetTries();
		if (this.channel) return;
		this.#failures = 0;
		this.#wait(0);
	}

	/** The peer was heard: end the back-off, and replace a call that was probably lost. */
	hint(): void {
		if (this.channel || this.#isStopped) return;
		const sinceMs = this.#options.clock.monotonicMs() - this.#calledAtMs;
		this.#failures = Math.min(this.#failures, 1);
		this.#wait(Math.max(0, (this.#call ? hungMs : hintMs) - sinceMs));
	}

	/** Tests whether the peer can be called, if the peer made the link. Without a link, the calls for one show it. */
	tryCall(): void {
		const {clock} = this.#options;
		const {failed, atMs, abort} = this.#tries;
		const waitMs = Math.min(tryMs[1], tryMs[0] * 2 ** Math.min(failed, 8));
		if (!this.channel || this.#isOurs || this.#isStopped || abort || clock.monotonicMs() - atMs < waitMs) return;
		const call = new AbortController();
		this.#tries.abort = call;
		this.#tries.atMs = clock.monotonicMs();
		this.#reach(this.#options.tryCall, call.signal).then(
			channel => {
				channel.close('the call has shown that it works');
				if (this.#tries.abort !== call) return;
				Object.assign(this.#tries, {abort: undefined, failed: 0});
				this.#called = works;
			},
			(error: Error) => {
				if (this.#tries.abort !== call) return;
				this.#tries.abort = undefined;
				const code = codeOf(error);
				// A node that refuses has the secret and answers, but for another id: this proves nothing.
				if (error instanceof RefusedError && error.by === 'peer') return;
				if (++this.#tries.failed > 1 || conclusiveCodes.has(code)) this.#called = {state: 'failed', code};
			},
		);
	}

	/**
	Replaces the channel that this side dialled by one under the active key. The present one is used until then, and
	stays if the peer does not know that key yet.
	*/
	renew(isActive: (key: KeyId) => boolean): void {
		const {channel} = this;
		if (!channel || !this.#isOurs || this.#isStopped || this.#call || isActive(channel.key)) return;
		const call = {abort: new AbortController(), startedMs: this.#options.clock.monotonicMs()};
		this.#call = call;
		this.#calledAtMs = call.startedMs;
		this.#reach(this.#options.dial, call.abort.signal).then(
			fresh => {
				const isCurrent = this.#call === call;
				if (isCurrent) this.#call = undefined;
				if (isCurrent && !this.#isStopped && (isActive(fresh.key) || !this.channel)) this.adopt(fresh, true);
				else fresh.close('given up');
			},
			() => {
				if (this.#call !== call) return;
				this.#call = undefined;
				if (!this.channel) this.#wait(this.#backoff());
			},
		);
	}

	/** The peer is silent: destroys the channel with its queue, and calls again. */
	drop(why: string): void {
		this.channel?.destroy(why);
	}

	/** The cut has ended. A stream that lost bytes in it cannot continue. */
	healed(): void {
		if (this.#isBroken) this.drop('frames were lost in a cut');
		else this.hint();
	}

	stop(why: string): void {
		this.#isStopped = true;
		this.#timer?.[Symbol.dispose]();
		this.#call?.abort.abort();
		this.#forgetTries();
		this.#delayed?.clear();
		this.channel?.close(why);
	}

	/**
	Whether a call from the peer crosses a call of this side that is kept. False when the peer was restarted, when our
	call hangs, or when our channel is so old that the peer must have lost it.
	*/
	isCrossing(incarnation: number): boolean {
		if (!this.#options.preferOurs) return false;
		const nowMs = this.#options.clock.monotonicMs();
		if (this.channel)
			return this.#isOurs && incarnation === this.channel.remote.incarnation && nowMs - this.#upAtMs < crossedMs;
		return this.#call !== undefined && nowMs - this.#call.startedMs < crossingMs;
	}

	/** Uses an open channel for the link. `isOurs`: this side called. */
	adopt(channel: Channel, isOurs: boolean): void {
		if (this.#isStopped) return channel.close('the node is stopping');
		const {clock, preferOurs} = this.#options;
		const nowMs = clock.monotonicMs();
		const current = this.channel;
		if (current) {
			// Which of two processes of one id is kept is decided when the second one calls, not when this side reaches
			// it.
			if (isOurs && channel.remote.instance !== current.remote.instance)
				return channel.close('another process of this node is linked');
			const isNewIncarnation = channel.remote.incarnation > current.remote.incarnation;
			const isCrossed = this.#isOurs !== isOurs && nowMs - this.#upAtMs < crossedMs;
			if (!isNewIncarnation && isCrossed && isOurs !== preferOurs)
				return channel.close('both called at once, and the other call stays');
			this.channel = undefined;
			const isRenewed = channel.key !== current.key && channel.remote.instance === current.remote.instance;
			if (isRenewed) this.#retire(current);
			else current.close(replaced);
			this.#down(replaced, current);
		}

		if (!isOurs) {
			this.#call?.abort.abort();
			this.#call = undefined;
		}

		this.#timer?.[Symbol.dispose]();
		this.#forgetTries(); // The peer may have just started: earlier failures no longer count.
		this.channel = channel;
		this.heardAddress = channel.remote.address;
		this.#isOurs = isOurs;
		this.#upAtMs = nowMs;
		this.#failures = 0;
		this.#why = '';
		this.#code = '';
		this.remote = channel.remote;
		channel.onClose = why => this.#onClose(channel, why);
		this.#options.onUp(channel.remote);
		channel.onFrame = payload => {
			if (this.channel !== channel) return;
			if (this.#options.faults?.isCut(this.#options.peer, 'in')) this.#isBroken = true;
			else this.#options.onFrame(payload);
		};
	}

	/** The same process calls under another key: what it sent over the former channel still arrives there. */
	#retire(channel: Channel): void {
		channel.onFrame = payload => {
			if (!this.#isStopped && !this.#options.faults?.isCut(this.#options.peer, 'in'))
				this.#options.onFrame(payload);
		};
		this.#options.clock.after(retiredMs, () => channel.close(replaced));
	}

	#onClose(channel: Channel, why: string): void {
		if (this.channel !== channel) return;
		this.channel = undefined;
		this.#why = why;
		this.#down(why, channel);
		// At once: a peer whose process has ended refuses the call, which is evidence of a crash. The minimal time
		// prevents a loop with a peer that accepts calls and closes them.
		this.#wait(Math.max(0, hintMs - (this.#options.clock.monotonicMs() - this.#calledAtMs)));
	}

	#down(why: string, channel: Channel): void {
		this.#isBroken = false;
		this.#delayed?.clear();
		this.#options.onDown(why, channel.stats);
	}

	#forgetTries(): void {
		this.#tries.abort?.abort();
		Object.assign(this.#tries, {failed: 0, atMs: Number.NEGATIVE_INFINITY, abort: undefined});
		this.#called = untried;
	}

	#wait(ms: number): void {
		this.#timer?.[Symbol.dispose]();
		if (this.#isStopped) return;
		this.#timer = this.#options.clock.after(ms, () => this.#dial());
	}

	/** Half of the wait is random. */
	#backoff(): number {
		const [firstMs, longestMs] = this.#options.backoffMs;
		const ms = Math.min(longestMs, firstMs * 2 ** Math.min(this.#failures, 16));
		return ms / 2 + this.#options.random.below(Math.max(1, Math.ceil(ms / 2)));
	}

	#dial(): void {
		if (this.channel || this.#isStopped) return;
		this.#call?.abort.abort();
		const call = {abort: new AbortController(), startedMs: this.#options.clock.monotonicMs()};
		this.#call = call;
		this.#calledAtMs = call.startedMs;
		this.#reach(this.#options.dial, call.abort.signal).then(
			channel => {
				if (this.#call !== call || this.#isStopped) return channel.close('given up');
				this.#call = undefined;
				this.adopt(channel, true);
			},
			(error: Error) => {
				if (this.#call !== call) return;
				this.#call = undefined;
				this.#failed(error);
			},
		);
	}

	#reach(dial: LinkOptions['dial'], signal: AbortSignal): Promise<Channel> {
		const {clock, faults, peer, dialTimeoutMs} = this.#options;
		if (!faults?.isCut(peer, 'in') && !faults?.isCut(peer, 'out')) return dial(this.address, signal);
		return new Promise((_resolve, reject) => {
			const timer = clock.after(dialTimeoutMs, () => reject(new Error('no answer (timeout)')));
			signal.addEventListener('abort', () => timer[Symbol.dispose](), {once: true});
		});
	}

	#failed(error: Error): void {
		const why = errorMessage(error);
		const isNews = why !== this.#why;
		this.#why = why;
		this.#code = codeOf(error);
		// The peer's own call is on its way.
		const isDuplicate = error instanceof RefusedError && error.refusal.code === 'duplicate';
		if (!isDuplicate) this.#failures++;
		this.#wait(this.#backoff());
		this.#options.onFailed(error, isNews);
	}

	#sendFaulty(channel: Channel, delayed: DelayLine, pieces: readonly Uint8Array[]): boolean {
		const fate = this.#options.faults!.frameOut(this.#options.peer);
		if (fate === 'lost') {
			this.#isBroken = true; // The sender cannot know of the loss.
			return true;
		}

		if (fate === 0 && delayed.isEmpty) return channel.send(pieces);
		let bytes = 0;
		for (const piece of pieces) bytes += piece.length;
		if (delayed.queuedBytes + bytes > this.#options.delayedBytesMax) return false;
		delayed.add(fate, bytes, () => void channel.send(pieces));
		return true;
	}
}

/** The code of the refusal, else that of the system; `ETIMEDOUT` for a call without an answer. */
function codeOf(error: Error): string {
	if (error instanceof RefusedError) return error.refusal.code;
	const {code} = (error.cause ?? {}) as NodeJS.ErrnoException;
	return code ?? (error.message.includes('(timeout)') ? 'ETIMEDOUT' : '');
}
