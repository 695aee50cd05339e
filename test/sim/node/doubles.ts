/**
Two disks with one node id, since somebody copied one. At most one process may speak for the id at a time, and it does
not change while it can be reached: what the other acknowledged would be under numbers that are taken, or that nobody
asks for.

A process that was cut off may rightly be followed by the other one; then both have acknowledged messages, under numbers
of their own.
*/
import type {NodeId, Topic} from '../../../core/message.ts';
import type {Fabric} from './fabric.ts';
import type {Host} from './host.ts';
import type {MessageChecks} from './message-checks.ts';

export type DoublesOptions = {
	readonly fabric: Fabric;
	readonly hosts: readonly Host[];
	readonly voters: () => readonly NodeId[];
	readonly messages: MessageChecks;
};

type Acknowledged = {
	readonly host: Host;
	readonly topic: Topic;
	readonly incarnation: number;
	readonly firstSeq: number;
	readonly last: number;
};

/** Who was linked with a majority for so long has been asked whether it is there, and has answered. */
const settledMs = 5000;
/** Two processes of one id must not run side by side for longer, once nothing is in their way. */
const togetherMs = 10_000;

export class Doubles {
	readonly #options: DoublesOptions;
	/** The host that acknowledged last, by id. */
	readonly #owners = new Map<NodeId, Host>();
	/** By id, incarnation and topic. */
	readonly #acknowledged = new Map<string, Acknowledged[]>();
	readonly #ids = new Set<NodeId>();
	copies = 0;
	/** The first violation: one that is found within a promise callback would be lost otherwise. */
	problem: Error | undefined;

	constructor(options: DoublesOptions) {
		this.#options = options;
	}

	copied(host: Host): void {
		this.copies++;
		this.#ids.add(host.id);
	}

	/** There is another disk with this id on a machine. */
	other(host: Host): Host | undefined {
		return this.#ids.has(host.id)
			? this.#options.hosts.find(other => other !== host && other.id === host.id && !other.isGone)
			: undefined;
	}

	acknowledge(
		host: Host,
		topic: Topic,
		{
			incarnation,
			firstSeq,
			count,
		}: {readonly incarnation: number; readonly firstSeq: number; readonly count: number},
	): void {
		const {id} = host;
		const key = `${id} ${incarnation} ${topic}`;
		const known = this.#acknowledged.get(key) ?? [];
		this.#acknowledged.set(key, known);
		const last = firstSeq + count - 1;
		const same = this.#ids.has(id)
			? known.find(other => other.host !== host && other.firstSeq <= last && firstSeq <= other.last)
			: undefined;
		if (same)
			this.#fail(
				'a number is acknowledged once',
				`${host.key} and ${same.host.key} both acknowledge ${key}:${firstSeq}`,
			);
		known.push({host, topic, incarnation, firstSeq, last});
		if (!this.#ids.has(id)) return;
		const owner = this.#owners.get(id);
		this.#owners.set(id, host);
		if (owner && owner !== host && this.#isSettled(owner) && this.#isLinked(host))
			this.#fail(
				'one process speaks for an id',
				`${host.key} acknowledges ${key}:${firstSeq}, and ${owner.key}, which did so before, runs and is linked with a majority`,
			);
	}

	/** A copy has all that the original acknowledged so far: what it says next follows that. */
	adopt(host: Host): void {
		if (host.isUp) this.#owners.set(host.id, host);
	}

	/** Ids for which two processes still run. */
	unsettled(): string[] {
		return [...this.#ids].flatMap(id => {
			const running = this.#options.hosts.filter(
				host => host.id === id && host.node?.phase === 'running' && host.ranMs >= togetherMs,
			);
			return running.length > 1 ? [`${running.map(({key}) => key).join(' and ')} both run as ${id}`] : [];
		});
	}

	/**
	Acknowledged by a process that gave up its id, and neither brought to those who want it nor told: neither by them
	nor by the words it ended with.
	*/
	stranded(running: readonly Host[]): string[] {
		return [...this.#acknowledged.values()]
			.flat()
			.filter(
				({host}) =>
					this.#ids.has(host.id) &&
					host.isGone &&
					!/\b(?:undelivered|not delivered|only here)\b/.test(host.reason),
			)
			.flatMap(({host, topic, incarnation, last}) =>
				this.#options.messages.isStranded(host, {topic, incarnation, seq: last}, running)
					? [
							`${host.key} acknowledged ${topic} ${incarnation}:${last}, which nobody else has: it ended with ${host.reason}`,
						]
					: [],
			);
	}

	#isSettled(host: Host): boolean {
		return host.peaceMs >= settledMs && this.#isLinked(host);
	}

	/** It has connections to a majority. A process that has none continues with what was agreed when it had. */
	#isLinked(host: Host): boolean {
		const {fabric, hosts, voters} = this.#options;
		const all = voters();
		const linked = all.filter(
			voter =>
				voter === host.id ||
				hosts.some(
					other =>
						other.id === voter && other.isUp && !other.isPaused && fabric.isLinked(host.key, other.key),
				),
		).length;
		return linked * 2 > all.length;
	}

	#fail(rule: string, what: string): void {
		this.problem ??= new Error(`${rule}: ${what}`);
	}
}
