/**
`replay FILE`: the console on a recording. With `--check` the rules that a cluster promises, with `--shiviz` the causal
order of the messages.
*/
import {writeFileSync} from 'node:fs';
import {DapssError, exitCodes} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {paint} from '../output/terminal.ts';
import {timestamp} from '../output/units.ts';
import {checkRecordings, type CheckReport, type RuleResult} from '../recording/invariants.ts';
import {Recording} from '../recording/recording.ts';
import {shivizOf} from '../recording/shiviz.ts';

/** Violations of a rule that are printed as text. */
const shownMax = 20;

export async function run(context: Context): Promise<number> {
	const {input, flags, output, terminal} = context;
	const isMany = flags.check === true || flags.shiviz !== undefined;
	expectInput(context, 1, isMany ? Infinity : 1, 'replay FILE, or replay FILE… with --check or --shiviz OUT');
	if (!isMany && output === 'json') throw new DapssError('usage', 'Expected --check with -o json');
	const {snapshotOf} = await context.backend();
	const recordings = input.map(path => new Recording(path, snapshotOf));
	for (const {path, torn, ended} of recordings) {
		if (torn > 0) terminal.say(`The last record of ${printable(path)} is torn: ${torn} B are left out`);
		else if (ended === undefined)
			terminal.say(`${printable(path)} has no end: the recorder was killed, or still runs`);
	}

	if (flags.shiviz !== undefined) {
		const {log, events, hosts} = shivizOf(recordings);
		writeFileSync(flags.shiviz, log, {mode: 0o600});
		terminal.say(`${events} events of ${hosts} nodes are in ${printable(flags.shiviz)}`);
		if (!flags.check) return 0;
	}

	if (flags.check) return printReport(context, checkRecordings(recordings));
	return showReplay(context, recordings[0]!);
}

async function printReport({output, terminal}: Context, report: CheckReport): Promise<number> {
	const isHeld = report.rules.every(({result}) => result !== 'violated');
	const code = isHeld ? 0 : exitCodes.failure;
	if (output === 'json') {
		await terminal.line(jsonText({...report, result: isHeld ? 'held' : 'violated'}));
		return code;
	}

	for (const {file, node, cluster, fromMs, toMs, frames, messages, skipped} of report.files)
		await terminal.line(
			`${printable(file)}: ${printable(node)} of ${printable(cluster)}, ` +
				`${timestamp(fromMs)} to ${timestamp(toMs)}, ` +
				`${frames} snapshots, ${messages} messages${skipped === 0 ? '' : `, ${skipped} not in the sample`}`,
		);
	for (const rule of report.rules) await terminal.line(ruleText(rule, terminal.hasColour));
	return code;
}

function ruleText({text, result, checked, violations}: RuleResult, hasColour: boolean): string {
	const mark = {
		held: paint(hasColour, 'good', 'held     '),
		violated: paint(hasColour, 'bad', 'VIOLATED '),
		'not shown': paint(hasColour, 'muted', 'not shown'),
	}[result];
	const shown = violations
		.slice(0, shownMax)
		.map(one => `\n    ${timestamp(one.at)}  ${printable(one.file)}: ${printable(one.text)}`);
	const more = violations.length > shownMax ? `\n    and ${violations.length - shownMax} more` : '';
	return `${mark}  ${text} (${checked} checked)${shown.join('')}${more}`;
}

async function showReplay(context: Context, recording: Recording): Promise<number> {
	const {terminal, env} = context;
	if (!terminal.isTerminal || !terminal.stdin.isTTY)
		throw new DapssError(
			'failure',
			'Expected a terminal for the console; without one, dapss-tui replay FILE --check',
		);
	const [{runConsole}, {createReplay}, {loadPreferences}] = await Promise.all([
		import('../../tui/index.tsx'),
		import('../../tui/replay-source.ts'),
		import('../settings/preferences.ts'),
	]);
	using source = createReplay(recording);
	const preferences = loadPreferences(env, line => terminal.say(line));
	const end = await runConsole({source, readonly: false, remote: true, preferences});
	return end === 'interrupted' ? 130 : 0;
}
