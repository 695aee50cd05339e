/**
An operator who rotates the key of the cluster, step by step, through any node that runs. Before a key is removed, the
operator gives the present secret to all machines, as docs/security.md says: nodes that are down, or that may not write
their secret file, have it when they need it. So with and without `force` no node stays behind.
*/
import {createHash} from 'node:crypto';
import type {KeyId} from '../../../core/cluster-keys.ts';
import {KeyRing} from '../../../core/wire/key-ring.ts';
import type {Host} from './host/host.ts';

type Step = 'add' | 'use' | 'remove';

/** The secret with this number; 0 is the founder's. */
export function simSecret(number: number): Uint8Array {
	return Buffer.from(createHash('sha256').update(`secret ${number}`).digest('base64url'));
}

export class KeyOperator {
	/** The number of the secret that a new machine gets. */
	#present = 0;
	#next = 0;
	#step: Step = 'add';
	/** The node that has not answered yet. A process that has ended never will. */
	#asked: {readonly host: Host; readonly node: Host['node']} | undefined;
	#why = '';
	readonly #removed = new Set<KeyId>();
	readonly counts = {added: 0, used: 0, removed: 0, refused: 0};

	/** The secret that a new machine gets. */
	get secret(): Uint8Array {
		return simSecret(this.#step === 'remove' ? this.#next : this.#present);
	}

	/** Takes the next step. @param hosts all machines @param draw a random number */
	act(host: Host, hosts: readonly Host[], draw: number): void {
		const {node} = host;
		if (this.#asked && this.#asked.host.node === this.#asked.node) return;
		this.#asked = {host, node};
		const force = draw % 2 === 0;
		switch (this.#step) {
			case 'add': {
				// After a lost answer the same secret is added again.
				if (this.#next === this.#present) this.#next++;
				return this.#ask('use', 'added', node!.changeKeys({type: 'add', secret: simSecret(this.#next)}));
			}

			case 'use':
				return this.#ask('remove', 'used', node!.changeKeys({type: 'use', key: idOf(this.#next), force}));
			case 'remove': {
				const former = idOf(this.#present);
				for (const one of hosts) if (idOf(one.secret) === former) one.secret = simSecret(this.#next);
				return this.#ask('add', 'removed', node!.changeKeys({type: 'remove', key: former, force}));
			}

			default:
				return this.#step satisfies never;
		}
	}

	/** After the heal: completes the rotation, without `force`. */
	finish(members: readonly Host[], hosts: readonly Host[]): void {
		const host = members.find(({node}) => node?.phase === 'running');
		if (host && this.#step !== 'add') this.act(host, hosts, 1);
	}

	/** What members lack after the heal. @param hosts those of the members that run */
	remaining(hosts: readonly Host[]): readonly string[] {
		const lists = new Set(hosts.flatMap(({node}) => (node ? [JSON.stringify(listOf(node))] : [])));
		return [
			...(this.#step === 'add' ? [] : [`the rotation waits for ${this.#step}: ${this.#why}`]),
			...(lists.size > 1 ? [`members have different keys: ${[...lists].join(' and ')}`] : []),
			...hosts.flatMap(({id, node, keys}) => {
				const agreed = node ? listOf(node).filter(({state}) => state !== 'removed') : [];
				const valid = agreed.toSorted((one, other) => one.state.localeCompare(other.state)).map(key => key.id);
				if (agreed.length === 0 || keys.join() === valid.join()) return [];
				return [`${id} accepts the keys ${keys.join()}, the cluster has ${valid.join()}`];
			}),
			...[...this.#removed]
				.filter(key => hosts.some(({keys}) => keys.includes(key)))
				.map(key => `the removed key ${key} is accepted`),
		];
	}

	#ask(next: Step, count: 'added' | 'used' | 'removed', work: Promise<unknown>): void {
		const asked = this.#asked;
		const isLate = (): boolean => this.#asked !== asked;
		work.then(
			() => {
				if (isLate()) return;
				this.counts[count]++;
				if (this.#step === 'remove') this.#restart();
				else this.#step = next;
			},
			(error: Error) => {
				if (isLate()) return;
				this.counts.refused++;
				this.#why = error.message;
				// A change whose answer was lost took place nevertheless.
				if (/is valid already|is active already/.test(error.message) && this.#step === 'add')
					this.#step = 'use';
				if (this.#step === 'remove' && /has no valid key|was removed/.test(error.message)) this.#restart();
			},
		).finally(() => {
			if (!isLate()) this.#asked = undefined;
		});
	}

	/** The former key is removed. */
	#restart(): void {
		this.#removed.add(idOf(this.#present));
		this.#present = this.#next;
		this.#step = 'add';
	}
}

const ids = new Map<string, KeyId>();

/** The key of a secret; computed once. */
export function idOf(secret: Uint8Array | number): KeyId {
	const bytes = typeof secret === 'number' ? simSecret(secret) : secret;
	const text = Buffer.from(bytes).toString();
	const known = ids.get(text) ?? new KeyRing({secret: bytes, cluster: 'dapss'}).own.id;
	ids.set(text, known);
	return known;
}

function listOf(node: NonNullable<Host['node']>): readonly {readonly id: KeyId; readonly state: string}[] {
	return node.control.state.keys.keys.map(({id, state}) => ({id, state}));
}
