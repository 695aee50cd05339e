/**
Bundles the sources into dist/ with esbuild: `cli.js` (the command line), `worker.js` (a node in a thread), `index.js`
(the library) and `bench-client.js` share chunks; what a command does not need is not loaded. Plain JavaScript: it runs
before anything is built.

A build is stale when a source file, a dependency or the builder has changed: their sizes and times are compared with
those of the last build. Chunks are named by content and kept for a day, because a running node may load one yet.
*/
import {createHash} from 'node:crypto';
import {mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs';
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
	index: 'core/index.ts',
	'bench-client': 'bench/client.ts',
};

/** Native, or loaded by path: left where npm put them. */
const external = [
	'@node-rs/crc32',
	'pino',
	'esbuild',
	'@resvg/resvg-js',
	'@lydell/node-pty',
	'@xterm/headless',
	'react-devtools-core',
];

/**
meow finds and normalises the caller's package.json unless it is given one, and we give it one. The code for that
(licence lists and all) costs every command 20 ms: without its two imports it is left out of the bundle. Where meow
looks different one day, nothing is replaced.
*/
const withoutPackageReader = {
	name: 'without-package-reader',
	setup(setup) {
		const patch = (filter, change) =>
			setup.onLoad({filter}, ({path}) => ({contents: change(readFileSync(path, 'utf8')), loader: 'js'}));
		patch(/meow\/build\/options\.js$/, text =>
			text.replace(
				/import \{ a as readPackageUpSync, n as normalizePackageData \} from '[^']+';/,
				'const readPackageUpSync = () => undefined, normalizePackageData = () => undefined;',
			),
		);
		// Called for its result alone, which nobody uses now.
		patch(/meow\/build\/dependencies\.js$/, text =>
			text.replaceAll(
				/ = (require(?:Normalize|Lib\$1) ?\(\)|getDefaultExportFromCjs ?\(normalizeExports\));/g,
				' = /* @__PURE__ */ $1;',
			),
		);
	},
};

/** Names, sizes and times of everything that goes into a build. */
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
	const {outputFiles} = await bundle({
		absWorkingDir: root,
		entryPoints,
		outdir: dist,
		chunkNames: 'chunk-[hash]',
		bundle: true,
		splitting: true,
		format: 'esm',
		platform: 'node',
		target: 'node22.13',
		jsx: 'automatic',
		minifySyntax: true,
		minifyWhitespace: true,
		keepNames: false,
		legalComments: 'none',
		sourcemap: 'linked',
		sourcesContent: false,
		external,
		plugins: [withoutPackageReader],
		define: {
			dapssVersion: JSON.stringify(version),
			'process.env.NODE_ENV': '"production"',
			'process.env.DEV': '"false"',
			'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
		},
		// CommonJS dependencies that are bundled ask for built-in modules by `require`.
		banner: {
			js: 'import {createRequire as $require} from "node:module"; const require = $require(import.meta.url);',
		},
		logLevel: 'warning',
		write: false,
	});
	mkdirSync(dist, {recursive: true});
	for (const {path, contents} of outputFiles) replaceFile(path, contents);
	removeOld(new Set(outputFiles.map(({path}) => path)));
	replaceFile(stampPath, JSON.stringify({fingerprint: before}));
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
