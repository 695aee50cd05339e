/**
A mutant: one classic bug, planted by changing the text of a source while the simulator is bundled. The product has no
switch for it.
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
	/**
	Only this rule's word counts: others may break over what the mutant merely changes the course of.
	@default any
	*/
	readonly rule?: string;
	readonly edits: readonly Edit[];
};

/**
The text with the mutant's edits of that file. Layout does not count.
@throws when a text to find is not there exactly once
*/
export function mutated({name, edits}: Mutant, file: string, text: string): string {
	let changed = text;
	for (const {find, replace} of edits.filter(edit => edit.file === file)) {
		const [where, what] = [withoutLayout(changed), withoutLayout(find)];
		const start = where.text.indexOf(what.text);
		const times = where.text.split(what.text).length - 1;
		if (times !== 1)
			throw new Error(
				`Expected mutant ${name} to find ${JSON.stringify(find)} once in ${file}, got ${times} times`,
			);
		changed = `${changed.slice(0, where.at[start])}${replace}${changed.slice(where.at[start + what.text.length - 1]! + 1)}`;
	}

	return changed;
}

/**
What a formatter leaves alone: no white space, marks of comments, commas before a closing bracket, or kinds of quotes.
`at` says where each character stood.
*/
function withoutLayout(source: string): {readonly text: string; readonly at: readonly number[]} {
	const kept = [...source.matchAll(/\s+|\/\/|,(?=\s*[)\]}])|\\(?=['"])|(?<other>[^])/gu)].filter(
		({groups}) => groups?.['other'] !== undefined,
	);
	return {
		text: kept.map(([character]) => (character === '"' ? "'" : character)).join(''),
		at: kept.map(({index}) => index),
	};
}
