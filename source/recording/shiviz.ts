/**
The causal order of recorded messages as a log for ShiViz: two lines for each event, `NODE {"NODE":n, …}` with its
vector time, and a text. A recorded node has an event for each message that it published or delivered, in the order of
its feed. A node without a recording has only the publications that others delivered: what it had received before them
is unknown, so they depend on its own earlier ones only.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {topicText} from '../../core/observe/topic-text.ts';
import type {MessageSnapshot} from '../../core/snapshot.ts';
import {keyOf, processesOf, type Process} from './invariants.ts';
import type {Recording} from './recording.ts';

type Time = ReadonlyMap<string, number>;
export type Shiviz = {readonly log: string; readonly events: number; readonly hosts: number};

/** The regular expression that ShiViz needs to read the log. */
export const shivizPattern = String.raw`(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`;

export function shivizOf(recordings: readonly Recording[]): Shiviz {
	const processes = recordings.flatMap(recording => processesOf(recording));
	return new Clocks(processes).run();
}

/** Vector times: each event of a host raises its own component, and a delivery takes over those of the publication. */
class Clocks {
	readonly #lines: string[] = [];
	readonly #now = new Map<string, Map<string, number>>();
	readonly #published = new Map<string, Time>();
	readonly #hosts = new Map<string, string>();
	/** What each recorded process has left to do. */
	readonly #queues: Array<{readonly host: string; readonly messages: MessageSnapshot[]}> = [];
	readonly #recorded = new Set<string>();

	constructor(processes: readonly Process[]) {
		for (const {last} of processes) {
			const label = labelsOf(last.members);
			for (const {id} of last.members) this.#hosts.set(id, label(id).replaceAll(/\s+/gu, '_'));
		}

		for (const {last, delivered} of processes) {
			this.#recorded.add(last.self);
			this.#queues.push({host: last.self, messages: delivered.map(({message}) => message)});
		}
	}

	run(): Shiviz {
		let isBlocked = false;
		while (this.#queues.some(({messages}) => messages.length > 0)) {
			const moved = this.#queues.filter(queue => this.#advance(queue, isBlocked)).length > 0;
			// The publication is not in the sample of its node: it is placed where it is first known.
			isBlocked = !moved;
		}

		return {
			log: this.#lines.map(line => `${line}\n`).join(''),
			events: this.#lines.length / 2,
			hosts: this.#now.size,
		};
	}

	/** Handles the messages of a queue until one waits for its publication elsewhere. */
	#advance(
		{host, messages}: {readonly host: string; readonly messages: MessageSnapshot[]},
		isForced: boolean,
	): boolean {
		let count = 0;
		for (; count < messages.length; count++) {
			const message = messages[count]!;
			const {origin} = message;
			if (origin === host) this.#publish(message);
			else {
				const isWaiting = !this.#published.has(keyOf(message)) && this.#recorded.has(origin);
				if (isWaiting && !(isForced && count === 0)) break;
				if (!this.#published.has(keyOf(message))) this.#publish(message);
				this.#event(
					host,
					`received ${textOf(message, this.#label(origin))}`,
					this.#published.get(keyOf(message)),
				);
			}
		}

		messages.splice(0, count);
		return count > 0;
	}

	#publish(message: MessageSnapshot): void {
		const key = keyOf(message);
		if (this.#published.has(key)) return;
		this.#event(message.origin, `published ${textOf(message, this.#label(message.origin))}`);
		this.#published.set(key, new Map(this.#now.get(message.origin)));
	}

	#event(host: string, text: string, cause: Time = new Map()): void {
		let now = this.#now.get(host);
		if (!now) this.#now.set(host, (now = new Map()));
		for (const [other, time] of cause) now.set(other, Math.max(now.get(other) ?? 0, time));
		now.set(host, (now.get(host) ?? 0) + 1);
		const clock = Object.fromEntries([...now].map(([other, time]) => [this.#label(other), time]));
		this.#lines.push(`${this.#label(host)} ${JSON.stringify(clock)}`, text);
	}

	#label(id: string): string {
		return this.#hosts.get(id) ?? id.slice(0, 8);
	}
}

function textOf({topic, seq, lamport}: MessageSnapshot, origin: string): string {
	return `${topicText(topic).replaceAll(/\s+/gu, ' ')} #${seq} of ${origin}, lamport ${lamport}`;
}
