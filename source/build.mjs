/**
Bundles the sources into dist/ with esbuild. Two bundles: the command line, whose `cli.js` (commands), `worker.js` (a
node in a thread) and `bench-client.js` share chunks, so that a command loads only what it needs; and `library.js`, one
readable file with its source map. Plain JavaScript: it runs before anything is built.

A build is stale when a source file, a dependency or the builder has changed: their sizes and times are compared with
those of the last build. Chunks are named by content and kept for a day, because a running node may load one yet.
`licenses.txt` holds the licences of the packages that are bundled.
*/
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stampPath = join(dist, 'stamp.json');
const sourceFolders = ['source', 'tui', 'core', 'bench'];
const sourceFiles = ['package.json', 'package-lock.json', 'tsconfig.json'];
const chunkAgeMs = 86_400_000;

const entryPoints = {
	cli: 'source/entry.ts',
	worker: 'source/nodes/worker.ts',
	'bench-client': 'bench/client.ts',
};

/**
Node loads the native checksum from where npm put it. The others are not needed: one is for the developers of Ink, one a
native part of msgpackr that is switched off below, and one draws the plots of vega as pixels.
*/
const external = ['@node-rs/crc32', 'react-devtools-core', 'msgpackr-extract', 'canvas'];

/** Names, sizes and times of all files that go into a build. */
export function fingerprint() {
	const hash = createHash('sha1');
	const paths = [
		...sourceFiles.map(name => join(root, name)),
		...sourceFolders.flatMap(name => filesIn(join(root, name))),
	];
	// A build is as good elsewhere, and on another platform: the same names there, and times as exact as all of them
	// are.
	const byName = new Map(paths.map(path => [relative(root, path).replaceAll('\\', '/'), path]));
	// eslint-disable-next-line unicorn/no-array-sort -- Node 18 has no toSorted
	for (const name of [...byName.keys()].sort((a, b) => (a < b ? -1 : 1))) {
		const {size, mtimeMs} = statSync(byName.get(name));
		hash.update(`${name} ${size} ${Math.floor(mtimeMs)}\n`);
	}

	return hash.digest('hex');
}

export function isFresh() {
	try {
		return JSON.parse(readFileSync(stampPath, 'utf8')).fingerprint === fingerprint();
	} catch {
		return false; // Never built, or not to the end.
	}
}

export async function build() {
	const before = fingerprint();
	const {build: bundle} = await import('esbuild');
	const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	const common = {
		absWorkingDir: root,
		outdir: dist,
		bundle: true,
		format: 'esm',
		platform: 'node',
		target: 'node22.13',
		legalComments: 'none',
		sourcemap: 'linked',
		external,
		define: {
			dapssVersion: JSON.stringify(version),
			'process.env.NODE_ENV': '"production"',
			'process.env.DEV': '"false"',
			'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
		},
		logLevel: 'warning',
		metafile: true,
		write: false,
		// CommonJS dependencies that are bundled ask for built-in modules by `require`.
		banner: {
			js: 'import {createRequire as $require} from "node:module"; const require = $require(import.meta.url);',
		},
	};
	const commands = await bundle({
		...common,
		entryPoints,
		chunkNames: 'chunk-[hash]',
		splitting: true,
		jsx: 'automatic',
		minifySyntax: true,
		minifyWhitespace: true,
		sourcesContent: false,
	});
	// Lines as they were written, and the sources in the map: an error in a program quotes a line that can be read.
	const library = await bundle({...common, entryPoints: {library: 'core/library.ts'}});
	const outputFiles = [...commands.outputFiles, ...library.outputFiles];
	mkdirSync(dist, {recursive: true});
	for (const {path, contents} of outputFiles) replaceFile(path, contents);
	replaceFile(join(dist, 'licenses.txt'), licensesOf([commands.metafile, library.metafile]));
	removeOld(new Set(outputFiles.map(({path}) => path)));
	replaceFile(stampPath, JSON.stringify({fingerprint: before}));
}

/** Removes what earlier builds left, whatever its age: a package has the files of one build. */
export function removeEarlierBuilds() {
	const used = new Set(['library.js', 'licenses.txt', 'stamp.json']);
	const visit = name => {
		if (used.has(name)) return;
		used.add(name);
		for (const [chunk] of readFileSync(join(dist, name), 'utf8').matchAll(/chunk-[A-Z0-9]{8}\.js\b/g))
			if (existsSync(join(dist, chunk))) visit(chunk);
	};
	for (const name of Object.keys(entryPoints)) visit(`${name}.js`);
	for (const name of readdirSync(dist))
		if (!used.has(name.replace(/\.map$/, ''))) rmSync(join(dist, name), {recursive: true});
}

/** Name, version and licence of each package that is in a bundle: they ask that it goes along. */
function licensesOf(metafiles) {
	const folders = new Set(
		metafiles
			.flatMap(({outputs}) => Object.values(outputs).flatMap(({inputs}) => Object.keys(inputs)))
			.map(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0])
			.filter(folder => folder !== undefined),
	);
	// eslint-disable-next-line unicorn/no-array-sort -- Node 18 has no toSorted
	const sorted = [...folders].sort((a, b) => (a < b ? -1 : 1));
	const texts = sorted.map(folder => {
		const {name, version, license} = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
		const file = readdirSync(join(root, folder)).find(entry => /^licen[cs]e/i.test(entry));
		const text = file === undefined ? '' : readFileSync(join(root, folder, file), 'utf8').trim();
		return `${name} ${version} (${license})\n\n${text}\n`;
	});
	return `dapss-tui contains these packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

/** Whole or not at all: another process may be reading it. */
function replaceFile(path, contents) {
	const draft = `${path}.${process.pid}`;
	writeFileSync(draft, contents);
	renameSync(draft, path);
}

function removeOld(current) {
	for (const name of readdirSync(dist)) {
		const path = join(dist, name);
		if (name.startsWith('chunk-') && !current.has(path) && Date.now() - statSync(path).mtimeMs > chunkAgeMs)
			rmSync(path, {force: true});
	}
}

function filesIn(folder) {
	return readdirSync(folder, {withFileTypes: true}).flatMap(entry =>
		entry.isDirectory()
			? filesIn(join(folder, entry.name))
			: /\.(?:tsx?|mjs|json)$/.test(entry.name)
				? [join(folder, entry.name)]
				: [],
	);
}
