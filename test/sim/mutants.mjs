/**
Tests the checks of the simulator. `npm run sim:mutants [-- NAME…] [--seeds 500] [--json FILE]` plants each mutant in a
bundle of its own, two at a time, and runs seeds until a rule breaks that the unchanged sources keep on that seed. A
mutant that only crashes or never ends is not caught. For a few mutants a test file runs instead of seeds. A
run of all mutants writes their table in docs/simulator.md. The last line is `N of N caught`; the exit code is 1 if one
is missed.
*/
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {bundle} from './bundle.mjs';
import {mutantPlugin, mutants} from './mutants/index.ts';
import {withMutants} from './mutants/page.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const entry = 'test/sim/mutants/hunt.ts';
const atATime = 2;
/** A seed takes about a second. */
const silenceMs = 60_000;
const allWorlds = 'raft,nodes';

const {
	values: {seeds, json},
	positionals,
} = parseArgs({allowPositionals: true, options: {seeds: {type: 'string', default: '500'}, json: {type: 'string'}}});
const unknown = positionals.filter(name => !mutants.some(mutant => mutant.name === name));
if (unknown.length > 0) {
	console.error(`Expected names of mutants, got ${unknown.join(', ')}`);
	process.exit(2);
}

const wanted = positionals.length === 0 ? mutants : mutants.filter(({name}) => positionals.includes(name));
const unchanged = await bundle([], entry);
const waiting = [...wanted];
const results = [];
console.log(
	'| Mutant | What goes wrong | Caught by | World | Seed | Seconds |\n| --- | --- | --- | --- | ---: | ---: |',
);
await Promise.all(
	Array.from({length: atATime}, async () => {
		for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift())
			show(mutant, await judge(mutant));
	}),
);
if (positionals.length === 0) {
	const page = join(root, 'docs/simulator.md');
	const inOrder = mutants.flatMap(({name}) => results.filter(result => result.name === name));
	writeFileSync(page, withMutants(readFileSync(page, 'utf8'), inOrder));
}

const missed = results.filter(({isCaught}) => !isCaught).map(({name}) => name);
if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, '\t')}\n`);
if (missed.length > 0) console.log(`missed: ${missed.join(', ')}`);
console.log(`${wanted.length - missed.length} of ${wanted.length} caught`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function judge(mutant) {
	const startMs = performance.now();
	if (mutant.tests !== undefined) {
		const failure = await failingTest(mutant);
		const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
		return {isCaught: failure !== undefined, seconds, world: 'tests', seed: '—', rule: failure, failure};
	}

	const path = await bundle([mutantPlugin(mutant, root)], entry);
	const worlds = mutant.by ?? allWorlds;
	let crash;
	for (let from = 1; ;) {
		const found = await hunt(path, worlds, from, Number(seeds));
		const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
		if (found.isEndless) return {isCaught: false, seconds, ...found};
		if (found.seed === undefined) return {isCaught: false, seconds, ...crash};
		from = found.seed + 1;
		if (found.isCrash) {
			crash ??= found;
			continue;
		}

		const alike = await hunt(unchanged, found.world, found.seed, found.seed);
		if (alike.seed === undefined && found.rule === (mutant.rule ?? found.rule))
			return {isCaught: true, seconds, ...found};
	}
}

function show({name, pitfall}, {isCaught, seconds, seed, world = '', rule, failure}) {
	results.push({name, pitfall, isCaught, seconds: Number(seconds), seed, world, rule, failure});
	console.log(
		`| \`${name}\` | ${pitfall} | ${isCaught ? rule : `**missed**${rule === undefined ? '' : ` (${rule})`}`} | ${world} | ${seed ?? `> ${seeds}`} | ${seconds} |`,
	);
}

/** The name of a test that fails with the mutant; `undefined` if all pass. */
async function failingTest({name, tests}) {
	const report = join(mkdtempSync(join(tmpdir(), 'dapss-mutant-')), 'report.json');
	const runner = join(root, 'node_modules/vitest/vitest.mjs');
	const config = join(root, 'test/sim/mutants/vitest.config.ts');
	const flags = ['run', '-c', config, '--reporter', 'json', '--outputFile', report, tests];
	const env = {...process.env, MUTANT: name};
	try {
		await once(spawn(process.execPath, [runner, ...flags], {cwd: root, stdio: 'ignore', env}), 'close');
		const {testResults} = JSON.parse(readFileSync(report, 'utf8'));
		const ran = testResults.flatMap(({assertionResults}) => assertionResults);
		if (ran.length === 0) throw new Error(`Expected tests in ${tests}, got none`);
		return ran.find(({status}) => status === 'failed')?.title;
	} finally {
		rmSync(dirname(report), {recursive: true});
	}
}

/** Run seeds until one fails. Resolves to the failure, or to an empty object if all pass. */
function hunt(path, worlds, from, to) {
	return new Promise(resolve => {
		const child = spawn(process.execPath, [path, '--worlds', worlds, '--from', String(from), '--to', String(to)], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		let timer;
		let text = '';
		let isSilent = false;
		const watch = () => {
			clearTimeout(timer);
			timer = setTimeout(() => {
				isSilent = true;
				child.kill('SIGKILL');
			}, silenceMs);
		};

		watch();
		child.stdout.setEncoding('utf8').on('data', part => {
			text += part;
			watch();
		});
		child.once('close', code => {
			clearTimeout(timer);
			const last = JSON.parse(text.trimEnd().split('\n').at(-1) || '{}');
			if (last.rule !== undefined) resolve(last);
			else if (isSilent || code !== 0)
				resolve({
					isEndless: true,
					seed: (last.held ?? from - 1) + 1,
					rule: isSilent ? 'no end' : 'the simulator crashed',
				});
			else resolve({});
		});
	});
}
