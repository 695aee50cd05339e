/** The table of mutants in docs/simulator.md, which a whole run of `npm run sim:mutants` writes anew. */
export type MutantResult = {
	readonly name: string;
	readonly pitfall: string;
	readonly isCaught: boolean;
	/** The rule that broke, or the test that failed. */
	readonly rule?: string;
	readonly world?: string;
	readonly seed?: number | string;
};

const header = '| Mutant | What goes wrong | Caught by | World | Seed |\n| --- | --- | --- | --- | ---: |\n';

/** The page with these results, in this order. */
export function withMutants(page: string, results: readonly MutantResult[]): string {
	const start = page.indexOf(header);
	if (start < 0) throw new Error(`Expected the page to have a table that begins ${JSON.stringify(header)}`);
	const end = page.indexOf('\n\n', start);
	const rows = results.map(
		({name, pitfall, isCaught, rule = '', world = '', seed = ''}) =>
			`| \`${name}\` | ${pitfall} | ${isCaught ? `${rule} | ${world} | ${seed}` : '**missed** | — | —'} |`,
	);
	return `${page.slice(0, start)}${header}${rows.join('\n')}${end < 0 ? '\n' : page.slice(end)}`;
}
