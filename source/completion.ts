/**
Completion for shells, drawn from the tables of commands and flags. Pure: a command in, the text of a script out; nothing of it is written by hand twice.
*/
import type {Command} from './context.ts';
import {everywhere, flagTable, written, type FlagName, type FlagText} from './flags.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** @param start what the program does without a command */
export function completionFor(shell: Shell, start: Command, commands: readonly Command[]): string {
	switch (shell) {
		case 'bash': return bash(start, commands);
		case 'zsh': return zsh(start, commands);
		case 'fish': return fish(start, commands);
		default: return shell satisfies never;
	}
}

const flagsOf = (command: Command): ReadonlyArray<readonly [FlagName, FlagText]> => [...command.flags, ...everywhere].map(name => [name, flagTable[name]]);
/** As it is written: `--output`, `-o`. */
const spellings = (name: FlagName, {shortFlag}: FlagText): readonly string[] => [written(name), ...(shortFlag === undefined ? [] : [`-${shortFlag}`])];
/** Values that are known: formats. */
const valuesOf = (name: FlagName, command: Command): readonly string[] => name === 'output' ? command.formats : [];

function bash(start: Command, commands: readonly Command[]): string {
	const valued = (Object.entries(flagTable) as Array<[FlagName, FlagText]>).filter(([, {type}]) => type === 'string');
	const spelled = (kind: 'FILE' | 'DIR' | undefined): string => valued.filter(([name, {value}]) => name !== 'output' && (value === 'FILE' || value === 'DIR' ? value : undefined) === kind).flatMap(([name, flag]) => spellings(name, flag)).join('|');
	const cases = [start, ...commands].map(command => `\t\t${command === start ? '\'\'' : command.name}) words='${[...(command === start ? commands.map(({name}) => name) : command.words ?? []), ...flagsOf(command).flatMap(([name, flag]) => spellings(name, flag))].join(' ')}'; formats='${command.formats.join(' ')}' ;;`);
	return `# bash completion of dapss-tui: eval "$(dapss-tui completion bash)"
_dapss_tui() {
	local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' formats='' index
	for ((index = 1; index < COMP_CWORD; index++)); do
		case \${COMP_WORDS[index]} in
			${commands.map(({name}) => name).join('|')}) command=\${COMP_WORDS[index]}; break ;;
		esac
	done
	case $command in
${cases.join('\n')}
	esac
	local IFS=$'\\n'
	case $previous in
		${spellings('output', flagTable.output).join('|')}) COMPREPLY=($(IFS=' '; compgen -W "$formats" -- "$current")); return ;;
		${spelled('FILE')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
		${spelled('DIR')}) COMPREPLY=($(compgen -d -- "$current")); return ;;
		${spelled(undefined)}) COMPREPLY=(); return ;;
	esac
	COMPREPLY=($(IFS=' '; compgen -W "$words" -- "$current"))
}
complete -F _dapss_tui dapss-tui`;
}

function zsh(start: Command, commands: readonly Command[]): string {
	const quote = (text: string): string => `'${text.replaceAll('\'', String.raw`'\''`)}'`;
	const plain = (text: string): string => text.replaceAll(/[\\:[\]]/g, String.raw`\$&`);
	const spec = ([name, flag]: readonly [FlagName, FlagText], command: Command): string => {
		const action = flag.value === 'FILE' ? '_files' : flag.value === 'DIR' ? '_files -/' : valuesOf(name, command).length > 0 ? `(${valuesOf(name, command).join(' ')})` : ' ';
		const rest = `[${plain(flag.text)}]${flag.type === 'string' ? `:${plain(flag.value ?? '')}:${action}` : ''}`;
		const all = spellings(name, flag);
		const prefix = flag.isMultiple ? '*' : all.length > 1 ? `(${all.join(' ')})` : '';
		return all.map(one => `\t\t\t${quote(`${prefix}${one}${rest}`)}`).join(' \\\n');
	};
	const cases = [start, ...commands].map(command => `\t\t${command === start ? '\'\'' : command.name})
			${command === start ? '_describe -t commands command commands\n\t\t\t_arguments' : '_arguments'} \\
${flagsOf(command).map(flag => spec(flag, command)).join(' \\\n')} \\
			${quote(command === start ? '*: : ' : `*: :(${[command.name, ...command.words ?? []].join(' ')})`)} ;;`);
	return `#compdef dapss-tui
# zsh completion of dapss-tui: eval "$(dapss-tui completion zsh)", or into a file _dapss-tui of a folder in $fpath
_dapss_tui() {
	local command='' word
	local -a commands
	commands=(
${commands.map(({name, summary}) => `\t\t${quote(`${name}:${plain(summary)}`)}`).join('\n')}
	)
	for word in \${words[2,CURRENT-1]}; do
		case $word in
			${commands.map(({name}) => name).join('|')}) command=$word; break ;;
		esac
	done
	case $command in
${cases.join('\n')}
	esac
}
if [ "\${funcstack[1]}" = _dapss-tui ]; then _dapss_tui "$@"; else compdef _dapss_tui dapss-tui; fi`;
}

function fish(start: Command, commands: readonly Command[]): string {
	const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
	const names = commands.map(({name}) => name).join(' ');
	const condition = (command: Command): string => command === start ? `not __fish_seen_subcommand_from ${names}` : `__fish_seen_subcommand_from ${command.name}`;
	const line = (command: Command, rest: string): string => `complete -c dapss-tui -n ${quote(condition(command))} ${rest}`;
	const lines = [start, ...commands].flatMap(command => [
		...(command.words ?? []).map(word => line(command, `-a ${quote(word)}`)),
		...flagsOf(command).map(([name, {type, value, shortFlag, text}]) => {
			const values = valuesOf(name, command);
			const argument = type === 'boolean' ? '' : value === 'FILE' ? ' -r -F' : value === 'DIR' ? ' -x -a \'(__fish_complete_directories)\'' : ` -x${values.length > 0 ? ` -a ${quote(values.join(' '))}` : ''}`;
			return line(command, `-l ${written(name).slice(2)}${shortFlag === undefined ? '' : ` -s ${shortFlag}`}${argument} -d ${quote(text)}`);
		}),
	]);
	return `# fish completion of dapss-tui: dapss-tui completion fish | source
complete -c dapss-tui -f
${commands.map(({name, summary}) => line(start, `-a ${quote(name)} -d ${quote(summary)}`)).join('\n')}
${lines.join('\n')}`;
}
