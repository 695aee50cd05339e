import {expect, test} from 'vitest';
import {Names} from '../../../../core/io/net/host-names.ts';

function setUp(): {
	readonly names: Names;
	readonly asked: string[];
	answer(host: string, addresses: readonly string[] | Error): Promise<void>;
	pass(ms: number): void;
} {
	let nowMs = 0;
	const asked: string[] = [];
	const pending = new Map<string, PromiseWithResolvers<readonly string[]>>();
	const names = new Names({
		clock: {monotonicMs: () => nowMs},
		lookup(host) {
			asked.push(host);
			const answer = Promise.withResolvers<readonly string[]>();
			pending.set(host, answer);
			return answer.promise;
		},
	});
	return {
		names,
		asked,
		async answer(host, addresses) {
			const {resolve, reject} = pending.get(host)!;
			if (addresses instanceof Error) reject(addresses);
			else resolve(addresses);
			await new Promise(done => {
				setImmediate(done);
			});
		},
		pass(ms) {
			nowMs += ms;
		},
	};
}

const calledAt = (names: Names, host: string): Promise<unknown> =>
	new Promise(resolve => {
		names.lookup(host, {all: true}, (error, found) =>
			resolve(error ?? (found as Array<{address: string}>).map(({address}) => address)),
		);
	});

test('datagrams do not wait for a name server: known addresses return at once, and old ones are renewed', async () => {
	const {names, asked, answer, pass} = setUp();
	expect(names.known('db')).toEqual([]);
	expect(names.known('db')).toEqual([]);
	expect(asked).toEqual(['db']);
	await answer('db', ['10.0.0.1']);
	for (let count = 0; count < 1000; count++) expect(names.known('db')).toEqual(['10.0.0.1']);
	expect(asked).toHaveLength(1);
	pass(30_000);
	expect(names.known('db')).toEqual(['10.0.0.1']);
	expect(asked).toHaveLength(2);
	await answer('db', ['10.0.0.2']);
	expect(names.known('db')).toEqual(['10.0.0.2']);
});

test('an unknown name is looked up again after a second; a result stays while the name server is silent', async () => {
	const {names, asked, answer, pass} = setUp();
	names.known('db');
	await answer('db', new Error('ENOTFOUND'));
	expect(names.known('db')).toEqual([]);
	expect(asked).toHaveLength(1);
	pass(1000);
	names.known('db');
	await answer('db', ['10.0.0.1']);
	pass(30_000);
	names.known('db');
	await answer('db', new Error('EAI_AGAIN'));
	expect(names.known('db')).toEqual(['10.0.0.1']);
	await expect(Promise.all([names.resolve('db'), answer('db', [])])).rejects.toMatchObject({code: 'ENOTFOUND'});
});

test('the address that worked comes first, as long as the name resolves to it', async () => {
	const {names, answer} = setUp();
	names.known('db');
	await answer('db', ['10.0.0.1', '10.0.0.2', '10.0.0.2']);
	expect(names.known('db')).toEqual(['10.0.0.1', '10.0.0.2']);
	names.worked('db', '10.9.9.9');
	expect(names.preferred('db')).toBeUndefined();
	names.worked('db', '10.0.0.2');
	expect([names.preferred('db'), names.known('db')]).toEqual(['10.0.0.2', ['10.0.0.2', '10.0.0.1']]);
	void names.resolve('db');
	await answer('db', ['10.0.0.1', '10.0.0.3']);
	expect([names.preferred('db'), names.known('db')]).toEqual([undefined, ['10.0.0.1', '10.0.0.3']]);
});

test('calls start with another address each time until one has worked', async () => {
	const {names, answer} = setUp();
	const calls = [
		['a', 'b', 'c'],
		['b', 'c', 'a'],
		['c', 'a', 'b'],
		['a', 'b', 'c'],
	];
	for (const order of calls) {
		const call = calledAt(names, 'db');
		await answer('db', ['a', 'b', 'c']);
		expect(await call).toEqual(order);
	}

	names.worked('db', 'b');
	const call = calledAt(names, 'db');
	await answer('db', ['a', 'b', 'c']);
	expect(await call).toEqual(['b', 'a', 'c']);
	const failed = calledAt(names, 'db');
	await answer('db', new Error('EAI_AGAIN'));
	expect(await failed).toBeInstanceOf(Error);
});

test('a silent name server occupies at most two threads, and the next name waits for a free one', async () => {
	const {names, asked, answer} = setUp();
	for (const host of ['a', 'b', 'c', 'd', 'a']) names.known(host);
	expect(asked).toEqual(['a', 'b']);
	await answer('b', new Error('timeout'));
	expect(asked).toEqual(['a', 'b', 'c']);
	await answer('a', ['10.0.0.1']);
	await answer('c', ['10.0.0.3']);
	await answer('d', ['10.0.0.4']);
	names.known('e');
	expect(asked).toEqual(['a', 'b', 'c', 'd', 'e']);
});
