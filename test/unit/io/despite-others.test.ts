import {expect, test} from 'vitest';
import {despiteOthers} from '../../../core/io/despite-others.ts';

const failing = (
	times: number,
	code: string,
): {readonly change: () => Promise<string>; readonly calls: () => number} => {
	let calls = 0;
	return {
		calls: () => calls,
		async change() {
			calls++;
			if (calls <= times) throw Object.assign(new Error(code), {code});
			return 'done';
		},
	};
};

test('on Windows a rename is repeated until a virus scanner has closed the file', async () => {
	const paused: number[] = [];
	const {change, calls} = failing(3, 'EPERM');
	expect(await despiteOthers(change, {platform: 'win32', pause: async ms => paused.push(ms)})).toBe('done');
	expect(calls()).toBe(4);
	expect(paused).toEqual([10, 20, 40]);
});

test('the repetition ends after a bounded time', async () => {
	const paused: number[] = [];
	const {change} = failing(Infinity, 'EBUSY');
	await expect(despiteOthers(change, {platform: 'win32', pause: async ms => paused.push(ms)})).rejects.toMatchObject({
		code: 'EBUSY',
	});
	expect(paused.reduce((sum, ms) => sum + ms)).toBe(1270);
});

test('a rename is not repeated on other platforms, and not for other errors', async () => {
	for (const [platform, code] of [
		['linux', 'EPERM'],
		['darwin', 'EBUSY'],
		['win32', 'ENOENT'],
		['win32', 'ENOSPC'],
	] as const) {
		const {change, calls} = failing(1, code);
		await expect(
			despiteOthers(change, {platform, pause: () => Promise.reject(new Error('waited'))}),
		).rejects.toMatchObject({code});
		expect(calls()).toBe(1);
	}
});
