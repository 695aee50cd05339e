import fc from 'fast-check';
import {expect, test} from 'vitest';
import {complete, parseDuration, parseLine} from '../../tui/input/prompt-commands.ts';
import type {PromptRequest} from '../../tui/input/prompt-request.ts';
import {a, anyText, b, ids} from './support/fixtures.ts';

const context = {members: ids.slice(0, 3).map((id, index) => ({id, name: '', address: `127.0.0.1:500${index}`}))};

test.each([
	['subscribe weather', {type: 'run', command: {type: 'subscribe', topics: ['weather']}}],
	[':subscribe weather, jobs', {type: 'run', command: {type: 'subscribe', topics: ['weather', 'jobs']}}],
	['unsubscribe weather', {type: 'run', command: {type: 'unsubscribe', topics: ['weather']}}],
	[
		'publish weather hello from the keys',
		{type: 'run', command: {type: 'publish', topic: 'weather', body: 'hello from the keys'}},
	],
	['publish weather  two spaces ', {type: 'run', command: {type: 'publish', topic: 'weather', body: ' two spaces '}}],
	['publish weather ', {type: 'run', command: {type: 'publish', topic: 'weather', body: ''}}],
	['publish "my topic" x', {type: 'run', command: {type: 'publish', topic: 'my topic', body: 'x'}}],
	['publish news "hello  world"', {type: 'run', command: {type: 'publish', topic: 'news', body: 'hello  world'}}],
	[
		'publish news it\'s "raining" here',
		{type: 'run', command: {type: 'publish', topic: 'news', body: 'it\'s "raining" here'}},
	],
	['publish news {"a": 1}', {type: 'run', command: {type: 'publish', topic: 'news', body: '{"a": 1}'}}],
	[
		'subscribe "my topic" \'a,b\' c,d',
		{type: 'run', command: {type: 'subscribe', topics: ['my topic', 'a,b', 'c', 'd']}},
	],
	['subscribe js --from now', {type: 'run', command: {type: 'subscribe', topics: ['js']}}],
	['subscribe -- --from', {type: 'run', command: {type: 'subscribe', topics: ['--from']}}],
	[
		`fault cut ${a.slice(0, 8)} --one-way --for=1s`,
		{type: 'run', command: {type: 'fault', fault: {type: 'cut', peers: [a], direction: 'out', forMs: 1000}}},
	],
	['peers', {type: 'focus', pane: 'peers'}],
	['status', {type: 'report', report: 'status'}],
	['doctor', {type: 'doctor'}],
	['quit', {type: 'quit'}],
	['filter rain', {type: 'filter', text: 'rain'}],
	['', {type: 'nothing'}],
	[
		`fault cut ${a.slice(0, 4)} in for 2s`,
		{type: 'run', command: {type: 'fault', fault: {type: 'cut', peers: [a], direction: 'in', forMs: 2000}}},
	],
	[
		`fault cut ${a.slice(0, 8)},${b.slice(0, 8)} --for 500ms`,
		{type: 'run', command: {type: 'fault', fault: {type: 'cut', peers: [a, b], direction: 'both', forMs: 500}}},
	],
	['fault delay 50ms', {type: 'run', command: {type: 'fault', fault: {type: 'delay', ms: 50, forMs: 10_000}}}],
	[
		'fault drop 20% for 1m',
		{type: 'run', command: {type: 'fault', fault: {type: 'drop', percent: 20, forMs: 60_000}}},
	],
	['leader', {type: 'report', report: 'leader'}],
	['leader transfer', {type: 'run', command: {type: 'transfer', to: undefined}}],
	[`leader transfer ${b.slice(0, 6)}`, {type: 'run', command: {type: 'transfer', to: b}}],
	['leader transfer 127.0.0.1:5001', {type: 'run', command: {type: 'transfer', to: b}}],
	['topic list', {type: 'focus', pane: 'topics'}],
	[
		'topic create orders',
		{type: 'run', command: {type: 'create-topic', topic: 'orders', settings: {}, update: false}},
	],
	[
		'topic create "my orders" --retain-age 12h --retain-bytes=64m --update',
		{
			type: 'run',
			command: {
				type: 'create-topic',
				topic: 'my orders',
				settings: {retainAgeS: 43_200, retainBytes: 67_108_864},
				update: true,
			},
		},
	],
	[
		'topic delete "my orders" --force',
		{
			type: 'confirm',
			command: {type: 'delete-topic', topic: 'my orders', force: true},
			name: 'my orders',
			title: 'Delete the topic my orders',
			lines: [
				'Its messages are deleted on all nodes, permanently, with its settings.',
				'Nodes that are subscribed lose their subscription.',
			],
		},
	],
	[
		`peer remove ${b.slice(0, 6)}`,
		{
			type: 'confirm',
			command: {type: 'remove', node: b},
			name: b.slice(0, 8),
			title: `Remove ${b.slice(0, 8)}`,
			lines: expect.arrayContaining([
				'Messages that only this node has are lost.',
				'It has no vote, so the quorum stays as it is.',
			]) as string[],
		},
	],
	['access', {type: 'run', command: {type: 'access-list'}}],
	[
		`access add ${'9f'.repeat(32)} client billing`,
		{
			type: 'run',
			command: {
				type: 'access-change',
				change: {type: 'grant', identity: '9f'.repeat(32), role: 'client', name: 'billing', topics: []},
			},
		},
	],
	[
		'access revoke billing',
		expect.objectContaining({type: 'confirm', name: 'billing', command: {type: 'access-revoke', name: 'billing'}}),
	],
	['attach 10.0.0.7:5000', {type: 'run', command: {type: 'attach', server: '10.0.0.7:5000'}}],
	['attach 5001', {type: 'run', command: {type: 'attach', server: '127.0.0.1:5001'}}],
	['context prod', {type: 'run', command: {type: 'context', name: 'prod'}}],
	['fault heal', {type: 'run', command: {type: 'fault', fault: {type: 'heal'}}}],
])('the line %s is a request', (line, request) => {
	expect(parseLine(line, context)).toEqual(request);
});

test.each([
	['subscrib weather', 'No command `subscrib`. Did you mean `:subscribe`?'],
	['pubish x y', 'No command `pubish`. Did you mean `:publish`?'],
	['stat', 'No command `stat`. Did you mean `:status`?'],
	['xyzzyxyzzy', 'No command `xyzzyxyzzy`. `?` lists them'],
	['__proto__', 'No command `__proto__`. `?` lists them'],
	['publish weather', 'Expected a topic and a message: `:publish weather hello`'],
	['subscribe', 'Expected a topic: `:subscribe weather`'],
	[
		'subscribe js --from beginning',
		'The console subscribes the node from now on; ' +
			'to read stored messages, use `dapss-tui subscribe js --from beginning`',
	],
	[
		'subscribe js --form now',
		'There is no flag `--form` here; there is `--from`. Put a word that begins with dashes in quotes',
	],
	['unsubscribe js --from now', 'There is no flag `--from` here. Put a word that begins with dashes in quotes'],
	['subscribe js --from', 'Expected a value after `--from`'],
	['publish "my topic x', 'The quote at "\\"my topic x" is not closed'],
	['publish "my topic"', 'Expected a topic and a message: `:publish weather hello`'],
	['leader depose', 'Expected `:leader` or `:leader transfer [NODE]`'],
	[
		'leader transfer zz',
		`No member has the name, address, port or first digits of the id \`zz\`: ${ids
			.slice(0, 3)
			.map(id => id.slice(0, 8))
			.join(', ')}`,
	],
	[
		'topic',
		'Expected `:topic create NAME [--retain-age 12h] [--retain-bytes 64m] [--update]`, ' +
			'`:topic delete NAME [--force]` or `:topic list`',
	],
	['topic create orders --retain-age soon', 'Expected a time such as `--retain-age 12h`, got `soon`'],
	['topic create orders --retain-bytes 1x', 'Expected a size such as `--retain-bytes 64m`, got `1x`'],
	['topic create orders --retain-age 9999d', 'Expected `--retain-age` to be 1s to 3650d, got `9999d`'],
	['topic create orders --retain-bytes 1k', 'Expected `--retain-bytes` to be 4 KiB to 1 PiB, got `1k`'],
	[
		'topic create orders --force',
		'Expected `:topic create NAME [--retain-age 12h] [--retain-bytes 64m] [--update]`, ' +
			'`:topic delete NAME [--force]` or `:topic list`',
	],
	['peer', 'Expected `:peer remove NODE`'],
	['attach', 'Expected a node of this cluster, or an address: `:attach n2`, `:attach 10.0.0.7:5000`'],
	['context', 'Expected the name of a context of the preferences: `:context prod`'],
	['access add 1234 client', 'Expected an identity: 64 digits, as `dapss-tui access identity` prints them'],
	['fault cut 5001 for 0s', 'Expected a time such as `for 10s`, got `0s`'],
	[
		'fault cut zz',
		`No member has the name, address, port or first digits of the id \`zz\`: ${ids
			.slice(0, 3)
			.map(id => id.slice(0, 8))
			.join(', ')}`,
	],
	[
		'fault cut 5000,5001 5002 for 5s',
		'`:fault cut` cuts the node of this console from the given ones: name one group. `dapss-tui fault cut A,B C` cuts two groups',
	],
	['fault cut a in for soon', 'Expected a time such as `for 10s`, got `soon`'],
	['fault heal for 3s', 'Expected `:fault heal` without a time, got `3s`: it ends all faults'],
	[
		'fault heal a',
		'Expected `:fault cut NODE… [in|out] [for 10s]`, `isolate [for 10s]`, `delay 50ms [for 10s]`, `drop 20% [for 10s]` or `heal`',
	],
	[
		'fault drop 10 20',
		'Expected `:fault cut NODE… [in|out] [for 10s]`, `isolate [for 10s]`, `delay 50ms [for 10s]`, `drop 20% [for 10s]` or `heal`',
	],
	[
		'fault drop 200',
		'Expected `:fault cut NODE… [in|out] [for 10s]`, `isolate [for 10s]`, `delay 50ms [for 10s]`, `drop 20% [for 10s]` or `heal`',
	],
])('the line %s is refused: %s', (line, text) => {
	expect(parseLine(line, context)).toEqual({type: 'problem', text});
});

const requestTypes = [
	'run',
	'focus',
	'report',
	'help',
	'doctor',
	'quit',
	'leave',
	'filter',
	'pause',
	'zoom',
	'nothing',
	'problem',
] as const satisfies ReadonlyArray<PromptRequest['type']>;

test('any line is parsed without an exception', () => {
	fc.assert(
		fc.property(
			fc.oneof(
				anyText(60),
				fc.string().map(text => `fault ${text}`),
			),
			line => {
				expect(requestTypes).toContain(parseLine(line, context).type);
			},
		),
	);
});

test('completion stops where it is ambiguous', () => {
	expect(complete('sub', [], []).text).toBe('subscribe ');
	expect(complete('pa', [], []).text).toBe('pa');
	expect(complete('par', [], []).text).toBe('partition ');
	expect(complete('publish we', ['weather', 'jobs'], []).text).toBe('publish weather');
	expect(complete('subscribe sensors/', ['sensors/door', 'sensors/dust'], []).text).toBe('subscribe sensors/d');
	expect(complete('publish we', ['weather map', 'jobs'], []).text).toBe('publish "weather map"');
	expect(complete('subscribe jobs "weather m', ['weather map', 'jobs'], []).text).toBe(
		'subscribe jobs "weather map"',
	);
	expect(complete('subscribe "weather map" jo', ['weather map', 'jobs'], []).text).toBe(
		'subscribe "weather map" jobs',
	);
	expect(complete('publish weather he', ['hello'], []).text).toBe('publish weather hello');
	expect(complete('status x', ['xx'], []).text).toBe('status x');
	expect(complete('leader ', [], []).text).toBe('leader transfer ');
	expect(complete('peer re', [], []).text).toBe('peer remove ');
	expect(complete('fault d', [], []).text).toBe('fault d');
	expect(complete(`peer remove ${b.slice(0, 3)}`, [], context.members).text).toBe(`peer remove ${b.slice(0, 8)}`);
	expect(complete(`fault cut 5000,${a.slice(0, 3)}`, [], context.members).text).toBe(
		`fault cut 5000,${a.slice(0, 8)}`,
	);
	expect(complete('leader transfer zz', [], context.members).text).toBe('leader transfer zz');
});

test('durations are parsed with their units', () => {
	expect([
		parseDuration('250ms'),
		parseDuration('10s'),
		parseDuration('2m'),
		parseDuration('7'),
		parseDuration('1.5s'),
		parseDuration('x'),
		parseDuration('-1s'),
	]).toEqual([250, 10_000, 120_000, 7000, 1500, undefined, undefined]);
});
