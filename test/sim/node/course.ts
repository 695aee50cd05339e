/** The course of a run of whole nodes: its virtual time, and a hash of what happened. */
import type {RaftStatus} from '../../../core/raft/types.ts';
import {drainMicrotasks} from '../microtasks.ts';
import {hash32} from '../random.ts';
import {Schedule} from '../schedule.ts';

const eventsMax = 2_000_000;

export class Course {
	readonly schedule = new Schedule();
	readonly #trace: ((line: string) => void) | undefined;
	#fingerprint = 0;
	#events = 0;

	constructor(trace?: (line: string) => void) {
		this.#trace = trace;
	}

	get nowMs(): number {
		return this.schedule.nowMs;
	}

	get events(): number {
		return this.#events;
	}

	/** Equal for equal runs. */
	get fingerprint(): number {
		return this.#fingerprint;
	}

	note(text: string): void {
		this.#fingerprint = hash32(`${this.nowMs} ${text}`, this.#fingerprint);
		this.#trace?.(`${this.nowMs} ${text}`);
	}

	/**
	Runs events until the condition holds. False when the time is over before.
	@param check called after each event
	*/
	advance(forMs: number, isDone: () => boolean, check: () => void): boolean {
		const untilMs = this.nowMs + forMs;
		while (!isDone()) {
			if (!this.schedule.next(untilMs)) return false;
			if (++this.#events > eventsMax) throw new Error(`no end: ${eventsMax} events`);
			drainMicrotasks();
			check();
		}

		return true;
	}
}

/** The first digits of an id. */
export function shortId(id: string): string {
	return id.slice(0, 4);
}

/** The state of consensus at a node, for the message of a failed run. */
export function raftText({role, term, leader, applied, commit, lastIndex, configuration}: RaftStatus): string {
	return [
		`${role} term ${term} leader ${leader === undefined ? '' : shortId(leader)}`,
		`${applied}/${commit}/${lastIndex}`,
		`voters ${configuration.voters.map(shortId).join(',')}`,
	].join(' ');
}
