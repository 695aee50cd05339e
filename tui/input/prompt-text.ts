/**
The text that a prompt accepts. It keeps every character that a message may hold: the row shows those without a shape as
marks. What is left out is said. Pure.
*/

/** Code units of a draft. A longer message can be published with the command line. */
export const draftMax = 16_384;
export const fullText = `The line is full: ${draftMax.toLocaleString('en')} characters. ` + longer();

/** Control characters would be keys in a terminal; a lone surrogate has no UTF-8. Line ends and tabs stay. */
const refused = /[[\p{Cc}\p{Cs}]--[\n\t]]/gv;

/** Typed text, with line ends as `\n`, without characters that a draft cannot hold. */
export function typed(text: string): string {
	return text.replaceAll(/\r\n?/g, '\n').replaceAll(refused, '');
}

/**
Pasted text as it goes into a draft, and a line about what a user would not expect.

@param cut characters that were lost before
@param room code units that the draft has left
*/
export function pasted(text: string, cut: number, room: number): {readonly text: string; readonly said: string} {
	const lines = text.replaceAll(/\r\n?/g, '\n');
	// A copied line often has its end with it.
	const body = lines.indexOf('\n') === lines.length - 1 ? lines.slice(0, -1) : lines;
	const kept = body.replaceAll(refused, '');
	const said: string[] = [];
	const over = Math.max(0, kept.length - room) + cut;
	if (over > 0)
		said.push(
			`Cut: ${(kept.length + cut - over).toLocaleString('en')} of ${(kept.length + cut).toLocaleString('en')} ` +
				`characters fit. ${longer()}`,
		);
	const count = kept.split('\n').length;
	if (count > 1) said.push(`Pasted ${count} lines as one text; ␤ marks their ends`);
	const left = [...body].length - [...kept].length;
	if (left > 0) said.push(`${left} control ${left === 1 ? 'character was' : 'characters were'} left out`);
	return {text: kept, said: said.join(' · ')};
}

function longer(): string {
	return 'For a longer message: `dapss-tui publish TOPIC -`';
}
