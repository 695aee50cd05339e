/**
Imports point one way, type imports included: from a folder to the folders after it in its list, never back.
*/
import {dirname} from 'node:path';
import {expect, test} from 'vitest';
import {files, imports, isIn, type Import} from './support/imports.ts';

/** Entry points are at the root of their part, before its folders; its vocabulary is there too, after the folders. */
const layers = {
	core: [
		'entry points',
		'core/host',
		'core/node',
		'core/remote',
		'core/io/net',
		'core/io/files',
		'core/io/log',
		'core/io',
		'core/node-state',
		'core/control',
		'core/observe',
		'core/membership',
		'core/data',
		'core/topic-log',
		'core/cluster-state',
		'core/gossip',
		'core/swim',
		'core/raft',
		'core/wire',
		'vocabulary',
	],
	tui: [
		'entry points',
		'tui/hooks',
		'dispatch',
		'tui/panes',
		'tui/widgets',
		'tui/view',
		'tui/state',
		'tui/input',
		'tui/source',
		'vocabulary',
	],
	source: [
		'entry points',
		'source/commands',
		'source/demo',
		'source/doctor',
		'source/nodes',
		'context',
		'source/process',
		'source/recording',
		'source/output',
		'source/settings',
		'source/arguments',
		'vocabulary',
	],
} as const;

/** Files at the root of a part that are no entry points. */
const rootFiles: Readonly<Record<string, string>> = {
	...Object.fromEntries(
		[
			'access',
			'address',
			'broker',
			'broker-arguments',
			'cluster-keys',
			'codec',
			'config',
			'config-schema',
			'crc32c',
			'errors',
			'events',
			'lamport',
			'machine',
			'message',
			'message-pack',
			'node-name',
			'platform',
			'ports',
			'position',
			'run-deadline',
			'snapshot',
			'stack',
			'topic-pattern',
			'topic-settings',
			'version',
		].map(name => [`core/${name}.ts`, 'vocabulary']),
	),
	'tui/dispatch.ts': 'dispatch',
	'tui/mouse.ts': 'dispatch',
	'tui/layout.ts': 'vocabulary',
	'tui/terminal-kind.ts': 'vocabulary',
	'tui/theme.ts': 'vocabulary',
	'source/context.ts': 'context',
	'source/node-version.mjs': 'vocabulary',
};

function layerOf(file: string): string {
	const folder = dirname(file);
	return Object.hasOwn(layers, folder) ? (rootFiles[file] ?? 'entry points') : folder;
}

function violations(part: keyof typeof layers, found: readonly Import[]): string[] {
	const order: readonly string[] = layers[part];
	return found
		.filter(({from, to}) => isIn(from, part) && isIn(to, part))
		.filter(({from, to}) => {
			const [fromLayer, toLayer] = [layerOf(from), layerOf(to)];
			return fromLayer !== toLayer && order.indexOf(fromLayer) > order.indexOf(toLayer);
		})
		.map(({from, to}) => `${from} (${layerOf(from)}) → ${to} (${layerOf(to)})`);
}

test('every folder has its place in the order, and every place has files', () => {
	for (const [part, order] of Object.entries(layers)) {
		const used = new Set(files.filter(file => isIn(file, part)).map(file => layerOf(file)));
		expect([...used].toSorted(), part).toEqual([...order].toSorted());
	}

	expect(Object.keys(rootFiles).filter(file => !files.includes(file))).toEqual([]);
});

test('the check detects a violation, also by a type import', () => {
	const back: Import = {from: 'core/raft/raft.ts', to: 'core/control/control.ts', isType: true, isLazy: false};
	expect(violations('core', [back])).toEqual([
		'core/raft/raft.ts (core/raft) → core/control/control.ts (core/control)',
	]);
});

test.each(Object.keys(layers) as (keyof typeof layers)[])('imports within %s point one way', part => {
	expect(violations(part, imports)).toEqual([]);
});

test('parts import one way: test and bench → source → tui → core', () => {
	const height: Readonly<Record<string, number>> = {test: 3, bench: 3, source: 2, tui: 1, core: 0};
	const heightOf = (file: string): number => height[file.split('/')[0]!] ?? 0;
	const wrong = imports.filter(({from, to}) => heightOf(to) > heightOf(from));
	// `dapss-tui bench` is a command whose code is loaded on demand.
	expect(
		wrong
			.filter(({from, isLazy}) => !(from === 'source/commands/bench.ts' && isLazy))
			.map(({from, to}) => `${from} → ${to}`),
	).toEqual([]);
});

test('no file imports itself through other files, type imports included', () => {
	const next = new Map(
		files.map(file => [
			file,
			imports
				.filter(({from, isLazy}) => from === file && !isLazy)
				.map(({to}) => to)
				.filter(to => files.includes(to)),
		]),
	);
	const cycles: string[] = [];
	const done = new Set<string>();
	const visit = (file: string, path: readonly string[]): void => {
		const index = path.indexOf(file);
		if (index !== -1) cycles.push([...path.slice(index), file].join(' → '));
		if (index !== -1 || done.has(file)) return;
		for (const to of next.get(file)!) visit(to, [...path, file]);
		done.add(file);
	};

	for (const file of files.filter(name => !isIn(name, 'test'))) visit(file, []);
	expect(cycles).toEqual([]);
});
