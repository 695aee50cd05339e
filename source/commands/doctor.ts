/**
`doctor`: is this machine ready for a node that starts with the same flags? Each check has a result and a remedy. It
needs no node and no network.
*/
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {examine} from '../doctor/examine.ts';
import {levelOf, type Check, type Level} from '../doctor/outcome.ts';
import {paint, type Tone} from '../output/terminal.ts';
import {interruptible} from '../process/interruptible.ts';
import {addressOf} from '../settings/settings.ts';

const marks: Readonly<Record<Level, readonly [Tone, string]>> = {
	ok: ['good', '✓'],
	warning: ['warning', '!'],
	problem: ['bad', '✗'],
};
/** A command that takes longer says what it waits for, milliseconds. */
const progressMs = 1000;

export async function run(context: Context): Promise<number> {
	const {terminal, output, env, signal} = context;
	expectInput(context, 0, 0, 'doctor without arguments');
	const named = context.flags.server ?? (env['DAPSS_SERVER'] || undefined);
	const servers =
		named === undefined
			? []
			: named
					.split(',')
					.map(one =>
						addressOf(one.trim(), context.flags.server === undefined ? 'DAPSS_SERVER' : '--server'),
					);
	const progress = setTimeout(() => terminal.say('Listening for other nodes, and timing the disk …'), progressMs);
	const {checks, left, node} = await interruptible(
		examine({
			load: context.settings,
			env,
			servers,
			async connect(
				{tunables: {cluster, enableNodeAuth, enableMessageSigning, enableEncryption, limits}},
				secret,
				address,
				timeoutMs,
			) {
				const backend = await context.backend();
				return backend.connect({
					servers: [address],
					cluster,
					secret,
					enableNodeAuth,
					enableMessageSigning,
					enableEncryption,
					limits,
					timeoutMs,
				});
			},
		}),
		signal,
	).finally(() => clearTimeout(progress));
	const level = levelOf(checks);
	const exitCode = level === 'problem' ? 1 : 0;
	if (output === 'json') {
		await terminal.line(
			jsonText({
				verdict: level,
				cluster: node?.cluster ?? null,
				port: node?.port ?? null,
				running: node?.isRunning ?? null,
				checks,
				left,
			}),
		);
		return exitCode;
	}

	const what = node
		? `cluster ${printable(node.cluster)}, port ${node.port}: ` +
			`${node.isRunning ? 'its node runs' : 'no node of it runs'} here`
		: 'the settings are wrong';
	await terminal.line(`${paint(terminal.hasColour, marks[level][0], level)}: ${what}; ${countText(checks)}`);
	for (const check of checks) await terminal.line(linesOf(check, terminal.hasColour));
	if (left.length > 0) await terminal.line(`Not examined, because of the problems above: ${left.join(', ')}`);
	return exitCode;
}

function countText(checks: readonly Check[]): string {
	const count = (level: Level, one: string): string => {
		const {length} = checks.filter(check => check.level === level);
		return `${length} ${one}${length === 1 ? '' : 's'}`;
	};
	return `${checks.length} checks, ${count('problem', 'problem')}, ${count('warning', 'warning')}`;
}

function linesOf({code, level, found, remedy, reason}: Check, hasColour: boolean): string {
	const [tone, mark] = marks[level];
	const shown = found
		.split('\n')
		.map(line => printable(line))
		.join('\n    ');
	return (
		`  ${paint(hasColour, tone, mark)} ${code}${reason === null ? '' : ` (${reason})`}: ` +
		`${shown}${remedy === null ? '' : `\n    ${printable(remedy)}`}`
	);
}
