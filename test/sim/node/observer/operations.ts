/**
Records the operations of clients on the agreed subscriptions, with the order in which they begin and end. At the end of
a run `checks/subscription-history.ts` checks that they are linearizable.
*/
import type {NodeId, Topic} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Host} from '../host/host.ts';
import type {RaftObserver} from './raft-observer.ts';

/** `returned` is `undefined` while the operation may still take effect. */
export type Operation = {
	readonly client: string;
	readonly topic: string;
	readonly node: string;
	readonly call:
		{readonly type: 'subscribe'; readonly since: number} | {readonly type: 'unsubscribe'} | {readonly type: 'read'};
	readonly invoked: number;
	returned: number | undefined;
	result?: number | undefined;
};

/** The deletion of a topic, which ends the subscriptions of all nodes. */
export type DeletionCall = Pick<Operation, 'client' | 'topic' | 'invoked' | 'returned'>;

export class Operations {
	readonly history: Operation[] = [];
	readonly deletions: DeletionCall[] = [];
	readonly #raft: RaftObserver;
	/** Orders events within a millisecond. */
	#moment = 0;

	constructor(raft: RaftObserver) {
		this.#raft = raft;
	}

	/** Observes the proposals of a node. */
	booted(host: Host, {control: {proposals}}: Node): void {
		const propose = proposals.propose.bind(proposals);
		Object.assign(proposals, {
			propose: (...given: Parameters<typeof propose>) => {
				const [command] = given;
				const waiting = proposals.size;
				const answer = propose(...given);
				// A command that is refused at once was never sent.
				if (proposals.size === waiting) return answer;
				if (command.type === 'delete') this.#began(this.deletions, this.#call(host, command.topic), answer);
				if (command.type === 'subscribe' || command.type === 'unsubscribe') {
					const {type, topic, node} = command;
					const call = type === 'subscribe' ? {type, since: command.since} : {type};
					this.#began(this.history, {...this.#call(host, topic), node, call}, answer);
				}

				return answer;
			},
		});
	}

	/** A linearizable read of a subscription through a node. */
	async read(host: Host, topic: Topic, of: NodeId): Promise<void> {
		const {node} = host;
		if (!node) return;
		const operation: Operation = {...this.#call(host, topic), node: of, call: {type: 'read'}};
		const key = `${this.#moment}`;
		const {checks} = this.#raft;
		checks.readBegan(key);
		try {
			const {promise, resolve, reject} = Promise.withResolvers<number>();
			host.ask(() => void node.readIndex().then(resolve, reject));
			const index = await promise;
			const view = this.#raft.view(host)!;
			view.applied = node.control.state.applied;
			checks.readServed(view, key, index);
			operation.result = node.control.state.subscribers(topic).get(of);
			operation.returned = ++this.#moment;
			this.history.push(operation);
		} catch {} // A failed read has no effect.
	}

	#call(host: Host, topic: Topic): DeletionCall {
		return {client: host.id, topic, invoked: ++this.#moment, returned: undefined};
	}

	/** Records an operation, and its end. A failure does not end it: the command may still be agreed. */
	#began<Call extends DeletionCall>(list: Call[], call: Call, answer: Promise<unknown>): void {
		list.push(call);
		answer.then(
			() => {
				call.returned = ++this.#moment;
			},
			() => undefined,
		);
	}
}
