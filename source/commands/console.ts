/**
The console with its own node, which runs in a worker thread: drawing never delays a heartbeat, and the node cannot
write to the terminal.
*/
import {writeFile} from 'node:fs/promises';
import {resolve} from 'node:path';
import type {Broker} from '../../core/broker.ts';
import {exitCodes} from '../../core/errors.ts';
import {controlsJobs} from '../../core/platform.ts';
import {printable} from '../../core/observe/printable.ts';
import {createSource, type ClientSource} from '../../tui/client-source.ts';
import {runConsole, type ConsolePreferences} from '../../tui/index.tsx';
import type {Guide} from '../../tui/source/guide.ts';
import type {Examination} from '../../tui/source/source.ts';
import {withTimeTravel} from '../../tui/time-travel.ts';
import type {Context} from '../context.ts';
import {leaveOrSay} from '../nodes/leaving.ts';
import {startNode} from '../nodes/start-node.ts';
import {openWorkerNode} from '../nodes/worker.ts';
import {logTo} from '../output/console-log.ts';
import {examineApart} from '../process/doctor-process.ts';
import {titleNode} from '../process/title.ts';
import {loadPreferences} from '../settings/preferences.ts';

const interruptedCode = 130;

export async function runNodeConsole(context: Context): Promise<number> {
	const {flags, env, terminal} = context;
	const preferences = loadPreferences(env, line => terminal.say(line));
	const {tunables} = context.settings(preferences);
	terminal.say('Starting a node …'); // The node listens for its cluster before it founds one.
	await using node = await startNode(context, config =>
		openWorkerNode(config, {isReadonly: flags.readonly === true && flags.leave !== true}),
	);
	titleNode({id: node.id, name: '', port: node.port, cluster: tunables.cluster});
	const ended = new AbortController();
	using _end = {[Symbol.dispose]: () => ended.abort()};
	const code = await showConsole(context, node, {
		name: `${tunables.cluster}-${node.port}`,
		remote: false,
		preferences,
		onName: name => titleNode({id: node.id, name, port: node.port, cluster: tunables.cluster}),
		examine: () => examineApart(flags, node.port, ended.signal),
	});
	// For Ctrl-C and signals; the question of `q` has its own answer.
	if (flags.leave && (context.signal.aborted || code === interruptedCode)) await leaveOrSay(node, terminal);
	return code;
}

/** Writes a body to a new file. An existing one is never replaced. */
async function saveBody(path: string, body: Uint8Array): Promise<string> {
	const file = resolve(path);
	await writeFile(file, body, {flag: 'wx', mode: 0o600});
	return file;
}

/** Show a broker until the user closes the console. Resolves with the exit code. */
export async function showConsole(
	context: Context,
	broker: Broker,
	options: {
		readonly name: string;
		readonly remote: boolean;
		readonly preferences: ConsolePreferences;
		readonly onName?: (name: string) => void;
		readonly examine?: () => Promise<Examination>;
		readonly guide?: Guide;
		/** Disposed at the end. @default one of the broker */
		readonly source?: ClientSource;
	},
): Promise<number> {
	const {flags, env, terminal} = context;
	const {name, remote, preferences, onName, examine, guide} = options;
	using source = withTimeTravel(options.source ?? createSource(broker));
	const log = logTo(env, name, broker);
	let named = '';
	source.subscribe(() => {
		const called = source.getState().snapshot?.name ?? '';
		if (called === named) return;
		named = called;
		onName?.(called);
	});
	const end = await runConsole({
		source,
		readonly: flags.readonly ?? false,
		remote,
		examine,
		guide,
		preferences,
		save: saveBody,
		isInJob: controlsJobs(),
	});
	switch (end) {
		case 'quit':
			return 0;
		case 'left': {
			terminal.say('The node has left its cluster. Started again with its data folder it joins as a new member');
			return 0;
		}

		case 'interrupted':
			return interruptedCode;
		case 'lost': {
			const {detail, why: lost = detail} = source.getState();
			const why = remote ? lost : await broker.closed;
			terminal.say(
				`The ${remote ? 'link to the node' : 'node'} is gone: ` +
					`${printable(why)}${log === undefined ? '' : ` (log: ${log})`}`,
			);
			return remote ? exitCodes.unreachable : exitCodes.failure;
		}

		default:
			return end satisfies never;
	}
}
