import {expect, test} from 'vitest';
import {AsyncStack, Stack} from '../../core/stack.ts';

const recorded = (done: string[], name: string, error?: Error): Disposable => ({
	[Symbol.dispose]() {
		done.push(name);
		if (error) throw error;
	},
});

test('what was opened last is given back first, once', () => {
	const done: string[] = [];
	const stack = new Stack();
	for (const name of ['a', 'b', 'c']) stack.use(recorded(done, name));
	stack.dispose();
	stack.dispose();
	expect(done).toEqual(['c', 'b', 'a']);
});

test('an error keeps nothing from being given back, and the first is thrown', () => {
	const done: string[] = [];
	const stack = new Stack();
	for (const name of ['a', 'b', 'c']) stack.use(recorded(done, name, new Error(name)));
	expect(() => stack.dispose()).toThrow('c');
	expect(done).toEqual(['c', 'b', 'a']);
});

test('of asynchronous ones each waits for the one that was opened after it', async () => {
	const done: string[] = [];
	const slow = {
		async [Symbol.asyncDispose]() {
			await Promise.resolve();
			done.push('slow');
			throw new Error('slow');
		},
	};
	const stack = new AsyncStack();
	stack.use(recorded(done, 'first'));
	stack.use(slow);
	await expect(stack.disposeAsync()).rejects.toThrow('slow');
	expect(done).toEqual(['slow', 'first']);
});

test('what was moved is given back by the new owner alone', async () => {
	const done: string[] = [];
	let moved: AsyncStack;
	{
		await using stack = new AsyncStack();
		stack.use(recorded(done, 'held'));
		moved = stack.move();
	}

	expect(done).toEqual([]);
	await moved.disposeAsync();
	expect(done).toEqual(['held']);
});
