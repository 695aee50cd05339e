/**
Help, drawn from the tables of commands and flags.
*/
import {exitCodes} from '../core/errors.ts';
import {everywhere, flagLines} from './arguments/flags.ts';
import {commands, start} from './commands/command-table.ts';
import type {Command} from './context.ts';

const indent = (lines: readonly string[]): string => lines.map(line => `  ${line}`).join('\n');

export function helpOf(command: Command): string {
	return [
		command.summary,
		`Usage\n${indent(command.usage.map(usage => `dapss-tui ${usage}`))}`,
		...(command === start ? [`Commands\n${indent(commandLines())}`] : []),
		...(command.notes?.length ? [indent(command.notes)] : []),
		`Flags\n${flagLines([...command.flags, ...everywhere]).join('\n')}`,
		...(command.flags.includes('output') ? [`Formats (-o)\n  ${command.formats.join(', ')}`] : []),
		`Examples\n${indent(command.examples)}`,
		...(command === start ? [`Exit codes\n${indent(exitLines())}`] : ['dapss-tui --help lists all commands.']),
	].join('\n\n');
}

function commandLines(): string[] {
	const width = Math.max(...commands.map(({name}) => name.length));
	return commands.map(({name, summary}) => `${name.padEnd(width)}  ${summary}`);
}

function exitLines(): string[] {
	const {failure, usage, unhealthy, unreachable} = exitCodes;
	return [
		`0 ok · ${failure} failure · ${usage} usage · ${unhealthy} unhealthy · ${exitCodes['no-quorum']} no quorum · ` +
			`${exitCodes['no-leader']} no leader`,
		`${exitCodes['not-authenticated']} not authenticated · ${unreachable} no node reached · ` +
			`${exitCodes['missed-bound']} a benchmark missed its bound · ${exitCodes['wait-over']} the wait was over`,
		'130 interrupted, 129 and 143 ended by SIGHUP and SIGTERM (a node: 0 by SIGTERM)',
		'Under -o json and jsonl an error is also a line on standard output:',
		'{"type":"error","at","code","message","exitCode"},',
		'and what was reached: "stored" of publish, "received" and "wanted" of subscribe.',
	];
}
