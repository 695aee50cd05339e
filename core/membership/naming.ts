/**
How a node gets its agreed name. A name that the operator chose (`--name`) is accepted or refused as it is. A default
name that another member already has gets a numeric suffix: two nodes of one host and port cannot run at once, but one
may have moved to another address and kept its name.
*/
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import {namesProtocol} from '../cluster-state/cluster-state.ts';
import type {NodeId} from '../message.ts';
import {nameMax} from '../node-name.ts';

/** The name that a node requests. */
export type WantedName = {
	readonly text: string;
	/** Chosen by the operator, not a default. */ readonly isChosen: boolean;
};
type Agreed = Pick<ClusterState, 'protocol' | 'name' | 'nodeNamed'>;
export type NamingStep =
	| {readonly type: 'settled'}
	| {readonly type: 'propose'; readonly name: string}
	/** Another member has the chosen name, so the node keeps its current name. */
	| {readonly type: 'taken'; readonly holder: NodeId};

/** The next step towards the wanted name of a node. */
export function namingStep(agreed: Agreed, self: NodeId, {text, isChosen}: WantedName): NamingStep {
	const current = agreed.name(self);
	if (agreed.protocol < namesProtocol || text === '' || current === text) return {type: 'settled'};
	const holder = agreed.nodeNamed(text);
	if (holder === undefined || holder === self) return {type: 'propose', name: text};
	if (isChosen && current !== '') return {type: 'taken', holder};
	// A node keeps a numbered form of its name: a name that changes by itself confuses its readers.
	return isNumbered(current, text) ? {type: 'settled'} : {type: 'propose', name: freeName(agreed, text)};
}

/** The name itself when it is free, else with the lowest free suffix, from `-2` on. */
export function freeName(agreed: Pick<Agreed, 'nodeNamed'>, text: string): string {
	for (let number = 1; ; number++) {
		const suffix = number === 1 ? '' : `-${number}`;
		const name = `${text.slice(0, nameMax - suffix.length)}${suffix}`;
		if (agreed.nodeNamed(name) === undefined) return name;
	}
}

function isNumbered(name: string, text: string): boolean {
	const number = /-\d+$/.exec(name)?.[0];
	return number !== undefined && name === `${text.slice(0, nameMax - number.length)}${number}`;
}

export type NamerOptions = {
	readonly self: NodeId;
	readonly wanted: WantedName;
	readonly agreed: Agreed;
	readonly propose: (name: string) => Promise<void>;
	readonly warn: (text: string) => void;
};

/** Proposes the name of this node until it is agreed. */
export class Namer {
	readonly #options: NamerOptions;
	#isProposing = false;
	#hasWarned = false;

	constructor(options: NamerOptions) {
		this.#options = options;
	}

	/** Proposes or warns if there is a need. Called periodically while there is a leader. */
	housekeep(): void {
		const {self, wanted, agreed, propose, warn} = this.#options;
		const step = namingStep(agreed, self, wanted);
		if (step.type === 'taken' && !this.#hasWarned) {
			this.#hasWarned = true;
			warn(
				`The name ${wanted.text} belongs to node ${step.holder}, ` +
					`so this node keeps the name ${agreed.name(self)}: choose another --name, ` +
					`or remove that node if it is gone for good: dapss-tui peer remove ${wanted.text}`,
			);
		}

		if (step.type !== 'propose' || this.#isProposing) return;
		this.#isProposing = true;
		// Refused if another node took the name first: the next call picks another name.
		propose(step.name)
			.catch(() => undefined)
			.finally(() => {
				this.#isProposing = false;
			});
	}
}
