import {expect, test} from 'vitest';
import {AsyncStack, Stack} from '../../core/stack.ts';

const recorded = (done: string[], name: string, error?: Error): Disposable => ({
	[Symbol.dispose]() {
		done.push(name);
		if (error) throw error;
	},
});

test('resources are disposed of once, in reverse order', () => {
	const done: string[] = [];
	const stack = new Stack();
	for (const name of ['a', 'b', 'c']) stack.use(recorded(done, name));
	stack.dispose();
	stack.dispose();
	expect(done).toEqual(['c', 'b', 'a']);
});

test('all resources are disposed of after an error, and the first error is thrown', () => {
	const done: string[] = [];
	const stack = new Stack();
	for (const name of ['a', 'b', 'c']) stack.use(recorded(done, name, new Error(name)));
	expect(() => stack.dispose()).toThrow('c');
	expect(done).toEqual(['c', 'b', 'a']);
});

test('asynchronous resources are disposed of one by one', async () => {
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

test('moved resources are disposed of by their new owner only', async () => {
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
