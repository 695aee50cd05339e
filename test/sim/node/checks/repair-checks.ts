/**
A node that reports a partition as repaired must hold everything that the far side held at the heal. A peer that goes
away or restarts in between is ignored.
*/
import type {PartitionEvent} from '../../../../core/events.ts';
import type {BatchHeader, NodeId} from '../../../../core/message.ts';
import type {Host} from '../host/host.ts';
import type {MessageChecks} from './message-checks.ts';

type Far = {
	readonly host: Host;
	readonly incarnation: number;
	readonly had: ReadonlyArray<readonly [string, BatchHeader]>;
};

export class RepairChecks {
	readonly #messages: MessageChecks;
	/** By machine: the members on the far side, by its last report. */
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

	/** The node reports a member as gone. */
	gone(host: Host, id: NodeId): void {
		const far = this.#healed.get(host);
		if (far)
			this.#healed.set(
				host,
				far.filter(other => other.host.id !== id),
			);
	}

	/**
	Subscriptions were agreed. The repair does not wait for a topic that the node no longer subscribes to; a later
	subscription has nothing to do with the heal.
	*/
	subscribed(host: Host): void {
		const far = this.#healed.get(host);
		if (far && host.node)
			this.#healed.set(
				host,
				far.map(one => ({...one, had: one.had.filter(([, {topic}]) => host.node!.data.isSubscribed(topic))})),
			);
	}

	/** The node reports a partition. Returns the violation. */
	reported(host: Host, {state, sides}: PartitionEvent, all: readonly Host[]): string | undefined {
		if (state === 'detected') {
			this.#cutOff.set(host, new Set(sides.slice(1).flat()));
			this.#healed.delete(host);
			return undefined;
		}

		const up = all.filter(({node}) => node?.phase === 'running');
		if (state === 'ended') {
			const back = sides.flat().find(id => this.#cutOff.get(host)?.has(id));
			this.#cutOff.delete(host);
			return back === undefined
				? undefined
				: `a partition ends without a heal only if nobody came back: ${host.id} is with ${back} again`;
		}

		if (state === 'healed') {
			const here = new Set(sides.flat());
			// With two processes of one id, the node may be linked to the copy.
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
			// Digests do not list messages from before the present subscription.
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

		// The repair does not wait for nodes that are no longer members.
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
			if (lacked !== undefined)
				return `a reported repair has happened: ${lacked}, which ${other.id} had at the heal`;
		}

		return undefined;
	}
}

/** The start of the node's present subscription. A subscription agreed just now takes effect after the heal. */
function sinceOf({id, node}: Host, {topic}: BatchHeader): number | undefined {
	return node!.data.isSubscribed(topic) ? node!.control.state.subscribers(topic).get(id) : undefined;
}
