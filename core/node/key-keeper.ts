/**
The keys of the cluster in this process: takes over what the cluster agreed on, tells the network, and keeps the secret
file of the user at the active key, so that a restart and the commands of the user use it.

The file is read regularly: a secret that an operator puts there takes effect without a restart. It is written only when
it has a key that the agreed list knows as an earlier one. One that an operator changed to a newer or to another secret
stays. A file that cannot be written is left alone: at its next start the node decrypts the newer secrets from its own
state.

At a start the state on disk may be ahead of what is applied: applying waits for a leader, and the leader may not accept
the former key any more. So the keys in the whole log on disk count until the same index is applied, or until a leader
has replaced the end of that log.
*/
import type {AgreedKey, KeyChange, KeyConnection, KeyId, KeyUse, WrongKey} from '../cluster-keys.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {OwnKeys, SecretFile} from '../ports.ts';
import type {KeyRing} from '../wire/key-ring.ts';

export type KeyKeeperOptions = {
	readonly ring: KeyRing;
	/** Whether the keys protect anything (`enable_node_auth`). */
	readonly isProtecting: boolean;
	/** `undefined` when a program gave the secret. */
	readonly file: SecretFile | undefined;
	/** The keys in the log on disk at the start, and the index of its last entry. */
	readonly stored: {readonly keys: readonly AgreedKey[]; readonly index: number};
	/** Why a text is no good secret. */
	readonly problemOf: (text: string) => string | undefined;
	readonly bytes: (count: number) => Uint8Array;
	readonly nowMs: () => number;
	readonly warn: (text: string) => void;
};

/** What the keeper needs of the network of the process. */
export type KeyedNetwork = {
	rekey(): void;
	keyConnections(): readonly KeyConnection[];
};

/** Wrong keys that are remembered, and for how long. */
export const wrongKeysMax = 16;
const wrongMs = 600_000;
/** How often the secret file is read again, in ticks. */
const readTicks = 5;
/** A file that could not be written is tried again after so many ticks. */
const retryTicks = 60;

export class KeyKeeper implements OwnKeys {
	readonly #options: KeyKeeperOptions;
	readonly #wrong = new Map<KeyId, {readonly address: string; readonly atMs: number}>();
	#network: KeyedNetwork | undefined;
	#fileKey: KeyId | undefined;
	/** The key of a file that could not be written, and the tick at which that is tried again. */
	#leftAlone: {readonly key: KeyId; readonly untilTick: number} | undefined;
	/** The state has everything that was on disk at the start, as far as it was agreed. */
	#isReplayed = false;
	#isWriting = false;
	#ticks = 0;

	constructor(options: KeyKeeperOptions) {
		this.#options = options;
		const {ring, stored} = options;
		this.#fileKey = ring.own.id;
		ring.update(stored.keys);
	}

	/** Call once, when the network is open. */
	connect(network: KeyedNetwork): void {
		this.#network = network;
	}

	agreed(keys: readonly AgreedKey[], applied: number, last: number): void {
		const {ring, stored} = this.#options;
		const isFirst = !this.#isReplayed;
		// A log that is shorter than at the start: a leader has replaced entries that were never agreed.
		this.#isReplayed ||= applied >= Math.min(stored.index, last);
		if (!this.#isReplayed) return;
		const isChanged = ring.update(keys);
		if (isChanged) this.#network?.rekey();
		if (isChanged || isFirst) this.#settleFile();
	}

	tick(): void {
		const {ring} = this.#options;
		if (ring.valid.length > 1 || this.#hasOtherConnections()) this.#network?.rekey();
		if (++this.#ticks % readTicks === 0) this.#settleFile();
	}

	use(): KeyUse {
		const {ring} = this.#options;
		this.#readFile();
		return {
			active: ring.active.id,
			valid: ring.valid.map(({id}) => id),
			file: this.#fileState,
			connections: this.#network?.keyConnections() ?? [],
		};
	}

	view(): ReturnType<OwnKeys['view']> {
		const {ring, file} = this.#options;
		return {
			active: ring.active.id,
			valid: ring.valid.map(({id}) => id),
			file: this.#fileState,
			secretFile: file?.path ?? '',
			wrong: this.#recentWrong(),
		};
	}

	keyOf(secret: Uint8Array): KeyId {
		return this.#options.ring.keyOf(secret);
	}

	addition(secret: Uint8Array): KeyChange {
		const {ring, isProtecting, bytes, problemOf} = this.#options;
		if (!isProtecting)
			throw new DapssError(
				'refused',
				'enable_node_auth is off: no key protects this cluster, so there is none to rotate',
			);
		// A secret file holds it as text.
		const text = Buffer.from(secret).toString();
		const problem = Buffer.from(text.trim()).equals(secret) ? problemOf(text) : 'it is no text of one line';
		if (problem !== undefined) throw new DapssError('usage', `Expected a good secret, but ${problem}`);
		return ring.addition(secret, bytes);
	}

	#recentWrong(): readonly WrongKey[] {
		const {ring, nowMs} = this.#options;
		const now = nowMs();
		return [...this.#wrong]
			.filter(([key, {atMs}]) => now - atMs < wrongMs && !ring.isValid(key))
			.map(([key, {address, atMs}]) => ({
				key,
				state: ring.isRemoved(key) ? 'removed' : 'unknown',
				address,
				msAgo: now - atMs,
			}));
	}

	/** A caller showed a key that is not valid here. */
	noteWrong(key: KeyId, address: string): void {
		this.#wrong.delete(key);
		if (this.#wrong.size >= wrongKeysMax) this.#wrong.delete(this.#wrong.keys().next().value!);
		this.#wrong.set(key, {address, atMs: this.#options.nowMs()});
	}

	#hasOtherConnections(): boolean {
		return (this.#network?.keyConnections() ?? []).length > 0;
	}

	get #fileState(): KeyUse['file'] {
		if (!this.#options.file) return 'none';
		return this.#isFileCurrent() ? 'current' : 'outdated';
	}

	#isFileCurrent(): boolean {
		const {ring, file} = this.#options;
		if (!file) return true;
		const key = this.#fileKey;
		return key !== undefined && ring.isValid(key) && !ring.isOlder(key, ring.active.id);
	}

	#readFile(): Uint8Array | undefined {
		const {ring, file} = this.#options;
		const held = file?.read();
		const key = held && ring.keyOf(held);
		this.#fileKey = key;
		if (held && key !== ring.own.id && ring.adopt(held)) this.#network?.rekey();
		return held;
	}

	#settleFile(): void {
		const {ring, file, warn} = this.#options;
		if (!file || this.#isWriting) return;
		const held = this.#readFile();
		const next = ring.secretOf(ring.active.id);
		if (!this.#isReplayed || !held || !next || this.#isFileCurrent()) return;
		const key = ring.keyOf(held);
		if (!ring.isRemoved(key) && !ring.isOlder(key, ring.active.id)) return;
		if (this.#leftAlone?.key === key && this.#ticks < this.#leftAlone.untilTick) return;
		this.#isWriting = true;
		file.replace(held, next)
			.then(
				() => this.#readFile(),
				(error: unknown) => {
					this.#leftAlone = {key, untilTick: this.#ticks + retryTicks};
					warn(
						`The secret file ${file.path} has the former key ${key} and is left as it is: ` +
							`${errorMessage(error)}. Put the secret of the key ${ring.active.id} into it`,
					);
				},
			)
			.finally(() => {
				this.#isWriting = false;
			});
	}
}
