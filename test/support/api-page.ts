/**
docs/api.md: every export of the library, with its docstring and its declaration, read from the sources.
*/
import {readFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';

const root = join(import.meta.dirname, '../..');
const library = join(root, 'core/library.ts');

type Kind = 'function' | 'class' | 'const' | 'type' | 'interface';
type Export = {
	readonly name: string;
	readonly kind: Kind;
	readonly file: string;
	readonly doc: string;
	readonly declaration: string;
};

const sections: ReadonlyArray<readonly [title: string, kinds: readonly Kind[]]> = [
	['Functions', ['function']],
	['Errors', ['class']],
	['Values', ['const']],
	['Types', ['type', 'interface']],
];

/** The content of docs/api.md. @throws for an export without a docstring or a declaration */
export function apiPage(): string {
	const exports = reExports(library).map(([name, file]) => find(name, file));
	const parts = sections.map(([title, kinds]) => {
		const shown = exports.filter(({kind}) => kinds.includes(kind));
		return `## ${title}\n\n${shown.map(one => section(one)).join('\n')}`;
	});
	return `# API\n\nEvery export of the package, with its docstring. The [guide](library.md) shows how to use them. \`UPDATE=1 npx\nvitest run test/unit/docs/api.test.ts\` writes this page from the sources.\n\n${parts.join('\n')}`;
}

function section({name, file, doc, declaration}: Export): string {
	const path = relative(root, file);
	return `### ${name}\n\n${doc}\n\n\`\`\`ts\n${declaration}\n\`\`\`\n\n[${path}](../${path})\n`;
}

/** The names that a module exports from other modules, and the files of those. */
function reExports(file: string): ReadonlyArray<readonly [name: string, file: string]> {
	const text = readFileSync(file, 'utf8').replaceAll(/\/\*.*?\*\//gsu, '');
	return [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gmu)].flatMap(([, names = '', from = '']) =>
		names
			.split(',')
			.map(name => name.trim().replace(/^type /u, ''))
			.filter(name => name !== '')
			.map(name => [name, join(dirname(file), from)] as const),
	);
}

function find(name: string, file: string): Export {
	const text = readFileSync(file, 'utf8');
	const match = new RegExp(String.raw`^export (?:async )?(function|class|const|type|interface) ${name}\b`, 'mu').exec(
		text,
	);
	if (!match) {
		const elsewhere = reExports(file).find(([other]) => other === name);
		if (!elsewhere) throw new Error(`Expected ${relative(root, file)} to declare ${name}`);
		return find(name, elsewhere[1]);
	}

	const kind = match[1] as Kind;
	const before = text.slice(0, match.index);
	const doc = /\/\*\*((?:(?!\*\/).)*)\*\/\s*$/su.exec(before)?.[1] ?? '';
	if (doc === '') throw new Error(`Expected a docstring of ${name} in ${relative(root, file)}`);
	return {name, kind, file, doc: docText(doc), declaration: declarationOf(kind, text.slice(match.index))};
}

/** Tags become list items. */
function docText(doc: string): string {
	return doc
		.trim()
		.replaceAll(/^@(?:param (\w+)|(\w+))\s*/gmu, (_tag, param?: string, tag = '') =>
			param === undefined ? `\n- ${tag}: ` : `\n- \`${param}\`: `,
		)
		.replaceAll(/ @(throws|default|returns) /gu, '\n\n- $1: ')
		.replaceAll(/\n{3,}/gu, '\n\n')
		.trim();
}

/** The declaration without the body of a function, a class or a value. */
function declarationOf(kind: Kind, text: string): string {
	const end =
		kind === 'type' || kind === 'interface'
			? endOfType(text, kind)
			: kind === 'const'
				? text.search(/ =/u)
				: bodyOf(text);
	return text.slice('export '.length, end).trimEnd();
}

/** The position after the semicolon, or the closing bracket, that ends the type. */
function endOfType(text: string, kind: Kind): number {
	let depth = 0;
	for (const {0: token, index} of text.matchAll(/\/\*.*?\*\/|\/\/[^\n]*|=>|'[^'\n]*'|[{}()[\]<>;]/gsu)) {
		if (/^[{([<]$/u.test(token)) depth++;
		else if (/^[})\]>]$/u.test(token)) depth--;
		if (depth === 0 && (token === ';' || (kind === 'interface' && token === '}'))) return index + 1;
	}

	throw new Error(`Expected an end of ${text.slice(0, 80)}`);
}

/** The position of the bracket that opens the body: it ends a line. */
function bodyOf(text: string): number {
	let depth = 0;
	for (const {0: token, index} of text.matchAll(/\/\*.*?\*\/|=>|'[^'\n]*'|\{\n|[{}()[\]<>]/gsu)) {
		if (token === '{\n' && depth === 0) return index;
		if (/^[{([<]/u.test(token)) depth++;
		else if (/^[})\]>]$/u.test(token)) depth--;
	}

	throw new Error(`Expected a body of ${text.slice(0, 80)}`);
}
