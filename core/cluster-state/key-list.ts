/**
The agreed keys of the cluster: at most two that are valid, and the last removed ones, so that a caller with such a key
is told so and messages with a MAC under it stay valid. It is a part of the cluster state, so it is deterministic;
it holds no secret in clear text. Empty until the first key is added: each node then has the key of its secret file.
*/
import {isKeyId, parseKeyLink, type AgreedKey, type KeyChange, type KeyId, type KeyState} from '../cluster-keys.ts';
import {isCount} from './command.ts';
import type {Result} from './sessions.ts';

/** Keys that are valid at a time. */
export const validKeysMax = 2;
/** Removed keys that are remembered. */
export const removedKeysMax = 8;

export type KeyEvent = {readonly type: 'key-added' | 'key-used' | 'key-removed'; readonly key: KeyId};

type SavedKey = readonly [id: KeyId, state: KeyState, sinceMs: number, link: unknown];
export type SavedKeys = readonly SavedKey[];

const done: Result = {ok: true};

export class KeyList {
	#keys: readonly AgreedKey[] = [];

	/** In the order in which they were added. A change replaces the list. */
	get keys(): readonly AgreedKey[] {
		return this.#keys;
	}

	/** `undefined` before the first change. */
	get active(): KeyId | undefined {
		return this.#keys.find(({state}) => state === 'active')?.id;
	}

	apply(change: KeyChange, atMs: number, events: KeyEvent[]): Result {
		switch (change.type) {
			case 'add':
				return this.#add(change, atMs, events);
			case 'use':
				return this.#use(change.key, atMs, events);
			case 'remove':
				return this.#remove(change.key, atMs, events);
			default:
				return change satisfies never;
		}
	}

	save(): SavedKeys {
		// Equal states have equal bytes, so there is no `undefined` and one order of fields.
		return this.#keys.map(({id, state, sinceMs, link}) => [id, state, sinceMs, parseKeyLink(link) ?? null]);
	}

	load(saved: SavedKeys | undefined): void {
		this.#keys = (saved ?? []).map(([id, state, sinceMs, link]) => ({
			id,
			state,
			sinceMs,
			link: parseKeyLink(link),
		}));
	}

	#add({key, type: _type, ...link}: Extract<KeyChange, {type: 'add'}>, atMs: number, events: KeyEvent[]): Result {
		const {before} = link;
		const founding: AgreedKey = {id: before, state: 'active', sinceMs: 0, link: undefined};
		const keys = this.#keys.length === 0 ? [founding] : this.#keys;
		const active = keys.find(({state}) => state === 'active')!.id;
		const known = keys.find(({id}) => id === key);
		if (known?.state === 'removed')
			return {ok: false, reason: `the key ${key} was removed from this cluster: take another secret`};
		if (known) return {ok: false, reason: `the key ${key} is ${known.state} already`};
		const others = keys.filter(({state}) => state === 'valid').map(({id}) => id);
		if (others.length + 1 >= validKeysMax)
			return {
				ok: false,
				reason:
					`two keys are valid already: ${active} (active) and ${others.join(', ')}. ` +
					'Finish that rotation first, or remove the second key',
			};
		if (before !== active)
			return {ok: false, reason: `the active key is ${active}, not ${before}: it has just changed, try again`};
		this.#keys = [...keys, {id: key, state: 'valid', sinceMs: atMs, link}];
		events.push({type: 'key-added', key});
		return done;
	}

	#use(key: KeyId, atMs: number, events: KeyEvent[]): Result {
		const known = this.#keys.find(({id}) => id === key);
		if (known?.state === 'active') return done;
		if (known?.state !== 'valid') return notValid(key);
		this.#keys = this.#keys.map(one => {
			if (one.state === 'removed') return one;
			return {...one, state: one.id === key ? 'active' : 'valid', sinceMs: atMs};
		});
		events.push({type: 'key-used', key});
		return done;
	}

	#remove(key: KeyId, atMs: number, events: KeyEvent[]): Result {
		const known = this.#keys.find(({id}) => id === key);
		if (known?.state === 'active')
			return {ok: false, reason: `the key ${key} is the active one: use another key first`};
		if (known?.state !== 'valid') return notValid(key);
		const removed = this.#keys.map((one): AgreedKey => {
			if (one.id === key) return {...one, state: 'removed', sinceMs: atMs};
			// Nobody needs the secret of the removed key any more.
			return one.link?.before === key ? {...one, link: {...one.link, former: undefined}} : one;
		});
		const forgotten = new Set(removed.filter(({state}) => state === 'removed').slice(0, -removedKeysMax));
		this.#keys = removed.filter(one => !forgotten.has(one));
		events.push({type: 'key-removed', key});
		return done;
	}
}

function notValid(key: KeyId): Result {
	return {ok: false, reason: `the cluster has no valid key ${key}`};
}

/** Whether decoded bytes of a snapshot have this form. */
export function isSavedKeys(value: unknown): value is SavedKeys {
	if (!Array.isArray(value) || value.length > validKeysMax + removedKeysMax) return false;
	const keys = value as readonly unknown[];
	const isValid = keys.every(raw => {
		if (!Array.isArray(raw) || raw.length !== 4) return false;
		const [id, state, sinceMs, link] = raw as readonly unknown[];
		const isState = state === 'active' || state === 'valid' || state === 'removed';
		const isLink = link === undefined || link === null || parseKeyLink(link) !== undefined;
		return isKeyId(id) && isState && isCount(sinceMs) && isLink;
	});
	if (!isValid) return false;
	const states = (keys as SavedKeys).map(([, state]) => state);
	const ids = new Set((keys as SavedKeys).map(([id]) => id));
	const isWhole =
		states.filter(state => state === 'active').length === 1 &&
		states.filter(state => state !== 'removed').length <= validKeysMax;
	return ids.size === keys.length && (keys.length === 0 || isWhole);
}
