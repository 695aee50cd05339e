import {afterEach, describe, expect, test} from 'vitest';
import {fitCells} from '../../core/observe/printable.ts';
import type {Topic} from '../../core/message.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Examination} from '../../tui/source/source.ts';
import {
	atMs,
	b,
	largeCluster,
	d,
	FakeSource,
	feed,
	healthy,
	hostile,
	joining,
	leaderless,
	longName,
	message,
	named,
	partitioned,
	topic,
} from './support/fixtures.ts';
import {openConsole, type Running, type Screen} from './support/terminal.ts';

const sizes = [
	[60, 15],
	[80, 24],
	[120, 36],
	[160, 45],
] as const;
const snapshots: Readonly<Record<string, Snapshot>> = {
	healthy,
	leaderless,
	partitioned,
	named,
	largeCluster,
	joining,
	hostile,
};

/** Every row of a grid or accordion ends at the edge of the screen: nothing was moved, wrapped or cut. */
function expectWhole(screen: Screen): void {
	const {
		cols,
		rows,
		buffer: {active},
	} = screen.emulator;
	let open = false;
	for (let row = 0; row < rows; row++) {
		const line = active.getLine(row)!;
		const last = line.getCell(cols - 1)!.getChars();
		const first = line.getCell(0)!.getChars();
		if (/[╭┏]/.test(first)) open = true;
		if (open) {
			expect(first, `row ${row}\n${screen.text()}`).toMatch(/[╭┏│┃╰┗]/);
			expect(last, `row ${row}\n${screen.text()}`).toMatch(/[╮┓│┃╯┛]/);
		}

		if (/[╰┗]/.test(first)) open = false;
	}
}

describe.each(sizes)('at %i×%i', (columns, rows) => {
	test.each(Object.keys(snapshots))('%s fits the screen, and no escape sequence leaks', async name => {
		await using running = await openConsole(snapshots[name], columns, rows);
		const {screen} = running;
		expectWhole(screen);
		const text = screen.text();
		for (const pane of ['1 Peers', '2 Raft', '3 Topics', '4 Messages', '5 Partition', '6 Events'])
			expect(text).toContain(pane);
		expect(text).toContain('q quit');
		expect(screen.leaks).toEqual([]);
		expect(screen.emulator.buffer.active.type).toBe('alternate');
	});
});

test('the first rows of a lone node at 80×24 show the failures', async () => {
	await using running = await openConsole(leaderless, 80, 24);
	const [header = '', title = '', what = ''] = running.screen.lines();
	expect(header).toContain('INSECURE');
	expect(header).toContain('NO QUORUM: 1 of 3 up');
	expect(title).toMatch(/^ ! NO QUORUM .* since 09:40:53 .* \[0\] folds/);
	expect(what).toMatch(/^ What +Since 09:40:54/);
});

test.each([
	[80, 24],
	[120, 30],
	[160, 45],
] as const)(
	'at %i×%i every pane calls nodes by their names; long ones are cut in columns only',
	async (columns, rows) => {
		await using running = await openConsole(named, columns, rows);
		const {screen} = running;
		for (const [key, pane] of [
			['1', '1 Peers'],
			['2', '2 Raft'],
			['4', '4 Messages'],
			['5', '5 Partition'],
			['6', '6 Events'],
		] as const) {
			screen.type(key);
			await screen.until(`┏━ ${pane}`);
			expectWhole(screen);
			const text = screen.text();
			expect(text).toContain('berlin-1');
			for (const id of [b, d]) expect(text).not.toContain(id.slice(0, 8));
		}

		// The node without a name is shown by its id. The large pane needs the rows of the situation.
		screen.type('z1');
		await screen.until('┏━ 1 Peers');
		expect(screen.text()).toMatch(/oslo-2 ★[^]*rack-07\.x+…[^]*paris-4[^]*47f77700/);
		screen.type('jj\r');
		await screen.until(named.members[2]!.id);
		expect(screen.text()).toContain(longName);
		expect(screen.leaks).toEqual([]);
	},
);

test('below 60×15 the console reports the size, and draws again when there is room', async () => {
	await using running = await openConsole(healthy, 59, 14);
	await running.screen.until('at least 60×15');
	running.screen.resize(80, 24);
	await running.screen.until('1 Peers');
	expectWhole(running.screen);
	running.screen.resize(160, 45);
	await running.screen.until('LAMPORT');
	expectWhole(running.screen);
	running.screen.resize(20, 5);
	await running.screen.until('at least');
});

test('every pane gets the focus by its number and by Tab', async () => {
	await using running = await openConsole(healthy, 80, 24);
	const {screen} = running;
	for (const [key, name] of [
		['1', '1 Peers'],
		['2', '2 Raft'],
		['3', '3 Topics'],
		['5', '5 Partition'],
		['6', '6 Events'],
		['4', '4 Messages'],
	]) {
		screen.type(key!);
		await screen.until(`┏━ ${name!}`);
	}

	screen.type('\t');
	await screen.until('┏━ 5 Partition');
	screen.type('\u001B[Z');
	await screen.until('┏━ 4 Messages');
});

test('a command that arrives in one piece is run', async () => {
	await using running = await openConsole(healthy, 100, 30);
	running.screen.type(':publish weather hello from the keys\r');
	await expect.poll(() => running.source.commands).toHaveLength(1);
	running.screen.type(':subscribe sensors/door\r:unsubscribe jobs\r');
	await expect
		.poll(() => running.source.commands)
		.toEqual([
			{type: 'publish', topic: 'weather', body: 'hello from the keys'},
			{type: 'subscribe', topics: ['sensors/door']},
			{type: 'unsubscribe', topics: ['jobs']},
		]);
});

test('a prompt supports correction, recall and cancel, key by key', async () => {
	await using running = await openConsole(healthy, 100, 30);
	const {screen, source} = running;
	for (const [key, line] of [
		[':', ':'],
		['p', ':p'],
		['q', ':pq'],
		['\u007F', ':p'],
		['e', ':pe'],
		['e', ':pee'],
		['r', ':peer'],
		['s', ':peers'],
	] as const) {
		screen.type(key);
		await screen.until(new RegExp(`^${line} *$`, 'm'));
	}

	screen.type('\r');
	await screen.until('┏━ 1 Peers');
	screen.type(':');
	await screen.until(/^: *$/m);
	screen.type('\u001B[A');
	await screen.until(':peers');
	screen.type('\u0015'); // Ctrl-U clears the line.
	await screen.until(/^: *$/m);
	screen.type('\u0019'); // A key without an action is no letter.
	await screen.settle();
	expect(screen.text()).toMatch(/^: *$/m);
	screen.type('\u001B');
	await screen.until('q quit');
	expect(source.commands).toEqual([]);
});

test('p asks for the topic, then for the text; the result is in the status line', async () => {
	await using running = await openConsole(healthy, 80, 24);
	const {screen, source} = running;
	source.answer = {ok: false, text: 'Could not publish: the disk is full'};
	screen.type('3');
	await screen.until('┏━ 3 Topics');
	screen.type('p');
	await screen.until('Publish to: deploy');
	screen.type('\r');
	await screen.until('Message on deploy:');
	screen.type('two words');
	await screen.until('two words');
	screen.type('\r');
	await screen.until('the disk is full');
	expect(source.commands).toEqual([{type: 'publish', topic: 'deploy', body: 'two words'}]);
});

test('a prompt inserts pasted text; elsewhere pasted text has no effect', async () => {
	await using running = await openConsole(healthy, 100, 30);
	const {screen, source} = running;
	screen.type('\u001B[200~q\ry:publish weather evil\r\u001B[201~');
	await screen.until('not used as keys');
	screen.type(':publish weather ');
	await screen.until(':publish weather');
	screen.type('\u001B[200~two\nlines\u001B]0;x\u0007\u001B[201~');
	await screen.until('two␤lines]0;x');
	expect(screen.text()).toContain('Pasted 2 lines as one text');
	expect(screen.text()).toContain('2 control characters were left out');
	screen.type('\r');
	await expect.poll(() => source.commands).toEqual([{type: 'publish', topic: 'weather', body: 'two\nlines]0;x'}]);
	await screen.settle();
	expect(screen.leaks).toEqual([]);
});

test('Space pauses the feed and counts new messages', async () => {
	await using running = await openConsole(healthy, 120, 36);
	const {screen, source} = running;
	screen.type(' ');
	await screen.until('PAUSED, 0 new');
	source.show({
		snapshot: {
			...healthy,
			counters: {...healthy.counters, delivered: healthy.counters.delivered + 1204},
			feed: [...feed.slice(1), message(99, 'the newest of all')],
		},
	});
	await screen.until('PAUSED, 1,204 new');
	expect(screen.text()).not.toContain('the newest of all');
	screen.type(' ');
	await screen.until('the newest of all');
});

test('/ filters the focused list during typing', async () => {
	await using running = await openConsole(healthy, 120, 36);
	const {screen} = running;
	screen.type('/');
	await screen.until('Filter messages');
	screen.type('oslo');
	await screen.until(/\/oslo 7 of 60|\/oslo 8 of 60/);
	expect(screen.text()).not.toContain('job 8812');
	screen.type('\r');
	await screen.until(/^(?![^]*Filter messages)/);
	screen.type('\u001B');
	await screen.until('job 8812');
});

test('a lost node is shown by an alert with the age, and its last snapshot in grey', async () => {
	await using running = await openConsole(healthy, 120, 36);
	running.source.show({connection: 'lost', detail: 'worker exited with 1'});
	await running.screen.until('NODE LOST: worker exited with 1 · below: before the connection was lost at 09:41:07');
	expect(running.screen.text()).toContain('Oslo 7.1 °C');
	expect(running.screen.text()).toContain('1 Peers before 09:41:07: 3 of 3 alive');
	expect(running.screen.text()).not.toContain('quorum held: 3 of 3 up');
	running.source.show({connection: 'connected', snapshot: {...healthy, atMs: atMs + 5000}});
	await running.screen.until(/^(?![^]*NODE LOST)/);
});

test('a read-only console refuses publish in one line, and does not offer it', async () => {
	await using running = await openConsole(healthy, 120, 36, {readonly: true});
	const {screen, source} = running;
	expect(screen.text()).toContain('read-only');
	expect(screen.text()).not.toContain('p publish');
	screen.type('p');
	await screen.until('This console is read-only');
	screen.type('\u001B');
	await screen.until(/^(?![^]*This console is read-only)/);
	screen.type(':publish weather x\r');
	await screen.until('This console is read-only');
	expect(source.commands).toEqual([]);
});

test('with NO_COLOR no colour is sent, and the state is still readable', async () => {
	process.env['NO_COLOR'] = '1';
	process.env['FORCE_COLOR'] = '1';
	try {
		await using running = await openConsole(leaderless, 120, 36);
		// oxlint-disable-next-line no-control-regex
		expect(running.screen.raw).not.toMatch(/\u001B\[(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|[34]8)[;m]/);
		running.screen.type('1');
		await running.screen.until('┏━ 1 Peers');
		for (const word of ['NO QUORUM', '× down', '◐ suspect', 'INSECURE', 'CUT into 2'])
			expect(running.screen.text()).toContain(word);
	} finally {
		delete process.env['NO_COLOR'];
		delete process.env['FORCE_COLOR'];
	}
});

test('a pane that fails shows the error; the other panes and the keys continue to work', async () => {
	const source = new FakeSource(healthy);
	await using running = await openConsole(healthy, 120, 36, {source});
	source.show({
		snapshot: {
			...healthy,
			partition: {
				...healthy.partition,
				get order(): never {
					throw new Error('order \u001B[2Jis broken');
				},
			} as unknown as Snapshot['partition'],
		},
	});
	await running.screen.until('The situation cannot be drawn: order ␛[2Jis broken');
	await running.screen.until('5 Partition cannot be drawn; the node continues to run');
	expect(running.screen.text()).toContain('order ␛[2Jis broken');
	running.screen.type('6');
	await running.screen.until('┏━ 6 Events');
});

describe('long and hostile feeds', () => {
	let running: Running | undefined;
	afterEach(async () => running?.[Symbol.asyncDispose]());

	test('60 snapshots of hostile text at 160×45 keep every frame in its place', async () => {
		running = await openConsole(hostile, 160, 45);
		for (let round = 0; round < 60; round++) {
			const characters = String.fromCodePoint(0x300 + round, 0x1_f4_00 + round);
			const text = `\u001B]52;c;${round}\u0007\u202E${characters}\u200D語ﾟ`;
			running.source.show({
				snapshot: {
					...hostile,
					atMs: atMs + round * 100,
					address: text,
					feed: hostile.feed.map((row, index) =>
						message(round * 100 + index, text + String(row.topic), {topic: row.topic}),
					),
				},
			});
			if (round % 6 === 5) await running.screen.settle();
		}

		await running.screen.settle();
		expectWhole(running.screen);
		expect(running.screen.leaks).toEqual([]);
		expect(running.screen.lines()[0]).toBe(fitCells(running.screen.lines()[0]!, 160).trimEnd());
	});
});

test('during an examination for :doctor the console continues, and one examination runs at a time', async () => {
	const examined = Promise.withResolvers<Examination>();
	let asked = 0;
	await using running = await openConsole(healthy, 100, 24, {
		examine() {
			asked++;
			return examined.promise;
		},
	});
	const {screen} = running;
	for (const _ of ['once', 'again']) {
		screen.type(':doctor\r');
		await screen.until('is examined');
		screen.type('\u001B');
		await screen.until(': command');
	}

	screen.type('1j');
	await screen.until('┏━ 1 Peers');
	screen.type(':doctor\r');
	await screen.until('is examined');
	examined.resolve({
		summary: 'Cluster dapss',
		checks: Array.from({length: 40}, (_, index) => ({
			code: `check-${index}`,
			level: 'ok',
			reason: null,
			found: 'as it should be',
			remedy: null,
		})),
		left: [],
	});
	await screen.until('check-0: as it should be');
	expect(asked).toBe(1);
	expect(screen.text()).not.toContain('check-39');
	screen.type('G');
	await screen.until('check-39');
});

test('the retention is in the pane of topics at 160 columns or zoomed, and in the window of a topic', async () => {
	const snapshot = {
		...healthy,
		topics: [
			topic('orders', {
				created: true,
				retention: {retainAgeS: 43_200, retainBytes: 2 ** 26},
				settings: {retainAgeS: 43_200, retainBytes: 2 ** 26},
			}),
			topic('a-name-of-thirty-characters-xx', {retention: {retainAgeS: 604_800, retainBytes: 2 ** 28}}),
		],
	};
	for (const [columns, rows] of [
		[160, 45],
		[120, 36],
	] as const) {
		await using running = await openConsole(snapshot, columns, rows);
		const {screen} = running;
		screen.type('3');
		await screen.until('┏━ 3 Topics');
		expectWhole(screen);
		expect(screen.text().includes('12h 64M')).toBe(columns === 160);
		expect(/SUBS +MSGS +\/S +HELD/u.test(screen.text())).toBe(true);
		screen.type('z');
		await screen.until(/SIZE +KEPT +KIND/u);
		expectWhole(screen);
		expect(screen.text()).toMatch(/orders .* 12h 64M +live/u);
		expect(screen.text()).toMatch(/a-name-of-thirty-characters-xx .* 7d 256M +live/u);
		screen.type('\r');
		await screen.until('12 h, 64 MiB (its own)');
	}
});

describe('the inspector', () => {
	const long = `{"text":"${'x'.repeat(900)}","end":true}`;
	const cut: MessageSnapshot = {
		...message(61, long.slice(0, 512)),
		size: long.length,
		topic: 'jobs' as Topic,
	};
	const withCut: Snapshot = {...healthy, feed: [...healthy.feed, cut]};

	test('loads the whole body, names the command, copies, and publishes again', async () => {
		await using running = await openConsole(withCut, 100, 30);
		const {screen, source} = running;
		source.bodies.set(61, new TextEncoder().encode(long));
		screen.type('\r');
		await screen.until('the first 512 B below; l loads the rest');
		screen.type('l');
		await screen.until('dapss-tui subscribe jobs --from 161 --count 1');
		screen.type('G');
		await screen.until('"end": true');
		screen.type('v');
		await screen.until('Text');
		screen.type('y');
		await screen.until('Sent to the clipboard of the terminal (OSC 52): 922 B of text');
		expect(screen.leaks).toEqual([`OSC 52;c;${Buffer.from(long).toString('base64')}`]);
		screen.type('P');
		await screen.until('Publish again to: jobs');
		screen.type('other\r');
		await expect
			.poll(() => source.commands)
			.toEqual([{type: 'publish', topic: 'other', body: new TextEncoder().encode(long)}]);
	});

	test('loads a body before it writes it to a file, and says why it cannot', async () => {
		const saved: unknown[] = [];
		await using running = await openConsole(withCut, 100, 30, {
			save: async (path, body) => {
				if (saved.length > 0) throw new Error(`EEXIST: ${path} exists`);
				saved.push([path, body.length]);
				return `/folder/${path}`;
			},
		});
		const {screen, source} = running;
		screen.type('\r');
		await screen.until('l loads the rest');
		screen.type('w');
		await screen.until('Not loaded: the log of the node does not have it');
		source.bodies.set(61, new TextEncoder().encode(long));
		for (const said of ['Wrote 922 B to /folder/a.bin', 'Not written: EEXIST: a.bin exists']) {
			screen.type('w');
			await screen.until(/Write to the new file: jobs-\w+-61\.bin/);
			screen.type('a.bin\r');
			await screen.until(said);
			screen.type('\r');
			await screen.until('l loads the rest');
		}

		expect(saved).toEqual([['a.bin', 922]]);
	});
});

test('a selected message that leaves the feed is said to be gone', async () => {
	await using running = await openConsole(healthy, 100, 30);
	const {screen, source} = running;
	screen.type('kk');
	await screen.settle();
	source.show({snapshot: {...healthy, feed: Array.from({length: 60}, (_, at) => message(100 + at, `new ${at}`))}});
	await screen.until('the selected row is gone');
	screen.type('\r');
	await screen.until('The selected row is gone from the list');
	screen.type('\u001B\u001B');
	await screen.until(/^(?![^]*row is gone)/);
});

test('an action that the role does not allow says which role it needs', async () => {
	await using running = await openConsole(healthy, 100, 30);
	const {screen, source} = running;
	source.show({role: 'observer'});
	await screen.until(/^(?![^]*p publish)/);
	screen.type('p');
	await screen.until('needs the role client, and this console has the role observer');
	screen.type(':topic create jobs\r');
	await screen.until('create the topic needs the role operator');
	screen.type(':p\t');
	await screen.until('peers  partition  pause');
	expect(screen.text()).not.toContain('publish');
	expect(source.commands).toEqual([]);
});
