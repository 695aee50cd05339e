/**
A target of the fuzzer: arbitrary inputs, and a check that no input may break. A target that keeps state, such as a
listening node, opens before the first input and closes after the last.
*/
import type fc from 'fast-check';

export type OpenTarget<Input = unknown> = {
	readonly inputs: fc.Arbitrary<Input>;
	/** @throws when the input broke something */
	check(input: Input): void | Promise<void>;
	/** Checks what must hold after all inputs, and frees what the target uses. */
	close?(): void | Promise<void>;
};

export type Target = {
	readonly name: string;
	/** Inputs of a run in CI. */
	readonly runs: number;
	readonly open: () => OpenTarget<never> | Promise<OpenTarget<never>>;
};

/** Describes a target; the type of its inputs is known to it alone. */
export function target<Input>(
	name: string,
	runs: number,
	open: () => OpenTarget<Input> | Promise<OpenTarget<Input>>,
): Target {
	return {name, runs, open: open as Target['open']};
}

/** @throws unless the condition holds */
export function must(isMet: boolean, what: string): void {
	if (!isMet) throw new Error(`Expected ${what}`);
}
