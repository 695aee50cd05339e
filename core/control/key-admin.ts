/**
Changes the keys of the cluster for an operator, through the Raft log.

The order keeps all members reachable: a key is used only once every member accepts it, and removed only once nobody
uses it. What members have applied and use is asked of each of them, because the log tells only what they have stored.
With `force` a member that does not answer, or is not ready, is left behind.
*/
import type {IdentityKey} from '../access.ts';
import {
	parseKeyUse,
	secretBytesRange,
	type ChangedKey,
	type KeyChange,
	type KeyConnection,
	type KeyId,
	type KeyRequest,
	type KeysReport,
	type KeyUse,
} from '../cluster-keys.ts';
import {accessProtocol} from '../cluster-state/cluster-state.ts';
import type {Command} from '../cluster-state/command.ts';
import {DapssError} from '../errors.ts';
import type {NodeId} from '../message.ts';
import type {OwnKeys} from '../ports.ts';
import {decodeControl} from '../wire/wire.ts';
import type {Control} from './control.ts';

export type KeyAdminOptions = {
	readonly self: NodeId;
	readonly control: Control;
	/** `undefined` for a node whose network has no keys. */
	readonly keys: OwnKeys | undefined;
	/** The time in which this process ran, for deadlines: an answer may have come during a pause. */
	readonly awakeMs: () => number;
	/** For people. */
	readonly wallMs: () => number;
	readonly isReachable: (node: NodeId) => boolean;
	/** The name of a node, or its id. */
	readonly label: (node: NodeId) => string;
	readonly propose: (command: Command) => Promise<void>;
	/** False when there is no link. */
	readonly send: (to: NodeId, kind: 'manage' | 'managed', packet: unknown) => boolean;
};

type Author = {readonly by: IdentityKey | undefined; readonly isOwner: boolean};
type Uses = ReadonlyMap<NodeId, KeyUse>;
type Round = {
	readonly waiting: Set<NodeId>;
	readonly uses: Map<NodeId, KeyUse>;
	readonly untilMs: number;
	readonly resolve: (uses: Uses) => void;
};

/** Deadline for the reports of members, milliseconds. */
const reportMs = 2000;
/** How long members may take to apply a change, or to renew their links, milliseconds. */
const settleMs = 5000;
const roundsMax = 64;
/** Connections that a refusal names. */
const namedMax = 8;

export class KeyAdmin {
	readonly #options: KeyAdminOptions;
	readonly #rounds = new Map<number, Round>();
	#seq = 0;
	#ticked = Promise.withResolvers<void>();
	#isClosed = false;

	constructor(options: KeyAdminOptions) {
		this.#options = options;
	}

	/** The keys, and what the members that answer do with them. */
	async report(): Promise<KeysReport> {
		const own = this.#own();
		const uses = await this.#ask();
		const agreed = this.#options.control.state.keys.keys;
		const keys = agreed.length > 0 ? agreed : [{id: own.use().active, state: 'active' as const, sinceMs: 0}];
		return {
			keys: keys.map(({id, state, sinceMs}) => ({
				id,
				state,
				sinceMs,
				usedBy: [...uses].filter(([, {active}]) => active === id).map(([node]) => node),
			})),
			outdatedFiles: [...uses].filter(([, {file}]) => file === 'outdated').map(([node]) => node),
			connections: [...uses].flatMap(([at, {connections}]) => connections.map(one => ({...one, at}))),
			away: this.#members().filter(node => !uses.has(node)),
		};
	}

	/**
	Change the keys. Resolves once this is agreed, and reachable members have applied it.
	@throws `usage`; `refused` with the members that are not ready; and as `Control.propose`
	*/
	async change(request: KeyRequest, author: Author): Promise<ChangedKey> {
		const {control} = this.#options;
		const own = this.#own();
		if (control.state.protocol < accessProtocol)
			throw new DapssError(
				'refused',
				'Keys are rotated once all members run a version that supports it ' +
					`(protocol ${accessProtocol}); this cluster uses protocol ${control.state.protocol}. ` +
					'`peers` shows the version of each member: upgrade the older ones',
			);
		switch (request.type) {
			case 'add':
				return this.#add(own, request.secret, author);
			case 'use':
				return this.#use(request.key, request.force, author);
			case 'remove':
				return this.#remove(request.key, request.force, author);
			default:
				return request satisfies never;
		}
	}

	/** Report the own use to a member. False when the frame is no such question. */
	onQuestion(from: NodeId, frame: Buffer): boolean {
		const {keys: seq} = Object(decodeControl(frame)) as Record<string, unknown>;
		if (!isCount(seq)) return false;
		const {keys, send} = this.#options;
		if (keys) send(from, 'managed', {keys: seq, use: keys.use()});
		return true;
	}

	/** Record the report of a member. False when the frame is no report. */
	onAnswer(from: NodeId, frame: Buffer): boolean {
		const {keys: seq, use: raw} = Object(decodeControl(frame)) as Record<string, unknown>;
		const use = parseKeyUse(raw);
		if (!isCount(seq) || !use) return false;
		const round = this.#rounds.get(seq);
		if (round?.waiting.delete(from)) round.uses.set(from, use);
		this.#check();
		return true;
	}

	tick(): void {
		this.#check();
		this.#ticked.resolve();
		this.#ticked = Promise.withResolvers<void>();
	}

	close(): void {
		this.#isClosed = true;
		this.tick();
	}

	async #add(own: OwnKeys, secret: Uint8Array, author: Author): Promise<ChangedKey> {
		const [min, max] = secretBytesRange;
		if (secret.length < min || secret.length > max)
			throw new DapssError('usage', `Expected a secret of ${min} to ${max} bytes, got ${secret.length}`);
		const change = own.addition(secret);
		await this.#propose(change, author);
		return {key: change.key, missing: await this.#settled(use => use.valid.includes(change.key))};
	}

	async #use(key: KeyId, force: boolean, author: Author): Promise<ChangedKey> {
		this.#expectValid(key);
		const uses = await this.#ask();
		const lacking = this.#members().filter(node => !(uses.get(node)?.valid.includes(key) ?? false));
		if (lacking.length > 0 && !force) {
			const {label} = this.#options;
			const names = lacking.map(
				node => `${label(node)} (${uses.has(node) ? 'has not applied it' : 'does not answer'})`,
			);
			throw new DapssError(
				'refused',
				`The key ${key} is not known to all members yet: ${names.join(', ')}. ` +
					'Start or wait for them. --force uses it nonetheless: until such a member has the key, it ' +
					'is called with the former one, and drops datagrams under the new one. If it comes back ' +
					'after the former key was removed, it needs the new secret in its secret file',
			);
		}

		await this.#propose({type: 'use', key}, author);
		return {key, missing: await this.#settled(use => use.active === key)};
	}

	async #remove(key: KeyId, force: boolean, author: Author): Promise<ChangedKey> {
		this.#expectValid(key);
		const untilMs = this.#options.awakeMs() + settleMs;
		let missing: readonly NodeId[] = [];
		for (;;) {
			const uses = await this.#ask();
			missing = this.#members().filter(node => !uses.has(node));
			const users = [...uses].filter(([, {active}]) => active === key).map(([node]) => node);
			const connections = [...uses].flatMap(([at, use]) =>
				use.connections.filter(one => one.key === key).map(one => ({...one, at})),
			);
			if (force || missing.length + users.length + connections.length === 0) break;
			// Members renew their links by themselves.
			const isSettling = missing.length === 0 && connections.every(({kind}) => kind === 'node');
			if (!isSettling || this.#options.awakeMs() >= untilMs)
				throw this.#inUseError(key, {missing, users, connections});
			await this.#nextTick();
		}

		await this.#propose({type: 'remove', key}, author);
		return {key, missing};
	}

	#inUseError(
		key: KeyId,
		{
			missing,
			users,
			connections,
		}: {
			readonly missing: readonly NodeId[];
			readonly users: readonly NodeId[];
			readonly connections: ReadonlyArray<KeyConnection & {readonly at: NodeId}>;
		},
	): DapssError {
		const {label} = this.#options;
		const names = (nodes: readonly NodeId[]): string => nodes.map(node => label(node)).join(', ');
		const shown = connections
			.slice(0, namedMax)
			.map(
				({kind, who, at}) =>
					`${kind === 'node' ? `node ${label(who as NodeId)}` : `client ${who}`} at ${label(at)}`,
			);
		const more = connections.length > namedMax ? ` and ${connections.length - namedMax} more` : '';
		const reasons = [
			...(missing.length === 0 ? [] : [`${names(missing)} ${missing.length === 1 ? 'does' : 'do'} not answer`]),
			...(users.length === 0 ? [] : [`${names(users)} ${users.length === 1 ? 'uses' : 'use'} it`]),
			...(shown.length === 0 ? [] : [`connections use it: ${shown.join(', ')}${more}`]),
		];
		return new DapssError(
			'refused',
			`The key ${key} is still in use: ${reasons.join('; ')}. Give those clients and nodes the present ` +
				'secret and let them connect again. --force removes it nonetheless: these connections are closed, ' +
				'and whoever has only this key is refused until it gets the present secret',
		);
	}

	#expectValid(key: KeyId): void {
		const found = this.#options.control.state.keys.keys.find(({id}) => id === key);
		if (found && found.state !== 'removed') return;
		throw new DapssError(
			'usage',
			found
				? `Expected a valid key, ${key} was removed`
				: `Expected a key of this cluster, got ${key}: \`keys list\` shows them`,
		);
	}

	async #propose(change: KeyChange, {by, isOwner}: Author): Promise<void> {
		const {self, propose, wallMs} = this.#options;
		await propose({type: 'keys', node: self, by, isOwner, atMs: Math.max(0, Math.trunc(wallMs())), change});
	}

	/** Waits until reachable members have applied a change. Resolves with those that have not. */
	async #settled(hasApplied: (use: KeyUse) => boolean): Promise<readonly NodeId[]> {
		const {awakeMs, isReachable, self} = this.#options;
		const untilMs = awakeMs() + settleMs;
		for (;;) {
			const uses = await this.#ask();
			const missing = this.#members().filter(node => {
				const use = uses.get(node);
				return !use || !hasApplied(use);
			});
			const isOver = missing.every(node => node !== self && !isReachable(node));
			if (isOver || awakeMs() >= untilMs) return missing;
			await this.#nextTick();
		}
	}

	async #nextTick(): Promise<void> {
		await this.#ticked.promise;
		if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
	}

	/** The use of this node and of the members that answer in time. */
	async #ask(): Promise<Uses> {
		const {self, isReachable, send, awakeMs} = this.#options;
		if (this.#rounds.size >= roundsMax)
			throw new DapssError(
				'refused',
				`Expected at most ${roundsMax} questions about keys at a time, got one more`,
			);
		const own = this.#own();
		const seq = ++this.#seq;
		const {promise, resolve} = Promise.withResolvers<Uses>();
		const asked = this.#members().filter(id => id !== self && isReachable(id) && send(id, 'manage', {keys: seq}));
		this.#rounds.set(seq, {
			waiting: new Set(asked),
			uses: new Map([[self, own.use()]]),
			untilMs: awakeMs() + reportMs,
			resolve,
		});
		this.#check();
		const uses = await promise;
		if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
		return uses;
	}

	#check(): void {
		const {awakeMs, isReachable} = this.#options;
		for (const [seq, {waiting, uses, untilMs, resolve}] of this.#rounds) {
			if (!this.#isClosed && awakeMs() < untilMs && [...waiting].some(id => isReachable(id))) continue;
			this.#rounds.delete(seq);
			resolve(uses);
		}
	}

	#members(): readonly NodeId[] {
		return this.#options.control.state.members().map(({id}) => id);
	}

	#own(): OwnKeys {
		const {keys} = this.#options;
		if (!keys) throw new DapssError('refused', 'This node has no keys');
		return keys;
	}
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
