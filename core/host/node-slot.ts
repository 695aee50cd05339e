/**
The place of the running node while its process starts. Sockets open before the node has recovered its logs, so their
callbacks ask here whether there is a node yet. Events that happen before that are buffered, and recorded by its journal
later.
*/
import type {BrokerEvent} from '../events.ts';
import type {RefusedPeer} from '../io/net/channel.ts';
import type {Node} from '../node/node.ts';

/** Different warnings of one process, and events before there is a node. */
const warningsMax = 1000;

export class NodeSlot {
	#node: Node | undefined;
	readonly #early: BrokerEvent[] = [];
	readonly #warned = new Set<string>();

	/** `undefined` until the node has recovered its logs. */
	get node(): Node | undefined {
		return this.#node;
	}

	/** The node has recovered its logs. */
	set(node: Node): void {
		this.#node = node;
		for (const event of this.#early.splice(0)) node.journal.record(event);
	}

	/** Record a warning, unless the same text was recorded before. */
	warn(text: string): void {
		if (this.#warned.has(text) || this.#warned.size >= warningsMax) return;
		this.#warned.add(text);
		this.#record({type: 'warning', text});
	}

	/** A connection was refused, by this node or by the peer. */
	refused(refused: RefusedPeer): void {
		if (!this.#node?.leaving.isExpected(refused)) this.#record({type: 'refused', ...refused});
	}

	/** A limit was hit. `who`: the client that hit it, if it is known. */
	bound(name: string, who?: string): void {
		this.#node?.journal.bound(name, who);
	}

	#record(event: BrokerEvent): void {
		if (this.#node) this.#node.journal.record(event);
		else if (this.#early.length < warningsMax) this.#early.push(event);
	}
}
