/**
The keys that this process has: those that the cluster agreed on, as far as it can decrypt their secrets from its own.

A process begins with the secret of its file. From the agreed list it learns the secrets of keys that were added after
its own, and during a rotation that of the one before. A key of the file that the list does not have is probably newer
than the state of this process, which missed a rotation, and an operator put the present secret into the file. Such a
key is used after those that the list has.
*/
import {createSecretKey, type KeyObject} from 'node:crypto';
import type {AgreedKey, KeyChange, KeyId, KeyLink} from '../cluster-keys.ts';
import {unwrap, wrap, wrapNonceBytes} from './key-wrap.ts';
import {deriveKeys, type Keys} from './seal.ts';

/** The keys of a process, as its connections use them. */
export type KeySet<Use = Keys> = {
	/** Calls, seals and signs. */
	readonly active: Use;
	/** Accepted: the active one first. */
	readonly valid: readonly Use[];
	/** Whether the cluster removed a key. @default never */
	isRemoved?(id: KeyId): boolean;
};

/** The keys of a process that never change: of a client. */
export function fixedKeys<Use>(keys: Use): KeySet<Use> {
	return {active: keys, valid: [keys]};
}

export class KeyRing implements KeySet {
	#own: Keys;
	readonly #cluster: string;
	readonly #enableNodeAuth: boolean;
	readonly #secrets = new Map<KeyId, Uint8Array>();
	readonly #keys = new Map<KeyId, Keys>();
	#agreed: readonly AgreedKey[] = [];
	#valid: readonly Keys[];
	#batchKeys: readonly KeyObject[];

	constructor({
		secret,
		cluster,
		enableNodeAuth = true,
	}: {
		readonly secret: Uint8Array;
		readonly cluster: string;
		readonly enableNodeAuth?: boolean;
	}) {
		this.#cluster = cluster;
		this.#enableNodeAuth = enableNodeAuth;
		this.#own = this.#learn(secret);
		this.#valid = [this.#own];
		this.#batchKeys = [this.#own.batch];
	}

	/** The key of the secret file. */
	get own(): Keys {
		return this.#own;
	}

	get active(): Keys {
		return this.#valid[0]!;
	}

	get valid(): readonly Keys[] {
		return this.#valid;
	}

	/** Keys that may have signed a batch, the active one first, also those of removed keys. */
	get batchKeys(): readonly KeyObject[] {
		return this.#batchKeys;
	}

	isValid(id: KeyId): boolean {
		return this.#valid.some(key => key.id === id);
	}

	/** Whether the cluster removed the key, as far as this process knows. */
	isRemoved(id: KeyId): boolean {
		return this.#agreed.some(key => key.id === id && key.state === 'removed');
	}

	/** The secret of a key; `undefined` for one that this process cannot decrypt. */
	secretOf(id: KeyId): Uint8Array | undefined {
		return this.#secrets.get(id);
	}

	/** The key of a secret. */
	keyOf(secret: Uint8Array): KeyId {
		return this.#derive(secret).id;
	}

	/** Whether the key was added before the other one, as far as the agreed list has both. */
	isOlder(id: KeyId, than: KeyId): boolean {
		const at = (one: KeyId): number => this.#agreed.findIndex(key => key.id === one);
		return at(id) !== -1 && at(id) < at(than);
	}

	/** Takes over the agreed list. True when the usable keys have changed. */
	update(agreed: readonly AgreedKey[]): boolean {
		if (agreed === this.#agreed) return false;
		this.#agreed = agreed;
		return this.#recompute();
	}

	/** The secret file has another secret now. True when the usable keys have changed. */
	adopt(secret: Uint8Array): boolean {
		this.#own = this.#learn(secret);
		return this.#recompute();
	}

	#recompute(): boolean {
		const agreed = this.#agreed;
		this.#unwrapSecrets();
		const former = this.#valid;
		const usable = agreed
			.filter(({state}) => state !== 'removed')
			.toSorted((one, other) => Number(other.state === 'active') - Number(one.state === 'active'))
			.flatMap(({id}) => this.#keys.get(id) ?? []);
		const isUnknown = !agreed.some(({id}) => id === this.#own.id);
		// Without any usable key the own one shows to others, and to an operator, that it is the wrong one.
		this.#valid = isUnknown || usable.length === 0 ? [...usable, this.#own] : usable;
		this.#batchKeys = this.#unwrapBatchKeys();
		return former.map(({id}) => id).join() !== this.#valid.map(({id}) => id).join();
	}

	/** The change that adds a key with this secret. @param bytes gives random bytes */
	addition(secret: Uint8Array, bytes: (count: number) => Uint8Array): KeyChange {
		const next = this.#derive(secret);
		const {active} = this;
		const activeSecret = this.#secrets.get(active.id)!;
		const place = (what: 'secret' | 'batch', isBack: boolean) => ({
			cluster: this.#cluster,
			what,
			key: isBack ? active.id : next.id,
			under: isBack ? next.id : active.id,
		});
		const nonce = (): Uint8Array => bytes(wrapNonceBytes);
		return {
			type: 'add',
			key: next.id,
			before: active.id,
			secret: wrap(secret, activeSecret, place('secret', false), nonce()),
			former: wrap(activeSecret, secret, place('secret', true), nonce()),
			batch: wrap(next.batch.export(), active.batch.export(), place('batch', false), nonce()),
			formerBatch: wrap(active.batch.export(), next.batch.export(), place('batch', true), nonce()),
		};
	}

	/** Decrypts what can be decrypted, starting from the secrets that are known, in both directions. */
	#unwrapSecrets(): void {
		this.#spread(
			this.#secrets,
			({secret}) => secret,
			({former}) => former,
			'secret',
			(id, bytes) => {
				// What a wrong leader wrote is not a key of that name.
				if (this.#derive(bytes).id === id) this.#learn(bytes);
			},
		);
	}

	#unwrapBatchKeys(): readonly KeyObject[] {
		const known = new Map<KeyId, Uint8Array>(this.#valid.map(({id, batch}) => [id, batch.export()]));
		for (const [id, {batch}] of this.#keys) known.set(id, batch.export());
		this.#spread(
			known,
			({batch}) => batch,
			({formerBatch}) => formerBatch,
			'batch',
			(id, bytes) => void known.set(id, bytes),
		);
		const first = this.#valid.map(({id}) => id);
		// The newest first: it signed the most recent messages.
		const rest = this.#agreed.map(({id}) => id).toReversed();
		return [...new Set([...first, ...rest])].flatMap(id => {
			const bytes = known.get(id);
			return bytes ? [createSecretKey(bytes)] : [];
		});
	}

	#spread(
		known: ReadonlyMap<KeyId, Uint8Array>,
		forward: (link: KeyLink) => Uint8Array | undefined,
		back: (link: KeyLink) => Uint8Array | undefined,
		what: 'secret' | 'batch',
		learn: (id: KeyId, bytes: Buffer) => void,
	): void {
		const open = (key: KeyId, under: KeyId, sealed: Uint8Array | undefined): void => {
			const base = known.get(under);
			if (known.has(key) || !base || !sealed) return;
			const bytes = unwrap(sealed, base, {cluster: this.#cluster, what, key, under});
			if (bytes) learn(key, bytes);
		};
		for (const {id, link} of this.#agreed) if (link) open(id, link.before, forward(link));
		for (const {id, link} of this.#agreed.toReversed()) if (link) open(link.before, id, back(link));
		// Keys that were added to a key that was only found on the way back.
		for (const {id, link} of this.#agreed) if (link) open(id, link.before, forward(link));
	}

	#learn(secret: Uint8Array): Keys {
		const keys = this.#derive(secret);
		this.#secrets.set(keys.id, secret);
		this.#keys.set(keys.id, keys);
		return keys;
	}

	#derive(secret: Uint8Array): Keys {
		return deriveKeys({secret, cluster: this.#cluster, enableNodeAuth: this.#enableNodeAuth});
	}
}
