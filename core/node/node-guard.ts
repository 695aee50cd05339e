/**
The access of the callers of this node. The user who runs the node is an operator on it, whatever the cluster has agreed
on: that user could change the program and the data folder as well.
*/
import {parseAccessChange, type Access, type AccessChange, type AccessReport, type IdentityKey} from '../access.ts';
import type {AccessList} from '../cluster-state/access-list.ts';
import {accessProtocol} from '../cluster-state/cluster-state.ts';
import type {Command} from '../cluster-state/command.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import {Refusals} from '../observe/refusals.ts';
import {accountNameOf} from '../remote/client-accounts.ts';
import {localCaller, type Caller} from '../remote/permissions.ts';
import type {Guard} from '../remote/server.ts';

export type NodeGuardOptions = {
	readonly self: NodeId;
	/** The identity of the user who runs this node, if it has one. */
	readonly owner: IdentityKey | undefined;
	readonly state: {readonly access: AccessList; readonly protocol: number};
	/** @throws `refused` with the reason, `no-quorum`, `no-leader` */
	readonly propose: (command: Command) => Promise<void>;
	/**
	`undefined` when the agreed state is current; else it resolves once it is.
	@throws `no-quorum` when that takes too long
	*/
	readonly caughtUp: () => Promise<void> | undefined;
	readonly record: (event: BrokerEvent) => void;
	/** Counts a bound, and the client that reached it. */
	readonly bound: (name: string, who: string) => void;
	readonly nowMs: () => number;
};

export class NodeGuard implements Guard {
	readonly #options: NodeGuardOptions;
	readonly #listeners = new Set<() => void>();
	readonly #refusals: Refusals;
	#version = 0;

	constructor(options: NodeGuardOptions) {
		this.#options = options;
		this.#version = options.state.access.version;
		const {record, bound, nowMs} = options;
		this.#refusals = new Refusals({record, nowMs, full: client => bound('refusals', client)});
	}

	accessOf(caller: Caller): Access {
		const {isReadonly, identity} = caller;
		if (this.isOwner(caller)) return {role: 'operator', topics: [], isReadonly};
		return {...this.#options.state.access.of(identity), isReadonly};
	}

	report(caller: Caller): AccessReport {
		const {access} = this.#options.state;
		const {role, topics} = this.accessOf(caller);
		return {
			defaultRole: access.defaultRole,
			grants: access.grants,
			admitted: access.admissions.admitted,
			tokens: access.admissions.tokens,
			you: {
				identity: this.#identityOf(caller),
				isOwner: this.isOwner(caller),
				role,
				topics,
			},
		};
	}

	async change(change: AccessChange, caller: Caller): Promise<void> {
		const {self, state, propose} = this.#options;
		const parsed = parseAccessChange(change);
		if ('problem' in parsed) throw new DapssError('usage', parsed.problem);
		if (state.protocol < accessProtocol)
			throw new DapssError(
				'refused',
				'Identities have roles once all members run a version that supports them ' +
					`(protocol ${accessProtocol}); this cluster uses protocol ${state.protocol}. ` +
					'`peers` shows the version of each member: upgrade the older ones',
			);
		await propose({type: 'access', node: self, ...this.authorOf(caller), change: parsed});
	}

	/** Who asks for a change, as the log records it. */
	authorOf(caller: Caller): {readonly by: IdentityKey | undefined; readonly isOwner: boolean} {
		return {by: this.#identityOf(caller), isOwner: this.isOwner(caller)};
	}

	/** The caller, for people: the name of its identity, or its first digits; and from where. */
	nameOf(caller: Caller): string {
		const {grants} = this.#options.state.access;
		const identity = this.#identityOf(caller);
		const name = grants.find(grant => grant.identity === identity)?.name ?? '';
		const who = name === '' ? (identity === undefined ? 'no identity' : identity.slice(0, 12)) : name;
		return caller.isLocal ? `${who} here` : `${who} at ${caller.address}`;
	}

	current(): Promise<void> | undefined {
		return this.#options.caughtUp();
	}

	audit(caller: Caller, action: string, target: string, error: unknown): void {
		const request = {action, target, by: this.#identityOf(caller) ?? '', address: caller.address};
		if (error === undefined) return this.#options.record({type: 'audit', ...request, outcome: 'done'});
		const reason = errorMessage(error);
		// Nothing but these refusals costs a client without rights as little as sending a request.
		if (error instanceof DapssError && error.code === 'not-authorized')
			return this.#refusals.add(accountNameOf(caller) ?? localCaller.address, {...request, reason});
		this.#options.record({type: 'audit', ...request, outcome: 'failed', reason});
	}

	/** Call regularly. */
	tick(): void {
		this.#refusals.tick();
	}

	/** The node stops. */
	close(): void {
		this.#refusals.close();
	}

	watch(listener: () => void): Disposable {
		this.#listeners.add(listener);
		return {[Symbol.dispose]: () => void this.#listeners.delete(listener)};
	}

	/** Entries were applied: tells the connections when the access has changed. */
	agreed(): void {
		const {version} = this.#options.state.access;
		if (version === this.#version) return;
		this.#version = version;
		for (const listener of this.#listeners) listener();
	}

	#identityOf({identity, isLocal}: Caller): IdentityKey | undefined {
		return identity ?? (isLocal ? this.#options.owner : undefined);
	}

	isOwner({identity, isLocal}: Caller): boolean {
		return isLocal || (identity !== undefined && identity === this.#options.owner);
	}
}
