/**
Completion scripts for shells, generated from the tables of commands and flags. Pure: a shell in, the text of a script
out.
*/
import {everywhere, flagTable, written, type FlagName, type FlagText} from '../arguments/flags.ts';
import type {Command} from '../context.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** @param start the program without a command */
export function completionFor(shell: Shell, start: Command, commands: readonly Command[]): string {
	switch (shell) {
		case 'bash':
			return bash(start, commands);
		case 'zsh':
			return zsh(start, commands);
		case 'fish':
			return fish(start, commands);
		default:
			return shell satisfies never;
	}
}

/** Flags of a command, or of one of its words. */
function flagsOf({flags, wordFlags = {}}: Command, word?: string): ReadonlyArray<readonly [FlagName, FlagText]> {
	const others =
		word === undefined
			? []
			: Object.values(wordFlags)
					.flat()
					.filter(name => !wordFlags[word]?.includes(name));
	return [...flags, ...everywhere].filter(name => !others.includes(name)).map(name => [name, flagTable[name]]);
}

/** `topic create`: a command with one of its words. */
const pairsOf = (commands: readonly Command[]): ReadonlyArray<readonly [Command, string]> =>
	commands.flatMap(command => (command.words ?? []).map(word => [command, word] as const));
/** Flags with a value, which is neither a command nor a word. */
const valuedSpellings = (): readonly string[] =>
	(Object.entries(flagTable) as Array<[FlagName, FlagText]>)
		.filter(([, {type}]) => type === 'string')
		.flatMap(([name, flag]) => spellings(name, flag));
/** As people write it: `--output`, `-o`. */
const spellings = (name: FlagName, {shortFlag}: FlagText): readonly string[] => [
	written(name),
	...(shortFlag === undefined ? [] : [`-${shortFlag}`]),
];
/** Values that can be completed: formats. */
const valuesOf = (name: FlagName, command: Command): readonly string[] => (name === 'output' ? command.formats : []);

function bash(start: Command, commands: readonly Command[]): string {
	const valued = (Object.entries(flagTable) as Array<[FlagName, FlagText]>).filter(([, {type}]) => type === 'string');
	const spelled = (kind: 'FILE' | 'DIR' | undefined): string =>
		valued
			.filter(
				([name, {value}]) =>
					name !== 'output' && (value === 'FILE' || value === 'DIR' ? value : undefined) === kind,
			)
			.flatMap(([name, flag]) => spellings(name, flag))
			.join('|');
	const line = (key: string, command: Command, offered: readonly string[], word?: string): string => {
		const words = [...offered, ...flagsOf(command, word).flatMap(([name, flag]) => spellings(name, flag))];
		return `\t\t'${key}') words='${words.join(' ')}'; formats='${command.formats.join(' ')}' ;;`;
	};
	const cases = [
		...[start, ...commands].map(command =>
			line(command.name, command, command === start ? commands.map(({name}) => name) : (command.words ?? [])),
		),
		...pairsOf(commands).map(([command, word]) => line(`${command.name} ${word}`, command, [], word)),
	];
	return `# bash completion of dapss-tui: eval "$(dapss-tui completion bash)"
_dapss_tui() {
	local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
	local command='' word='' words='' formats='' index
	for ((index = 1; index < COMP_CWORD; index++)); do
		case \${COMP_WORDS[index]} in
			${valuedSpellings().join('|')}) ((index++)); continue ;;
		esac
		if [[ -n $command ]]; then
			case "$command \${COMP_WORDS[index]}" in
				${pairsOf(commands)
					.map(([{name}, word]) => `'${name} ${word}'`)
					.join('|')}) word=\${COMP_WORDS[index]}; break ;;
			esac
			continue
		fi
		case \${COMP_WORDS[index]} in
			${commands.map(({name}) => name).join('|')}) command=\${COMP_WORDS[index]} ;;
		esac
	done
	case "$command\${word:+ $word}" in
${cases.join('\n')}
	esac
	local IFS=$'\\n'
	case $previous in
		${spellings('output', flagTable.output).join('|')})
			COMPREPLY=($(IFS=' '; compgen -W "$formats" -- "$current")); return ;;
		${spelled('FILE')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
		${spelled('DIR')}) COMPREPLY=($(compgen -d -- "$current")); return ;;
		${spelled(undefined)}) COMPREPLY=(); return ;;
	esac
	COMPREPLY=($(IFS=' '; compgen -W "$words" -- "$current"))
}
complete -F _dapss_tui dapss-tui`;
}

function zsh(start: Command, commands: readonly Command[]): string {
	const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
	const plain = (text: string): string => text.replaceAll(/[\\:[\]]/g, String.raw`\$&`);
	const spec = ([name, flag]: readonly [FlagName, FlagText], command: Command): string => {
		const action =
			flag.value === 'FILE'
				? '_files'
				: flag.value === 'DIR'
					? '_files -/'
					: valuesOf(name, command).length > 0
						? `(${valuesOf(name, command).join(' ')})`
						: ' ';
		const rest = `[${plain(flag.text)}]${flag.type === 'string' ? `:${plain(flag.value ?? '')}:${action}` : ''}`;
		const all = spellings(name, flag);
		const prefix = flag.isMultiple ? '*' : all.length > 1 ? `(${all.join(' ')})` : '';
		return all.map(one => `\t\t\t${quote(`${prefix}${one}${rest}`)}`).join(' \\\n');
	};
	const line = (key: string, command: Command, rest: string, word?: string): string => `\t\t'${key}')
			${command === start ? '_describe -t commands command commands\n\t\t\t_arguments' : '_arguments'} \\
${flagsOf(command, word)
	.map(flag => spec(flag, command))
	.join(' \\\n')} \\
			${quote(rest)} ;;`;
	const cases = [
		...[start, ...commands].map(command =>
			line(command.name, command, command.words === undefined ? '*: : ' : `*: :(${command.words.join(' ')})`),
		),
		...pairsOf(commands).map(([command, word]) => line(`${command.name} ${word}`, command, '*: : ', word)),
	];
	return `#compdef dapss-tui
# zsh completion of dapss-tui: eval "$(dapss-tui completion zsh)", or into a file _dapss-tui of a folder in $fpath
_dapss_tui() {
	local command='' word='' one
	local -i isValue=0
	local -a commands
	commands=(
${commands.map(({name, summary}) => `\t\t${quote(`${name}:${plain(summary)}`)}`).join('\n')}
	)
	for one in \${words[2,CURRENT-1]}; do
		if ((isValue)); then isValue=0; continue; fi
		case $one in
			${valuedSpellings().join('|')}) isValue=1; continue ;;
		esac
		if [[ -n $command ]]; then
			case "$command $one" in
				${pairsOf(commands)
					.map(([{name}, word]) => `'${name} ${word}'`)
					.join('|')}) word=$one; break ;;
			esac
			continue
		fi
		case $one in
			${commands.map(({name}) => name).join('|')}) command=$one ;;
		esac
	done
	case "$command\${word:+ $word}" in
${cases.join('\n')}
	esac
}
if [ "\${funcstack[1]}" = _dapss-tui ]; then _dapss_tui "$@"; else compdef _dapss_tui dapss-tui; fi`;
}

function fish(start: Command, commands: readonly Command[]): string {
	const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
	const line = (keys: readonly string[], rest: string): string =>
		`complete -c dapss-tui -n ${quote(`__dapss_tui_at ${keys.map(key => quote(key)).join(' ')}`)} ${rest}`;
	const flagLine = (
		command: Command,
		[name, {type, value, shortFlag, text}]: readonly [FlagName, FlagText],
	): string => {
		const values = valuesOf(name, command);
		const argument =
			type === 'boolean'
				? ''
				: value === 'FILE'
					? ' -r -F'
					: value === 'DIR'
						? " -x -a '(__fish_complete_directories)'"
						: ` -x${values.length > 0 ? ` -a ${quote(values.join(' '))}` : ''}`;
		// No word was typed yet, or the typed word takes the flag.
		const keys = [
			command.name,
			...(command.words ?? [])
				.filter(word => flagsOf(command, word).some(([one]) => one === name))
				.map(word => `${command.name} ${word}`),
		];
		const short = shortFlag === undefined ? '' : ` -s ${shortFlag}`;
		return line(keys, `-l ${written(name).slice(2)}${short}${argument} -d ${quote(text)}`);
	};
	const lines = [start, ...commands].flatMap(command => [
		...(command.words ?? []).map(word => line([command.name], `-a ${quote(word)}`)),
		...flagsOf(command).map(flag => flagLine(command, flag)),
	]);
	return `# fish completion of dapss-tui: dapss-tui completion fish | source
function __dapss_tui_at -d 'The command, with its word, is one of these'
	set -l command
	set -l word
	set -l is_value
	for one in (commandline -opc)[2..-1]
		if set -q is_value[1]
			set is_value
			continue
		end
		if contains -- $one ${valuedSpellings().join(' ')}
			set is_value yes
		else if not set -q command[1]
			contains -- $one ${commands.map(({name}) => name).join(' ')}; and set command $one
		else if contains -- "$command $one" ${pairsOf(commands)
			.map(([{name}, word]) => quote(`${name} ${word}`))
			.join(' ')}
			set word $one
			break
		end
	end
	set -l at "$command"
	set -q word[1]; and set at "$command $word"
	contains -- "$at" $argv
end
complete -c dapss-tui -f
${commands.map(({name, summary}) => line([''], `-a ${quote(name)} -d ${quote(summary)}`)).join('\n')}
${lines.join('\n')}`;
}
