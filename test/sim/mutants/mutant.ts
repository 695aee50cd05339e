/**
A mutant: one classic bug, planted by changing the text of a source while the simulator is bundled. The product has no
switch for it.
*/
export type Edit = {
	/** Relative to the root of the repository. */
	readonly file: string;
	/** Occurs exactly once in the file. */
	readonly find: string;
	readonly replace: string;
};
/** Whole nodes, consensus alone, failure detection alone, the replicated state alone, whole nodes with a liar. */
export type World = 'nodes' | 'raft' | 'swim' | 'state' | 'liar';
export type Mutant = {
	readonly name: string;
	/** What goes wrong, in the terms of the field. */
	readonly pitfall: string;
	/** The world that runs it. @default whole nodes and consensus */
	readonly by?: World;
	/** The test file that catches it: the simulator draws the situation too rarely. It runs instead of seeds. */
	readonly tests?: string;
	/**
	The rule that must break. Without it a mutant that only changes the course of a run could count as caught because
	another rule breaks.
	@default any rule
	*/
	readonly rule?: string;
	readonly edits: readonly Edit[];
};

/**
The text after the mutant's edits of that file. Layout does not matter.
@throws if a text to find does not occur exactly once
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
The text without anything that a formatter may change: white space, comment marks, commas before a closing bracket,
kinds of quotes. `at` holds the original position of each character.
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
