/**
Checks the number of arguments of a command.
*/
import {DapssError} from '../../core/errors.ts';

/** @throws `usage` for too few or too many arguments */
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
			`Expected ${usage}, got ${JSON.stringify(context.input[max])} as an extra argument; ` +
				'put quotes around text with spaces',
		);
}
