/**
A mutant: one classic bug, planted by changing the text of a source while the simulator is bundled. The product has no switch for it.
*/
export type Edit = {
	/** From the root of the repository. */
	readonly file: string;
	/** Occurs exactly once there. */
	readonly find: string;
	readonly replace: string;
};
/** Whole nodes, consensus alone, failure detection alone, the replicated state alone. */
export type World = 'nodes' | 'raft' | 'swim' | 'state';
export type Mutant = {
	readonly name: string;
	/** What goes wrong, in the words of the field. */
	readonly pitfall: string;
	/** Where it is looked for. @default all that a seed of the simulator is */
	readonly by?: World;
	/** Only this rule's word counts: others may break over what the mutant merely changes the course of. @default any */
	readonly rule?: string;
	readonly edits: readonly Edit[];
};

/** The text with the mutant's edits of that file. @throws when a text to find is not there exactly once */
export function mutated({name, edits}: Mutant, file: string, text: string): string {
	let changed = text;
	for (const {find, replace} of edits.filter(edit => edit.file === file)) {
		const parts = changed.split(find);
		if (parts.length !== 2) throw new Error(`Expected mutant ${name} to find ${JSON.stringify(find)} once in ${file}, got ${parts.length - 1} times`);
		changed = parts.join(replace);
	}

	return changed;
}
