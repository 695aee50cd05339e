/**
Operators who create topics with their own retention, delete topics, change access and rotate the key, through any node
that runs.
*/
import type {Config} from '../../../core/config.ts';
import type {Topic} from '../../../core/message.ts';
import {AccessOperator} from './access-operator.ts';
import type {Host} from './host/host.ts';
import {KeyOperator} from './key-operator.ts';
import type {Event} from './plan.ts';

export class Operators {
	readonly #topics: readonly Topic[];
	readonly #storage: Config['storage'];
	readonly access = new AccessOperator();
	readonly keys = new KeyOperator();

	constructor(topics: readonly Topic[], storage: Config['storage']) {
		this.#topics = topics;
		this.#storage = storage;
	}

	/** Returns false if no node can be asked. */
	act(
		kind: 'create-topic' | 'delete-topic' | 'rotate-key',
		up: readonly Host[],
		{a, b}: Pick<Event, 'a' | 'b'>,
		hosts: readonly Host[],
	): boolean {
		const host = up[a % Math.max(1, up.length)];
		if (host?.node?.phase !== 'running' || host.isPaused) return false;
		if (kind === 'rotate-key') {
			this.keys.act(host, hosts, b);
			return true;
		}

		const topic = this.#topics[b % this.#topics.length]!;
		const {retainBytes} = this.#storage;
		if (kind === 'create-topic') this.access.act(host, b >> 13);
		// A refusal is an answer, not a failure.
		if (kind === 'delete-topic') host.node.deleteTopic(topic, {force: (b >> 4) % 4 !== 0}).catch(() => undefined);
		else
			host.node
				.createTopic(
					topic,
					{
						...((b >> 4) % 2 === 0 ? {retainAgeS: 2 + ((b >> 6) % 30)} : {}),
						...((b >> 5) % 2 === 0 ? {retainBytes} : {}),
					},
					{update: (b >> 12) % 2 === 0},
				)
				.catch(() => undefined);
		return true;
	}
}
