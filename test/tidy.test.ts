/**
Rules for the sources that no other tool checks: imports of system modules, the globals that a protocol machine may use,
the layout of comments. `layers.test.ts` checks the direction of imports. After the idea of TigerBeetle's `tidy.zig`.
*/
import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {files, imports, isIn, root, show, text} from './support/imports.ts';

const machines = ['raft', 'gossip', 'swim', 'cluster-state'];
const machineOf = (file: string): string | undefined => machines.find(machine => isIn(file, `core/${machine}`));
/** Without comments and the text of strings, so that prose may say `Date`. */
const codeOf = (file: string): string =>
	text
		.get(file)!
		.replaceAll(/\/\*[\s\S]*?\*\//gu, '')
		.replaceAll(/(?<=^|\s)\/\/.*$/gmu, '')
		.replaceAll(/'(?:[^'\\\n]|\\.)*'/gu, "''");

test('the list of files and imports is not empty', () => {
	expect(files.length).toBeGreaterThan(100);
	expect(imports.length).toBeGreaterThan(300);
	for (const machine of machines) expect(files.filter(file => machineOf(file) === machine).length).toBeGreaterThan(2);
});

test('imports name files that exist', () => {
	expect(
		show(imports.filter(({to}) => /^(?:core|tui|source|bench|test)\//.test(to) && !existsSync(join(root, to)))),
	).toEqual([]);
});

test('the console imports only types and texts of the core, no code that runs', () => {
	const values = new Set(['core/errors.ts', 'core/message.ts']);
	expect(
		show(
			imports.filter(
				({from, to, isType}) =>
					isIn(from, 'tui') && isIn(to, 'core') && !isType && !isIn(to, 'core/observe') && !values.has(to),
			),
		),
	).toEqual([]);
});

test('the command line imports only the entry points of the core', () => {
	// Values and checks of arguments that are needed before a broker is loaded, the secret and its place, how folders
	// are made and locked, and deadlines.
	const entryPoints = new Set([
		'core/index.ts',
		'core/access.ts',
		'core/address.ts',
		'core/broker.ts',
		'core/broker-arguments.ts',
		'core/cluster-keys.ts',
		'core/config.ts',
		'core/config-schema.ts',
		'core/errors.ts',
		'core/message.ts',
		'core/node-name.ts',
		'core/platform.ts',
		'core/preflight.ts',
		'core/run-deadline.ts',
		'core/version.ts',
		'core/io/clock.ts',
		'core/io/make-folder.ts',
		'core/io/files/data-folder.ts',
		'core/io/files/identity-file.ts',
		'core/io/trusted-folder.ts',
		'core/io/files/private-file.ts',
		'core/io/files/secret.ts',
		'core/io/files/user-files.ts',
	]);
	expect(
		show(
			imports.filter(
				({from, to, isType}) =>
					isIn(from, 'source') &&
					isIn(to, 'core') &&
					!isType &&
					!isIn(to, 'core/observe') &&
					!entryPoints.has(to),
			),
		),
	).toEqual([]);
});

test('only the composition root, and the modules that find a node and connect to it, import sockets and disks', () => {
	const roots = new Set([
		'core/open.ts',
		'core/recover.ts',
		'core/connect.ts',
		'core/default-files.ts',
		'core/find.ts',
		'core/follow.ts',
		'core/membership/joining.ts',
		'core/preflight.ts',
		'core/until-ready.ts', // The clock only.
	]);
	expect(
		show(
			imports.filter(
				({from, to, isType}) =>
					isIn(from, 'core') &&
					isIn(to, 'core/io') &&
					!isIn(from, 'core/io', 'core/host') &&
					!isType &&
					!roots.has(from) &&
					!isIn(from, 'core/remote'),
			),
		),
	).toEqual([]);
});

test('sockets, disks, threads and processes are used at the edges only', () => {
	const edges = /^node:(?:net|tls|dgram|fs|fs\/promises|worker_threads|child_process|http|https|sqlite)$/;
	expect(
		show(
			imports.filter(
				({from, to, isType}) =>
					edges.test(to) && !isType && !isIn(from, 'core/io', 'core/remote', 'source', 'test', 'bench'),
			),
		),
	).toEqual([]);
});

test('machines import neither one another nor modules with effects', () => {
	const shared = new Set([
		'core/access.ts',
		'core/cluster-keys.ts',
		'core/message.ts',
		'core/machine.ts',
		'core/lamport.ts',
		'core/codec.ts',
		'core/ports.ts',
		'core/config.ts',
		'core/errors.ts',
		'core/node-name.ts',
		'core/topic-settings.ts',
	]);
	const wrong = imports.filter(({from, to, isType}) => {
		const machine = machineOf(from);
		if (machine === undefined || isIn(to, `core/${machine}`) || shared.has(to)) return false;
		// The check of a packet is a pure function; so is its library.
		return to !== 'valibot' && !(isType && to === 'core/events.ts');
	});
	expect(show(wrong)).toEqual([]);
});

test('machines use no clock, no randomness and no waiting', () => {
	const forbidden =
		/\b(?:Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|process|crypto|async|await|Promise|globalThis)\b|\bMath\.random\b/u;
	const wrong = files
		.filter(file => machineOf(file) !== undefined)
		.flatMap(file =>
			codeOf(file)
				.split('\n')
				.filter(line => forbidden.test(line))
				.map(line => `${file}: ${line.trim()}`),
		);
	expect(wrong).toEqual([]);
});

test('platforms differ in one module', () => {
	// Code that runs before the build cannot import it; `version` only shows the platform.
	const others = files.filter(
		file =>
			isIn(file, 'core', 'tui', 'source') &&
			/\.tsx?$/.test(file) &&
			!['core/platform.ts', 'source/commands/version.ts'].includes(file),
	);
	expect(
		others.filter(file =>
			/\bprocess\.(?:platform|getuid)\b|\bhomedir\b|\b(?:chmod|chown|icacls|umask) \$?\w/.test(
				text.get(file)!.replaceAll(/\/\*[\s\S]*?\*\/|(?<=\s)\/\/.*/gu, ''),
			),
		),
	).toEqual([]);
	expect(text.get('core/platform.ts')).toMatch(/process\.platform/);
});

test('no loop declares a `using`: in the bundle a failure of one turn would fail all later turns', () => {
	// esbuild lowers it for Node 22 to variables of the whole function. A function of its own has its own variables.
	const isLoop = /^(?:\} )?(?:for|while|do)\b/u;
	const isFunction = /(?:=> \{|^(?:(?:export|async|static|get|set) )*(?:function\b.*|[#\w[][^=]*\(.*\)[^=]*) \{)$/u;
	const wrong = files
		.filter(file => !isIn(file, 'test'))
		.flatMap(file => {
			const lines = text.get(file)!.split('\n');
			return lines.flatMap((line, index) => {
				if (!/^\t+(?:await )?using /u.test(line)) return [];
				let depth = /^\t*/u.exec(line)![0].length;
				for (let above = index - 1; above >= 0 && depth > 0; above--) {
					const code = lines[above]!.trim();
					if (code === '' || /^\t*/u.exec(lines[above]!)![0].length >= depth) continue;
					depth = /^\t*/u.exec(lines[above]!)![0].length;
					if (isLoop.test(code)) return [`${file}:${index + 1}`];
					if (isFunction.test(code) && !/^(?:\} )?(?:if|else|switch|try|catch)\b/u.test(code)) return [];
				}

				return [];
			});
		});
	expect(wrong).toEqual([]);
});

test('commands write JSON with escapes of invisible characters (jsonText)', () => {
	// Within a template, JSON.stringify quotes a text for people.
	const plain = /(?<!\$\{)JSON\.stringify\(/u;
	expect(files.filter(file => isIn(file, 'source/commands', 'source/output') && plain.test(text.get(file)!))).toEqual(
		[],
	);
});

// Prettier leaves comments and long texts as they are.
test('lines of the sources have at most 120 columns', () => {
	expect(
		files
			.filter(file => isIn(file, 'core', 'tui', 'source'))
			.flatMap(file =>
				text
					.get(file)!
					.split('\n')
					.flatMap((line, index) =>
						line.replaceAll('\t', '    ').length > 120 ? [`${file}:${index + 1}`] : [],
					),
			),
	).toEqual([]);
});

test('comments have at most 120 columns', () => {
	const isProse = (line: string): boolean => /^\s*(?:\/\/|\/?\*)/u.test(line) || !/^\s*\/|[(){};'"`]/u.test(line);
	expect(
		files.flatMap(file =>
			text
				.get(file)!
				.split('\n')
				.flatMap((line, index) =>
					isProse(line) && line.replaceAll('\t', '    ').length > 120 ? [`${file}:${index + 1}`] : [],
				),
		),
	).toEqual([]);
});

test('a fence in a comment stands alone on its line, so that diagrams and tables keep their lines', () => {
	const fence = /^\s*`{3}(?!\w*$)|\S\s*`{3}$/u;
	const comments = (file: string): readonly string[] => text.get(file)!.match(/\/\*\*[\s\S]*?\*\//gu) ?? [];
	expect(
		files.flatMap(file =>
			comments(file).flatMap(comment =>
				comment.split('\n').flatMap(line => (fence.test(line) ? [`${file}: ${line}`] : [])),
			),
		),
	).toEqual([]);
});

test('a file begins with a description of its content', () => {
	expect(files.filter(file => !isIn(file, 'test') && !/^(?:#!.*\n)?\/\*\*/.test(text.get(file)!))).toEqual([]);
});

/** The files and packages that are loaded with these files. */
function reachedFrom(...starts: readonly string[]): ReadonlySet<string> {
	const reached = new Set<string>();
	const visit = (file: string): void => {
		if (reached.has(file)) return;
		reached.add(file);
		for (const {from, to, isType, isLazy} of imports) if (from === file && !isType && !isLazy) visit(to);
	};

	for (const start of starts) visit(start);
	return reached;
}

test('only the console loads Ink and React; a headless node loads no conf and no tables of Unicode either', () => {
	const heavy = ['ink', 'react', 'ink-table', 'ink-text-input', 'conf', 'pino', 'prom-client', 'string-width'];
	expect(
		show(imports.filter(({from, to}) => /^(?:ink|react)/.test(to) && !isIn(from, 'tui', 'test', 'bench'))),
	).toEqual([]);
	const reached = reachedFrom(
		'source/entry.ts',
		'source/cli.ts',
		'source/output/terminal.ts',
		'source/commands/node.ts',
		'core/index.ts',
	);
	expect(reached.size).toBeGreaterThan(50);
	expect(heavy.filter(name => reached.has(name))).toEqual([]);
});

test('`doctor` starts without the native module, whose absence it reports', () => {
	const reached = reachedFrom('source/entry.ts', 'source/commands/doctor.ts');
	expect(reached.has('core/io/files/data-folder.ts')).toBe(true);
	expect([...reached].filter(name => name.startsWith('@node-rs/'))).toEqual([]);
});

test('panes name tones, not colours', () => {
	const colour =
		/['"`](?:red|green|blue|cyan|magenta|yellow|white|black|gr[ae]y)(?:Bright)?['"`]|['"`]#[\da-f]{3,6}['"`]|\\(?:u001B|x1b)\[[\d;]*m/iu;
	const wrong = files
		.filter(file => isIn(file, 'tui') && file !== 'tui/theme.ts')
		.flatMap(file =>
			text
				.get(file)!
				.split('\n')
				.filter(line => colour.test(line))
				.map(line => `${file}: ${line.trim()}`),
		);
	expect(text.get('tui/theme.ts')).toMatch(colour);
	expect(wrong).toEqual([]);
});

test('package-lock.json is whole: for every platform, and with no address of a registry', () => {
	// npm drops the packages of other platforms when a registry does not serve them; then `npm ci` refuses the file.
	const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
		packages: Record<string, {version?: string; optionalDependencies?: Record<string, string>}>;
	};
	const missing = Object.entries(lock.packages).flatMap(([path, {optionalDependencies = {}}]) =>
		Object.keys(optionalDependencies).filter(
			name =>
				!Object.hasOwn(lock.packages, `node_modules/${name}`) &&
				!Object.hasOwn(lock.packages, `${path}/node_modules/${name}`),
		),
	);
	expect(missing).toEqual([]);
	// An update of msgpackr adds it again, with an install script: remove its entries
	// (docs/decisions/0021-package.md).
	expect(Object.keys(lock.packages).filter(path => path.includes('msgpackr-extract'))).toEqual([]);
	expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
});

test('tracked files name no machine, no registry and no secret', () => {
	const tracked = execFileSync('git', ['ls-files'], {cwd: root, encoding: 'utf8'})
		.split('\n')
		.filter(file => file !== '' && existsSync(join(root, file)));
	expect(tracked.length).toBeGreaterThan(100);
	// In pieces, so that this file does not contain them itself.
	const forbidden = [
		new RegExp(['(?<![\\w.])/(?:home|root|Users|', 'work)/\\w'].join(''), 'u'),
		new RegExp(['"res', 'olved":|_auth', 'Token|registry\\.npm', 'js'].join(''), 'u'),
		new RegExp(['BEGIN (?:RSA |EC )?PRIV', 'ATE KEY'].join(''), 'u'),
	];
	const wrong = tracked
		.filter(file => !/\.(?:png|gif|svg)$/.test(file))
		.flatMap(file => {
			const content = readFileSync(join(root, file), 'utf8');
			return forbidden
				.filter(pattern => pattern.test(content))
				.map(pattern => `${file}: ${pattern.exec(content)![0]}`);
		});
	expect(wrong).toEqual([]);
});
