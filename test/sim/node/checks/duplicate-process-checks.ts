/**
Two disks with one node id, because somebody copied one. At most one process publishes under the id at a time, and the
role does not move while its holder is reachable. Otherwise both would use the same sequence numbers, or nobody would
request what one of them acknowledged.

The other process may rightly take over from a process that was cut off. Then both have acknowledged messages, under
different incarnations.
*/
import type {Published} from '../../../../core/broker.ts';
import type {NodeId, Topic} from '../../../../core/message.ts';
import type {Fabric} from '../fabric.ts';
import type {Host} from '../host/host.ts';
import type {MessageChecks} from './message-checks.ts';
import {Violations} from '../../violations.ts';

export type DuplicateProcessOptions = {
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

/** A process linked with a majority for this long has been probed, and has answered. */
const settledMs = 5000;
/** The longest time that two processes of one id may run once nothing separates them. */
const togetherMs = 10_000;

export class DuplicateProcessChecks {
	readonly #options: DuplicateProcessOptions;
	/** By id: the host that acknowledged last. */
	readonly #owners = new Map<NodeId, Host>();
	/** By id, incarnation and topic. */
	readonly #acknowledged = new Map<string, Acknowledged[]>();
	readonly #ids = new Set<NodeId>();
	copies = 0;
	readonly violations = new Violations();

	constructor(options: DuplicateProcessOptions) {
		this.#options = options;
	}

	copied(host: Host): void {
		this.copies++;
		this.#ids.add(host.id);
	}

	/** The other machine that holds a disk with this id. */
	other(host: Host): Host | undefined {
		return this.#ids.has(host.id)
			? this.#options.hosts.find(other => other !== host && other.id === host.id && !other.isRetired)
			: undefined;
	}

	acknowledge(host: Host, {topic, incarnation, firstSeq, count}: Published): void {
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
				'a sequence number is acknowledged once',
				`${host.key} and ${same.host.key} both acknowledge ${key}:${firstSeq}`,
			);
		known.push({host, topic, incarnation, firstSeq, last});
		if (!this.#ids.has(id)) return;
		const owner = this.#owners.get(id);
		this.#owners.set(id, host);
		if (owner && owner !== host && this.#isSettled(owner) && this.#isLinked(host))
			this.#fail(
				'one process publishes under an id',
				`${host.key} acknowledges ${key}:${firstSeq}, and ${owner.key}, which did so before, runs and is linked with a majority`,
			);
	}

	/** A copy holds everything that the original has acknowledged so far, so the running original stays the owner. */
	adopt(host: Host): void {
		if (host.isUp) this.#owners.set(host.id, host);
	}

	/** Ids under which two processes still run. */
	unsettled(): string[] {
		return [...this.#ids].flatMap(id => {
			const running = this.#options.hosts.filter(
				host => host.id === id && host.node?.phase === 'running' && host.ranMs >= togetherMs,
			);
			return running.length > 1 ? [`${running.map(({key}) => key).join(' and ')} both run as ${id}`] : [];
		});
	}

	/**
	Messages acknowledged by a process that gave up its id, that no subscriber received and no node reported as lost,
	neither in an event nor in the reason with which the process ended.
	*/
	stranded(running: readonly Host[]): string[] {
		return [...this.#acknowledged.values()]
			.flat()
			.filter(
				({host}) =>
					this.#ids.has(host.id) &&
					host.isRetired &&
					!/\b(?:undelivered|not delivered|only here)\b/.test(host.exitReason),
			)
			.flatMap(({host, topic, incarnation, last}) =>
				this.#options.messages.isStranded(host, {topic, incarnation, seq: last}, running)
					? [
							`${host.key} acknowledged ${topic} ${incarnation}:${last}, and no other node has it; the process ended with ${host.exitReason}`,
						]
					: [],
			);
	}

	#isSettled(host: Host): boolean {
		return host.undisturbedMs >= settledMs && this.#isLinked(host);
	}

	/** Whether it has connections to a majority. A process without them continues with what was agreed before. */
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
		this.violations.record(`${rule}: ${what}`);
	}
}
