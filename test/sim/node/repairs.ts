/**
Whether a repair that is told has happened: a node that says that a partition is repaired has all that the far side had
at the heal. Whoever goes away between the two, or comes back anew, is not waited for.
*/
import type {PartitionEvent} from '../../../core/events.ts';
import type {BatchHeader, NodeId} from '../../../core/message.ts';
import type {Host} from './host.ts';
import type {MessageChecks} from './message-checks.ts';

type Far = {
	readonly host: Host;
	readonly incarnation: number;
	readonly had: ReadonlyArray<readonly [string, BatchHeader]>;
};

export class Repairs {
	readonly #messages: MessageChecks;
	/** By machine: who is on the far side, as it told last. */
	readonly #cutOff = new Map<Host, Set<NodeId>>();
	readonly #healed = new Map<Host, readonly Far[]>();
	count = 0;

	constructor(messages: MessageChecks) {
		this.#messages = messages;
	}

	booted(host: Host): void {
		this.#cutOff.delete(host);
		this.#healed.delete(host);
	}

	/** A member is not there any more, as the node says. */
	gone(host: Host, id: NodeId): void {
		const far = this.#healed.get(host);
		if (far)
			this.#healed.set(
				host,
				far.filter(other => other.host.id !== id),
			);
	}

	/**
	Subscriptions were agreed. Of a topic that the node wants no more nothing is waited for; if it subscribes again,
	that has nothing to do with the heal.
	*/
	subscribed(host: Host): void {
		const far = this.#healed.get(host);
		if (far && host.node)
			this.#healed.set(
				host,
				far.map(one => ({...one, had: one.had.filter(([, {topic}]) => host.node!.data.isSubscribed(topic))})),
			);
	}

	/** What is wrong with what the node tells; `undefined` when nothing. */
	told(host: Host, {state, sides}: PartitionEvent, all: readonly Host[]): string | undefined {
		if (state === 'detected') {
			this.#cutOff.set(host, new Set(sides.slice(1).flat()));
			this.#healed.delete(host);
			return undefined;
		}

		const up = all.filter(({node}) => node?.phase === 'running');
		if (state === 'healed') {
			const here = new Set(sides.flat());
			// Of two processes of one id it may be linked to the copy.
			const isOne = ({id}: Host): boolean => up.filter(other => other.id === id).length === 1;
			const far = up.filter(
				other =>
					other !== host &&
					!other.isCopy &&
					isOne(other) &&
					this.#cutOff.get(host)?.has(other.id) &&
					here.has(other.id),
			);
			const wants = (one: Host, header: BatchHeader): boolean =>
				header.lamport > (sinceOf(one, header) ?? Infinity);
			// What one has kept from before its present subscription is not told in digests.
			const tells = (one: Host, header: BatchHeader): boolean => header.origin === one.id || wants(one, header);
			this.#healed.set(
				host,
				far.map(other => ({
					host: other,
					incarnation: other.node!.options.incarnation,
					had: this.#messages.held(other).filter(([, header]) => wants(host, header) && tells(other, header)),
				})),
			);
			return undefined;
		}

		// Who is no longer a member is not waited for.
		const far = (this.#healed.get(host) ?? []).filter(({host: {id}}) => sides.flat().includes(id));
		this.booted(host);
		this.count++;
		for (const {host: other, incarnation, had} of far) {
			if (other.node?.phase !== 'running' || other.node.options.incarnation !== incarnation) continue;
			const still = new Set(this.#messages.held(other).map(([key]) => key));
			const [lacked] = this.#messages.lacks(
				host,
				had.filter(([key]) => still.has(key)),
				up,
			);
			if (lacked !== undefined) return `${lacked}, which ${other.id} had at the heal`;
		}

		return undefined;
	}
}

/** What the node wishes of the topic now. A subscription that was agreed a moment ago takes effect after the heal. */
function sinceOf({id, node}: Host, {topic}: BatchHeader): number | undefined {
	return node!.data.isSubscribed(topic) ? node!.control.state.subscribers(topic).get(id) : undefined;
}
