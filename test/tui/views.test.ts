import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {RecordedEvent} from '../../core/events.ts';
import {shortId} from '../../core/observe/node-label.ts';
import {widthOf} from '../../core/observe/printable.ts';
import {hearing, oneWays} from '../../core/observe/sight.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {memberColumns} from '../../tui/panes/peers.tsx';
import {topicColumns} from '../../tui/panes/topics.tsx';
import {share, shareSnapshot} from '../../tui/source/share.ts';
import {initialState} from '../../tui/state/state.ts';
import {chooseTheme, themes, tones} from '../../tui/theme.ts';
import {placeColumns, rowSpans, titleSpan} from '../../tui/view/columns.ts';
import {headerSpans} from '../../tui/view/header.ts';
import {listEvents, listMessages} from '../../tui/view/lists.ts';
import {matrixLines, partitionSentences, roundTrips} from '../../tui/view/partition.ts';
import {raftLines} from '../../tui/view/raft.ts';
import type {InspectedMessage} from '../../tui/state/state.ts';
import {formattedJson, inspectorLines} from '../../tui/view/inspector.ts';
import {checkLines, examinationLines, peerLines, reportLines} from '../../tui/view/reports.ts';
import {shownSituation} from '../../tui/view/situation.ts';
import {age, brief, bytes, duration, eventSpan, shortAge, wrapWords} from '../../tui/view/words.ts';
import {
	a,
	atMs,
	b,
	c,
	largeCluster,
	events,
	feed,
	healthy,
	ids,
	joining,
	leaderless,
	lost,
	message,
	partitioned,
	topic as topicRow,
} from './support/fixtures.ts';

const text = (spans: ReadonlyArray<{readonly text: string}>): string => spans.map(span => span.text).join('');
describe('columns', () => {
	const columns = memberColumns(a, true, 60);
	test('fill the width exactly, and drop the least important columns first', () => {
		const titles = (width: number): string =>
			placeColumns(columns, width)
				.map(column => column.title)
				.join(' ');
		expect(titles(120)).toBe('NODE ADDRESS STATE VOTE RTT HEARD LINK QUEUE WHY');
		expect(titles(75)).toBe('NODE ADDRESS STATE RTT HEARD WHY');
		expect(titles(56)).toBe('NODE ADDRESS STATE WHY');
		expect(titles(20)).toBe('NODE STATE');
		for (const width of [56, 75, 120]) {
			const placed = placeColumns(columns, width);
			expect(widthOf(text([titleSpan(placed)]))).toBe(width);
			for (const member of partitioned.members) expect(widthOf(text(rowSpans(placed, member)))).toBe(width);
		}
	});

	test('the retention of a topic is shown when all more important columns have room', () => {
		const titles = (width: number): string =>
			placeColumns(topicColumns, width)
				.map(column => column.title)
				.join(' ');
		// Cells inside the frame of the pane: in a grid of 160 columns, in one of 120, and with the whole width of 120.
		expect(titles(58)).toBe('IN TOPIC SUBS MSGS /S HELD SIZE KEPT');
		expect(titles(43)).toBe('IN TOPIC SUBS MSGS /S HELD');
		expect(titles(116)).toBe('IN TOPIC SUBS MSGS /S HELD SIZE KEPT KIND');
		const cell = (changes: Parameters<typeof topicRow>[1]): unknown =>
			rowSpans(placeColumns(topicColumns, 58), topicRow('orders', changes)).at(-1);
		expect(cell({retention: {retainAgeS: 43_200, retainBytes: 2 ** 26}, settings: {retainAgeS: 43_200}})).toEqual({
			text: '12h 64M  ',
			tone: 'plain',
		});
		expect(cell({retention: {retainAgeS: 604_800, retainBytes: 2 ** 28}})).toEqual({
			text: '7d 256M  ',
			tone: 'muted',
		});
		expect(cell({})).toEqual({text: '–        ', tone: 'muted'});
	});

	test('a state has a word and a tone', () => {
		const spans = rowSpans(placeColumns(columns, 120), leaderless.members[1]!);
		expect(spans.find(span => span.text.includes('down'))).toEqual({text: '× down        ', tone: 'bad'});
		expect(text(spans)).toContain('connection refused');
	});
});

describe('partition', () => {
	test('one-way cuts have their own mark', () => {
		expect(hearing(partitioned.partition, 1, 2)).toBe('one-way');
		expect(hearing(partitioned.partition, 2, 1)).toBe('yes');
		expect(hearing(partitioned.partition, 0, 3)).toBe('no');
		expect(hearing(partitioned.partition, 4, 0)).toBe('unknown');
		expect(oneWays(partitioned.partition)).toEqual([[b, c]]);
	});

	test('is described in sentences', () => {
		expect(partitionSentences(partitioned).map(span => span.text)).toEqual([
			'CUT into 2 for 20 s: this side has the quorum',
			`One way: ${b.slice(0, 8)} does not hear ${c.slice(0, 8)}, which hears it`,
			`▸ A  QUORUM     ${[a, b, c].map(id => id.slice(0, 8)).join(' ')}`,
			'  B  no quorum  e58cfcd7 47f77700',
		]);
		expect(partitionSentences(healthy)[0]?.text).toBe('Whole: all 3 members see one another');
		expect(partitionSentences(joining)[0]?.text).toBe('This node is alone in its cluster');
	});

	test('the matrix has one row per node', () => {
		expect(matrixLines(partitioned.partition, a, 40, 10).map(line => text(line).trimEnd())).toEqual([
			'           a b c d e',
			'a 3f2a91c4 · ● ● × ×',
			'b a11de875 ● · ↛ × ×',
			'c 034462a6 ● ● · × ×',
			'd e58cfcd7 × × × · ●',
			'e 47f77700 ? ? ? ? ·',
		]);
	});

	test('a large matrix folds nodes that see and are seen alike', () => {
		const {partition, self} = largeCluster;
		const sees = partition.sees.map((row, at) =>
			row.map((value, column) => (at === 3 && column === 7 ? false : value && at < 30 === column < 30)),
		);
		expect(matrixLines({...partition, sees}, self, 40, 12).map(line => text(line).trimEnd())).toEqual([
			`${' '.repeat(27)}a b c d`,
			`a ${`${ids[0]!.slice(0, 8)} +27`.padEnd(24)} ● ● ● ×`,
			`b ${ids[3]!.slice(0, 8).padEnd(24)} ● · ↛ ×`,
			`c ${ids[7]!.slice(0, 8).padEnd(24)} ● ● · ×`,
			`d ${`${ids[30]!.slice(0, 8)} +19`.padEnd(24)} × × × ●`,
		]);
	});

	test('round trips of this node stand at the end of the rows', () => {
		const lines = matrixLines(healthy.partition, a, 40, 10, shortId, roundTrips(healthy.members));
		expect(lines.map(line => text(line).trimEnd())).toEqual([
			'           a b c      RTT',
			'a 3f2a91c4 · ● ●        –',
			'b a11de875 ● · ●  0.81 ms',
			'c 034462a6 ● ● ·  0.94 ms',
		]);
	});

	test('a large matrix without nodes alike shows those with problems that fit', () => {
		const sees = largeCluster.partition.sees.map((row, at) =>
			row.map((value, column) =>
				at === 44 && column !== 44 ? false : at === column || (at * 7 + column * 3) % 11 > 0 ? value : false,
			),
		);
		const lines = matrixLines({...largeCluster.partition, sees}, a, 40, 12);
		expect(lines).toHaveLength(12);
		expect(text(lines[1]!)).toContain(largeCluster.partition.order[44]!.slice(0, 8));
		for (const line of lines) expect(widthOf(text(line))).toBeLessThanOrEqual(48);
	});
});

test('raft lines have role, leader, quorum, log and lagging followers', () => {
	const lines = raftLines(healthy, 60).map(line => text(line));
	expect(lines.slice(0, 4)).toEqual([
		'role     leader  term 4',
		'leader   this node',
		'quorum   held: 3 of 3 voters reachable, 2 needed',
		'log      commit 318, all committed and applied',
	]);
	expect(lines.at(-1)).toBe(`matches  ${c.slice(0, 8)} 1 behind`);
	expect(raftLines(leaderless, 60).map(line => text(line))).toContain(
		'quorum   LOST: 1 of 3 voters reachable, 2 needed',
	);
	expect(raftLines(lost, 90).map(line => text(line))).toContain(
		`missing  ${c.slice(0, 8)} (2 min 5 s) · 2 of 3 voters left: no further may fail · \`:check\` says what to do`,
	);
	expect(lines.some(line => line.startsWith('missing'))).toBe(false);
});

test('the header keeps the most important facts at every width', () => {
	for (const width of [60, 80, 120, 160]) {
		for (const snapshot of [healthy, leaderless, partitioned, largeCluster, joining]) {
			const line = text(
				headerSpans(
					{snapshot, title: 'dapss-tui', connection: 'connected', isReadonly: true, isRemote: true},
					width,
				),
			);
			expect(widthOf(line)).toBeLessThanOrEqual(width);
			expect(line).toContain(a.slice(0, 8));
			if (snapshot.insecure.length > 0) expect(line).toContain('INSECURE');
			if (snapshot.raft.voters.length > 0)
				expect(line).toContain(snapshot.raft.hasQuorum ? 'quorum' : 'NO QUORUM');
		}
	}
});

test('check lists problems and remedies', () => {
	const lines = checkLines(leaderless).map(line => text(line));
	expect(
		lines.some(
			line =>
				line.startsWith('BAD  No quorum: 1 of 3 voters reachable, 2 needed; missing: ') &&
				line.includes(b.slice(0, 8)) &&
				line.includes(c.slice(0, 8)),
		),
	).toBe(true);
	expect(
		lines.some(line => line.includes('Start 1 of the missing nodes again') && line.includes('dapss-tui recover')),
	).toBe(true);
	const gone = checkLines(lost).map(line => text(line));
	expect(
		gone.some(
			line =>
				line.startsWith('BAD  No further voter may fail: 2 of 3 are present, 2 needed; missing: ') &&
				line.includes(c.slice(0, 8)),
		),
	).toBe(true);
	expect(gone.some(line => line.includes(`:peer remove ${c.slice(0, 8)}`))).toBe(true);
	expect(
		checkLines({...healthy, counters: {...healthy.counters, rejected: {'call-cluster': 1}}}).some(line =>
			text(line).includes('start it with an empty data folder'),
		),
	).toBe(true);
	expect(
		checkLines({...healthy, counters: {...healthy.counters, rejected: {}}, topics: []}).map(line => text(line)),
	).toEqual([
		'ok   healthy: every voter is usable',
		'ok   quorum held: 3 of 3 voters reachable, 2 needed',
		'ok   leader: this node',
		'ok   3 members, all alive',
		'ok   no partition, and no pair of members is cut off',
		'ok   authenticated, signed, encrypted',
	]);
});

test('reports show the node, the problems, the leader and the counters', () => {
	const lines = (report: 'status' | 'check' | 'leader' | 'counters'): readonly string[] =>
		reportLines(report, partitioned).map(line => text(line));
	expect(lines('status')).toEqual(
		expect.arrayContaining([
			`node          ${a} at 127.0.0.1:5000, version 0.1.0`,
			'partition     CUT into 2 for 20 s: this side has the quorum',
			'security      authenticated, signed, encrypted',
		]),
	);
	expect(lines('check')).toEqual(checkLines(partitioned).map(line => text(line)));
	expect(lines('leader').slice(0, 4)).toEqual([
		`leader        ${b.slice(0, 8)} at 127.0.0.1:5001`,
		'quorum        held: 3 of 5 voters reachable, 3 needed',
		'',
		'role     follower  term 7',
	]);
	expect(lines('counters')).toEqual(
		expect.arrayContaining(['delivered     49,933', 'Rejected', '                         2  bad-signature']),
	);
});

describe('the inspector', () => {
	const shown = (body: Uint8Array | string, changes: Partial<InspectedMessage> = {}): string[] => {
		const given = typeof body === 'string' ? new TextEncoder().encode(body) : body;
		const inspected = {message: message(1, given), body: given, view: undefined, ...changes};
		return inspectorLines(inspected, atMs, 80).map(line => text(line).trimEnd());
	};

	test('shows text with marks, and other bytes as they are', () => {
		expect(shown('hi\u001Bthere')).toContain('hi␛there');
		const lines = shown(Uint8Array.from([0x68, 0x69, 0x1b, 0xff]));
		expect(lines.some(line => line.startsWith('000000  68 69 1b ff') && line.endsWith('hi··'))).toBe(true);
		expect(shown(Uint8Array.from([0x68, 0xff]), {view: 'text'})).toContain('h‹ff›');
	});

	test('shows JSON with a line for each value, and every digit', () => {
		const lines = shown('{"a":[1,{"b":"x,{}\\""}],"big":12345678901234567890,"empty":{}, "list":[]}');
		expect(lines.slice(lines.indexOf('JSON') + 1)).toEqual([
			'{',
			'  "a": [',
			'    1,',
			'    {',
			'      "b": "x,{}\\""',
			'    }',
			'  ],',
			'  "big": 12345678901234567890,',
			'  "empty": {},',
			'  "list": []',
			'}',
		]);
	});

	test('formatted JSON means the same', () => {
		fc.assert(
			fc.property(fc.json(), json => {
				const formatted = formattedJson(json);
				if (formatted !== undefined) expect(JSON.parse(formatted)).toEqual(JSON.parse(json));
			}),
		);
	});

	test('says what is missing, and what is not drawn', () => {
		const cut = {...message(1, 'abc'), size: 2000};
		expect(shown('', {message: cut, body: undefined})).toContain(
			'size          2,000 B, the first 3 B below; l loads the rest',
		);
		expect(shown('', {message: cut, body: {problem: 'it is gone'}})).toContain(
			'              Not loaded: it is gone',
		);
		const long = new Uint8Array(100_000).fill(0x61);
		expect(shown(long).join(' ')).toContain('the first 65,536 B below; w writes all of it to a file');
	});
});

test('filters match the visible text', () => {
	expect(listMessages(feed, 'OSLO').rows).toEqual(
		feed.filter(row => Buffer.from(row.preview).toString().includes('Oslo')),
	);
	expect(listMessages(feed, 'no such text').rows).toEqual([]);
	expect(listMessages(feed, 'repaired').rows).toEqual(feed.filter(row => row.repaired));
	expect(listEvents(events, '').rows[0]).toBe(events.at(-1));
});

test('sharing keeps the identity of unchanged parts', () => {
	const copy = structuredClone(healthy);
	const next = shareSnapshot(healthy, {
		...copy,
		atMs: atMs + 100,
		members: copy.members.map((member, index) => (index === 1 ? {...member, rttMs: 9} : member)),
		feed: [...copy.feed.slice(1), message(61, 'new')],
	});
	expect(next.topics).toBe(healthy.topics);
	expect(next.events).toBe(healthy.events);
	expect(next.partition).toBe(healthy.partition);
	expect(next.members).not.toBe(healthy.members);
	expect(next.members[0]).toBe(healthy.members[0]);
	expect(next.members[1]?.rttMs).toBe(9);
	expect(next.feed[0]).toBe(healthy.feed[1]);
	expect(next.feed).toHaveLength(60);
	expect(next.atMs).toBe(atMs + 100);
	expect(share({x: undefined as number | undefined}, {x: 1})).toEqual({x: 1});
	expect(share<unknown>({x: 1, y: 2}, {x: 1})).toEqual({x: 1});
	expect(Object.hasOwn(share<object>({}, JSON.parse('{"__proto__": 1}') as object), '__proto__')).toBe(true);
});

test('every type of event has a text', () => {
	const topic = 't' as Snapshot['topics'][number]['name'];
	const all: readonly RecordedEvent[] = [
		...events,
		{at: 0, type: 'quorum', held: false, reachable: 1, voters: 3},
		{at: 0, type: 'unsubscribed', topic, node: a},
		{at: 0, type: 'partition', state: 'detected', sides: [[a], [b]], quorum: 0, tookMs: 700},
		{at: 0, type: 'partition', state: 'healed', sides: [[a, b]], quorum: 0, tookMs: 7000},
		{at: 0, type: 'partition', state: 'repaired', sides: [[a, b]], quorum: 0, tookMs: 700, messages: 12},
		{at: 0, type: 'discovered', cluster: 'x', clusterId: 'y', address: 'z', foreign: true},
		{at: 0, type: 'lagged', dropped: 4},
		{at: 0, type: 'missed', topic, origin: a, messages: 2},
		{at: 0, type: 'fault', text: 'cut'},
		{at: 0, type: 'stopped', reason: 'asked'},
	];
	const texts = all.map(event => eventSpan(event).text);
	expect(new Set(texts).size).toBe(all.length);
	expect(texts).not.toContain('');
	expect(eventSpan({at: 0, type: 'from-the-future'} as unknown as RecordedEvent).text).toBe('from-the-future');
});

test('quantities are shown in words', () => {
	expect([0, 640, 4200, 59_600, 200_000, 7_500_000, 270_000_000].map(ms => duration(ms))).toEqual([
		'0 ms',
		'640 ms',
		'4.2 s',
		'1 min',
		'3 min 20 s',
		'2 h 5 min',
		'3 d 3 h',
	]);
	expect([0, 999, 1500, 61_000].map(ms => age(ms))).toEqual(['now', 'now', '1 s', '1 min 1 s']);
	expect([0, 5000, 70_000, 8_000_000, 1e9].map(ms => shortAge(ms))).toEqual(['now', '5 s', '1 min', '2 h', '11 d']);
	expect([7, 1234, 123_456, 5_000_000].map(value => brief(value))).toEqual(['7', '1.2k', '123k', '5.0M']);
	expect([12, 2048, 5_000_000].map(value => bytes(value))).toEqual(['12 B', '2.0 KiB', '4.8 MiB']);
	expect(wrapWords('one two three', 8)).toEqual(['one two', '  three']);
});

describe('theme', () => {
	test('NO_COLOR leaves weight and no colour, and the important tones stay distinct', () => {
		const theme = chooseTheme({name: 'dark', tones: {good: {color: 'green'}}}, {NO_COLOR: '1'});
		for (const tone of tones) expect(theme[tone]).not.toHaveProperty('color');
		expect(
			new Set(
				[theme.plain, theme.warning, theme.bad, theme.selected, theme.alarm].map(style =>
					JSON.stringify(style),
				),
			).size,
		).toBe(5);
	});

	test('preferences choose a theme and change its colours', () => {
		expect(chooseTheme({name: 'light'}, {NO_COLOR: ''})).toEqual(themes['light']);
		expect(chooseTheme({name: '__proto__'}, {})).toEqual(themes['dark']);
		expect(chooseTheme({tones: {good: {bold: true}}}, {}).good).toEqual({bold: true});
	});
});

test('a degraded member is in the sentences of the partition, its own window, and check', () => {
	const why = `not reached directly for 4 s (ETIMEDOUT): served through ${b.slice(0, 8)}`;
	const half: Snapshot = {
		...healthy,
		members: healthy.members.map(one =>
			one.id === c ? {...one, state: 'degraded', why, cause: 'cut', via: b, downMs: 4000} : one,
		),
		cuts: [{between: [a, c], what: 'all', forMs: 4200, via: b, blamed: [a, c]}],
	};
	expect(partitionSentences(half).map(span => span.text)).toEqual([
		'Not split, but 1 pair of members does not reach each other directly',
		`Cut: ${a.slice(0, 8)} and ${c.slice(0, 8)}, served through ${b.slice(0, 8)}`,
	]);
	const own = peerLines(half.members[2], c).map(line => text(line));
	expect(
		own
			.filter(line => line.startsWith('why') || line.startsWith('     '))
			.map(line => line.slice(14))
			.join('')
			.replaceAll(' ', ''),
	).toBe(why.replaceAll(' ', ''));
	expect(own).toContain(`reached       through ${b.slice(0, 8)}`);
	expect(checkLines(half).map(line => text(line))[0]).toMatch(
		/^BAD {2}.* do not reach each other for 4 s: served through/,
	);
});

test('a limit that a client has just reached is in a line with its words, and `:counters` lists all clients', () => {
	const client = `identity ${'ab'.repeat(32)}`;
	const reached = (ageMs: number): Snapshot => ({
		...healthy,
		counters: {
			...healthy.counters,
			bounds: {'readers-per-client': 4},
			boundsAtMs: {'readers-per-client': healthy.atMs - ageMs},
			boundsBy: {
				'readers-per-client': [
					[client, 3],
					['address 10.0.0.1', 1],
				],
			},
			clientNames: {[client]: 'billing'},
		},
	});
	const bars = (snapshot: Snapshot): readonly string[] =>
		shownSituation({snapshot, connection: 'connected', detail: ''}, initialState, {
			width: 200,
			lostMs: 0,
			keys: {fold: '0', down: 'J', up: 'K', dismiss: 'Esc'},
		}).bars.map(line => text(line));
	expect(bars(reached(1000))).toEqual([
		' ! LIMIT REACHED: topics read by one client (readers-per-client), 3× by billing (identity abababababab) · ' +
			'`:counters` shows all clients',
	]);
	expect(bars(reached(61_000))).toEqual([]);
	expect(reportLines('counters', reached(61_000)).map(line => text(line).trim())).toEqual(
		expect.arrayContaining([
			expect.stringMatching(/^4 {2}topics read by one client \(readers-per-client\)$/),
			expect.stringMatching(/^3 {2}topics read by one client .*: billing \(identity abababababab\)$/),
			expect.stringMatching(/^1 {2}topics read by one client .*: address 10\.0\.0\.1$/),
		]),
	);
});

describe('the result of :doctor', () => {
	const checks = [
		{code: 'memory', level: 'ok', reason: null, found: '4 GiB', remedy: null},
		{
			code: 'clock-offset',
			level: 'warning',
			reason: 'apart',
			found: `The clock of this machine is 9.0 s behind that of ${'west '.repeat(12)}`,
			remedy: 'Let NTP set the clocks',
		},
		{
			code: 'secret',
			level: 'problem',
			reason: 'missing',
			found: `no \u001B[2J file /${'x'.repeat(90)}`,
			remedy: 'Copy it',
		},
	] as const;

	test('lists problems first, each with a remedy, wrapped and made printable', () => {
		const lines = examinationLines({summary: 'Cluster dapss, port 5000', checks, left: ['disk-speed']}, 60).map(
			line => text(line),
		);
		for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(60);
		const all = lines.join('\n');
		expect(all).not.toContain('\u001B');
		expect(all.replaceAll(/\s+/gu, '')).toContain(`/${'x'.repeat(90)}`);
		const at = [
			'BAD  secret (missing)',
			'→ Copy it',
			'WARN clock-offset (apart)',
			'→ Let NTP',
			'ok   memory: 4 GiB',
			'Not examined',
		].map(part => all.indexOf(part));
		expect(at).not.toContain(-1);
		expect(at.toSorted((one, other) => one - other)).toEqual(at);
	});

	test('is shown during the examination, and after a failure', () => {
		expect(text(examinationLines(undefined, 80)[0]!)).toContain('is examined');
		expect(text(examinationLines({problem: 'spawn EAGAIN'}, 80)[0]!)).toBe(
			'BAD  The machine could not be examined: spawn EAGAIN',
		);
	});
});
