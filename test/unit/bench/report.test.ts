/** The page of a benchmark: it has everything that was measured, and loads nothing. */
import {describe, expect, test} from 'vitest';
import {pointsOf, type BenchResult} from '../../../bench/measure.ts';
import {chartsOf} from '../../../bench/report/charts.ts';
import {pageOf} from '../../../bench/report/report.ts';

const course = [0, 1, 2, 3].map(index => ({atMs: 1000 + index * 250, count: 100 + index, p50: 900, p99: 2500}));
const marks = [
	{run: 1, atMs: 1100, text: 'cut'},
	{run: 1, atMs: 1800, text: 'detected by all'},
];
const common = {setting: {nodes: 3, size: 128}, missed: []} as const;
const results: Readonly<Record<string, BenchResult>> = {
	latency: {
		...common,
		bench: 'latency',
		rows: [
			{
				'subscriber on': 'node 2',
				'p50 µs': 310,
				'p95 µs': 620,
				'p99 µs': 900,
				'max µs': 2100,
				received: 9,
				lost: 0,
			},
		],
		timeline: {points: pointsOf(1, 'node 2', course), marks: []},
	},
	throughput: {
		...common,
		bench: 'throughput',
		rows: [
			{run: 1, 'published/s': 50_123, 'delivered/s': 49_000, 'p50 ms': 4.5, 'p99 ms': 20, lost: 0},
			{run: 'median', 'published/s': 50_123, 'delivered/s': 49_000},
		],
		timeline: {points: pointsOf(1, 'node 2', course), marks: []},
	},
	reliability: {
		...common,
		bench: 'reliability',
		rows: [{node: '5002 (killed, back)', messages: 20_000, lost: 0, duplicates: 0, 'out of order': 0}],
		timeline: {points: pointsOf(1, 'stored (ack)', course), marks},
	},
	partition: {
		...common,
		bench: 'partition',
		rows: [{run: 1, 'detected ms': 755, 'refused ms': 10, 'healed ms': 400, 'repaired ms': 555, lost: 0}],
		timeline: {points: [], marks},
	},
	failover: {
		...common,
		bench: 'failover',
		rows: [{kills: 5, 'p50 ms': 120, 'p95 ms': 180, 'p99 ms': 184, 'max ms': 184}],
		timeline: {points: [], marks},
	},
};
const machine = {processor: '2 × Test', node: 'v24'};

describe.each(Object.entries(results))('the report of %s', (_, result) => {
	test('has a plot for its figures, and one for its course', async () => {
		const page = await pageOf(result, machine, new Date(0));
		const charts = chartsOf(result);
		expect(charts.length).toBeGreaterThanOrEqual(2);
		expect(page.match(/<svg /gu)).toHaveLength(charts.length);
		for (const {title} of charts) expect(page).toContain(`<h2>${title}</h2>`);
		// A mark without a value would be drawn at an undefined place.
		expect(page).not.toMatch(/NaN|undefined|Infinity/u);
	});

	test('has the machine, the settings and every figure', async () => {
		const page = await pageOf(result, machine, new Date(0));
		for (const value of [...Object.values(machine), ...Object.keys(result.setting)]) expect(page).toContain(value);
		for (const row of result.rows)
			for (const [name, value] of Object.entries(row)) {
				expect(page).toContain(name);
				expect(page).toContain(typeof value === 'number' ? value.toLocaleString('en') : value);
			}
	});

	test('loads nothing, and runs no script', async () => {
		const page = await pageOf(result, machine, new Date(0));
		expect(page).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import/u);
		expect(page.replaceAll(/xmlns(?::\w+)?="[^"]*"/gu, '')).not.toMatch(/https?:/u);
	});
});

test('texts are escaped, and missed bounds come first', async () => {
	const page = await pageOf(
		{...results['latency']!, missed: ['<b>slow</b> & "late"']},
		{processor: '<script>alert(1)</script>'},
		new Date(0),
	);
	expect(page).toContain('&lt;b&gt;slow&lt;/b&gt; &amp; &quot;late&quot;');
	expect(page).not.toContain('<script>');
	expect(page.indexOf('Missed bounds')).toBeLessThan(page.indexOf('Machine'));
});
