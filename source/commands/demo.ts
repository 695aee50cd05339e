/**
`demo`: a cluster of real processes on this machine with traffic, and a scenario that is explained while it happens, in
the console or (`--headless`) as lines. Secret, identity, ports and data are its own and temporary.
*/
import {fileURLToPath} from 'node:url';
import {DapssError} from '../../core/errors.ts';
import {expectInput} from '../arguments/input.ts';
import {parseDuration, parseNumber} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import type {ScenarioName} from '../demo/scenarios.ts';
import type {Stage} from '../demo/stage.ts';
import {interruptedBy} from '../process/signals.ts';

/** Each node is a process, and fits on the screen. */
const nodesMax = 9;

export async function run(context: Context): Promise<number | void> {
	const {flags, output, terminal, signal} = context;
	expectInput(context, 0, 0, 'demo without arguments');
	const {scenarios, scenarioNames} = await import('../demo/scenarios.ts');
	const scenario = scenarioNames.find(name => name === (flags.scenario ?? 'split'));
	if (!scenario)
		throw new DapssError(
			'usage',
			`Expected --scenario ${scenarioNames.join(', ')}, got ${JSON.stringify(flags.scenario)}`,
		);
	const {nodesMin} = scenarios[scenario];
	const count =
		flags.nodes === undefined ? nodesMin : parseNumber(flags.nodes, '--nodes', {min: nodesMin, max: nodesMax});
	const isHeadless = flags.headless === true || output === 'jsonl';
	const durationMs = flags.duration === undefined ? undefined : parseDuration(flags.duration, '--duration');
	if (!isHeadless && durationMs !== undefined)
		throw new DapssError('usage', 'Expected --duration together with --headless: a console runs until you quit it');
	if (!isHeadless && !(terminal.isTerminal && terminal.stdin.isTTY))
		throw new DapssError('usage', 'Expected a terminal for the console; without one use dapss-tui demo --headless');
	const [{Stage: StageOf}, {removeLeftovers}] = await Promise.all([
		import('../demo/stage.ts'),
		import('../demo/leftovers.ts'),
	]);
	await removeLeftovers();
	terminal.say(`Starting ${count} nodes with temporary data …`);
	try {
		await using stage = await StageOf.open(fileURLToPath(new URL('cli.js', import.meta.url)), count, signal);
		return isHeadless
			? await playAlone(context, stage, scenario, durationMs)
			: await playInConsole(context, stage, scenario);
	} catch (error) {
		// The nodes end with the command, so a step that runs fails in some way.
		if (signal.aborted) throw interruptedBy(signal);
		throw error;
	}
}

async function playAlone(
	{output, terminal, signal}: Context,
	stage: Stage,
	scenario: ScenarioName,
	durationMs: number | undefined,
): Promise<void> {
	const {playHeadless} = await import('../demo/play.ts');
	const broken = await playHeadless(stage, {
		scenario,
		durationMs,
		isJson: output === 'jsonl',
		print: line => terminal.line(line),
		signal,
	});
	if (broken !== undefined) throw new DapssError('failure', `A promise was not kept: ${broken}`);
}

/** The console is attached to a node of the larger side, and goes to another one when that is lost. */
async function playInConsole(context: Context, stage: Stage, scenario: ScenarioName): Promise<number> {
	const {env, terminal} = context;
	const [{DemoGuide}, {showConsole}, {existingPreferences}] = await Promise.all([
		import('../demo/guide.ts'),
		import('./console.ts'),
		import('../settings/preferences.ts'),
	]);
	await using broker = await stage.cluster.followerOf(stage.ports);
	const code = await showConsole({...context, env: stage.cluster.env}, broker, {
		name: stage.cluster.name,
		remote: true,
		guide: new DemoGuide(stage, scenario),
		preferences: existingPreferences(env, line => terminal.say(line)) ?? {},
	});
	terminal.say('The demo has ended; its nodes are stopped and its data are removed');
	return code;
}
