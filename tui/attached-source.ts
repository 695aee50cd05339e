/**
The source of a console that is attached to nodes of other processes. It shows one node at a time, and another one when
the user asks for it: of the same cluster or of another one. When the node is lost, its broker goes to another member;
this source tells the broker where the members are.
*/
import type {FollowedBroker} from '../core/broker.ts';
import {labelsOf} from '../core/observe/node-label.ts';
import type {MemberSnapshot, Snapshot, MessageSnapshot} from '../core/snapshot.ts';
import {createSource, type ClientSource} from './client-source.ts';
import type {CommandResult, ConsoleCommand, NamedContext, SourceState, ReadBody} from './source/source.ts';

/** What to show: a node by its address, or the cluster of a context. */
export type Target = {readonly server: string} | {readonly context: string};

/** A connection to a cluster, which goes from node to node. */
export type Attached = AsyncDisposable & {
	readonly broker: FollowedBroker;
	readonly context: NamedContext | undefined;
	/** The members have changed. */
	learn(members: readonly MemberSnapshot[]): void;
	/** The addresses that it tries when its node is lost, in their order. */
	tries(): readonly string[];
};

type Shown = {readonly attached: Attached; readonly source: ClientSource; readonly unsubscribe: () => void};

/**
@param open connects; it is given the present connection, whose context a node of the same cluster has
@param watch makes the source of a broker; replaced by tests
*/
export function createAttachedSource(
	first: Attached,
	open: (target: Target, from: Attached) => Promise<Attached>,
	watch: (attached: Attached) => ClientSource = ({broker, tries}) => createSource(broker, tries),
): ClientSource & AsyncDisposable {
	return new AttachedSource(first, open, watch);
}

class AttachedSource implements ClientSource, AsyncDisposable {
	readonly #open: (target: Target, from: Attached) => Promise<Attached>;
	readonly #watch: (attached: Attached) => ClientSource;
	readonly #listeners = new Set<() => void>();
	#shown: Shown;
	#state: SourceState;
	/** The node that was chosen: the first one that is shown after a connect. */
	#chosen: {readonly id: string; readonly label: string} | undefined;
	#members: readonly MemberSnapshot[] | undefined;
	#isOpening = false;
	#isDisposed = false;

	constructor(
		first: Attached,
		open: (target: Target, from: Attached) => Promise<Attached>,
		watch: (attached: Attached) => ClientSource,
	) {
		this.#open = open;
		this.#watch = watch;
		this.#shown = this.#show(first);
		this.#state = this.#stateNow();
	}

	// React calls these two without `this`.
	readonly getState = (): SourceState => this.#state;

	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	async run(command: ConsoleCommand): Promise<CommandResult> {
		if (command.type === 'attach') return this.#switch({server: command.server}, command.server);
		if (command.type === 'context') return this.#switch({context: command.name}, command.name);
		return this.#shown.source.run(command);
	}

	async read(message: MessageSnapshot): Promise<ReadBody> {
		return (await this.#shown.source.read?.(message)) ?? {problem: 'there is no node to ask'};
	}

	[Symbol.dispose](): void {
		this.#isDisposed = true;
		this.#hide(this.#shown);
		this.#listeners.clear();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this[Symbol.dispose]();
		await this.#shown.attached[Symbol.asyncDispose]();
	}

	/** The node stays on the screen until the next one is reached. */
	async #switch(target: Target, name: string): Promise<CommandResult> {
		if (this.#isOpening) return {ok: false, text: 'Could not attach: the last attempt still runs'};
		this.#isOpening = true;
		try {
			const before = this.#shown;
			const attached = await this.#open(target, before.attached);
			if (this.#isDisposed) {
				await attached[Symbol.asyncDispose]();
				return {ok: false, text: 'The console is closed'};
			}

			this.#hide(before);
			this.#chosen = undefined;
			this.#members = undefined;
			this.#shown = this.#show(attached);
			this.#change();
			// The connection that nobody looks at may take its time to close.
			void before.attached[Symbol.asyncDispose]();
			return {ok: true, text: `Attached to ${name}`};
		} catch (error) {
			const why = error instanceof Error ? error.message : String(error);
			return {ok: false, text: `Could not attach to ${name}: ${why}`};
		} finally {
			this.#isOpening = false;
		}
	}

	#show(attached: Attached): Shown {
		const source = this.#watch(attached);
		return {attached, source, unsubscribe: source.subscribe(() => this.#change())};
	}

	#hide({source, unsubscribe}: Shown): void {
		unsubscribe();
		source[Symbol.dispose]();
	}

	#change(): void {
		this.#state = this.#stateNow();
		for (const listener of this.#listeners) listener();
	}

	#stateNow(): SourceState {
		const {source, attached} = this.#shown;
		const state = source.getState();
		const {snapshot} = state;
		if (snapshot && snapshot.members !== this.#members) {
			this.#members = snapshot.members;
			attached.learn(snapshot.members);
		}

		const chosen = this.#chosenNow(snapshot);
		const insteadOf = chosen === undefined || chosen.id === snapshot?.self ? undefined : chosen.label;
		return {...state, attachment: {context: attached.context, insteadOf}};
	}

	#chosenNow(snapshot: Snapshot | undefined): {readonly id: string; readonly label: string} | undefined {
		if (snapshot && this.#chosen?.id === snapshot.self)
			// The name may be agreed after the first snapshot.
			this.#chosen = {id: snapshot.self, label: labelsOf(snapshot.members)(snapshot.self)};
		if (snapshot) this.#chosen ??= {id: snapshot.self, label: labelsOf(snapshot.members)(snapshot.self)};
		return this.#chosen;
	}
}
