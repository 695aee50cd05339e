/**
How many words a command takes.
*/
import {DapssError} from '../../core/errors.ts';

/** @throws `usage` when there are too few or too many */
export function expectInput(
	context: {readonly input: readonly string[]},
	min: number,
	max: number,
	usage: string,
): void {
	const {length} = context.input;
	if (length < min) throw new DapssError('usage', `Expected ${usage}`);
	if (length > max)
		throw new DapssError(
			'usage',
			`Expected ${usage}, got ${JSON.stringify(context.input[max])} in addition; put quotes around text with spaces`,
		);
}
