/**
The charts of a report, as specifications of Vega-Lite: one for the figures of each benchmark, and one for its course
over time. Pure.
*/
import type {TopLevelSpec} from 'vega-lite';
import type {BenchResult, Timeline} from '../measure.ts';

export type Chart = {readonly title: string; readonly note: string; readonly spec: TopLevelSpec};
type Row = BenchResult['rows'][number];
type Value = {readonly of: string; readonly name: string; readonly value: number};

const width = 640;
const common = {
	width,
	config: {font: 'system-ui, sans-serif', axis: {labelLimit: 220}, legend: {labelLimit: 300}, view: {stroke: null}},
} as const;

/** The charts of a result. Those without any value are left out. */
export function chartsOf(result: BenchResult): readonly Chart[] {
	return [...figures(result), ...course(result)];
}

function figures({bench, rows}: BenchResult): readonly Chart[] {
	const runs = rows.filter(row => row['run'] !== 'median');
	switch (bench) {
		case 'latency':
			return bars('Latency by subscriber', 'From the publication to the delivery; logarithmic.', {
				values: valuesOf(rows, 'subscriber on', ['p50 µs', 'p95 µs', 'p99 µs', 'max µs']),
				axis: 'microseconds',
				isLog: true,
			});
		case 'throughput':
			return [
				...bars('Messages per second', 'Published, and delivered to the slowest subscriber, by run.', {
					values: valuesOf(runs, 'run', ['published/s', 'delivered/s']),
					axis: 'messages per second',
				}),
				...bars('Latency under full load', 'By run.', {
					values: valuesOf(runs, 'run', ['p50 ms', 'p99 ms']),
					axis: 'milliseconds',
				}),
			];
		case 'reliability':
			return [
				...bars('Messages at each node', 'Each node must have all that were acknowledged.', {
					values: valuesOf(rows, 'node', ['messages']),
					axis: 'messages',
				}),
				...bars('Violations', 'Each must be 0.', {
					values: valuesOf(rows, 'node', ['lost', 'duplicates', 'out of order']),
					axis: 'messages',
				}),
			];
		case 'partition':
			return bars('Times of a partition', 'Until the last node noticed, by run.', {
				values: valuesOf(runs, 'run', ['detected ms', 'refused ms', 'healed ms', 'repaired ms']),
				axis: 'milliseconds',
			});
		case 'failover':
			return bars('Time without a leader', 'From the kill of the leader until all others have a new one.', {
				values: valuesOf(rows, 'kills', ['p50 ms', 'p95 ms', 'p99 ms', 'max ms']),
				axis: 'milliseconds',
			});
		default:
			return [];
	}
}

function valuesOf(rows: readonly Row[], of: string, names: readonly string[]): readonly Value[] {
	return rows.flatMap(row =>
		names.flatMap(name => {
			const value = row[name];
			const label = of === 'run' ? `run ${row[of]}` : of === 'kills' ? `${row[of]} kills` : String(row[of]);
			return typeof value === 'number' ? [{of: label, name, value}] : [];
		}),
	);
}

function bars(
	title: string,
	note: string,
	{values, axis, isLog = false}: {readonly values: readonly Value[]; readonly axis: string; readonly isLog?: boolean},
): readonly Chart[] {
	if (values.length === 0) return [];
	const names = [...new Set(values.map(({name}) => name))];
	const x = {
		field: 'value',
		type: 'quantitative',
		title: axis,
		...(isLog && {scale: {type: 'log' as const}}),
	} as const;
	const y = {field: 'of', type: 'nominal', title: null, sort: null} as const;
	const yOffset = {field: 'name', sort: names} as const;
	const color = {field: 'name', type: 'nominal', title: null, sort: names, legend: {orient: 'top'}} as const;
	const spec: TopLevelSpec = {
		...common,
		data: {values: isLog ? values.map(one => ({...one, value: Math.max(1, one.value)})) : [...values]},
		height: {step: 14},
		layer: [
			{
				mark: {type: isLog ? 'point' : 'bar', filled: true, size: isLog ? 60 : undefined},
				encoding: {x, y, yOffset, color},
			},
			{
				mark: {type: 'text', align: 'left', dx: 6, fontSize: 10},
				encoding: {x, y, yOffset, text: {field: 'value', type: 'quantitative', format: ',.4~r'}},
			},
		],
	};
	return [{title, note, spec}];
}

function course({timeline}: BenchResult): readonly Chart[] {
	const {points, marks} = timeline;
	const startOf = startsOf(timeline);
	const shown = points.map(point => ({...point, s: seconds(point, startOf), run: `run ${point.run}`}));
	const rules = marks.map(mark => ({...mark, s: seconds(mark, startOf), run: `run ${mark.run}`}));
	if (shown.length === 0) return events(rules);
	const line = (title: string, note: string, field: 'rate' | 'p99', axis: string, isLog: boolean): Chart => ({
		title,
		note,
		spec: {
			...common,
			data: {values: shown},
			facet: {row: {field: 'run', title: null}},
			spec: {
				width,
				height: 150,
				layer: [
					{
						mark: {type: 'line', interpolate: 'linear', point: {size: 8}},
						encoding: {
							x: {field: 's', type: 'quantitative', title: 'seconds since the start'},
							y: {field, type: 'quantitative', title: axis, ...(isLog && {scale: {type: 'log'}})},
							color: {field: 'series', type: 'nominal', title: null, legend: {orient: 'top'}},
						},
					},
					...(rules.length === 0 ? [] : ruleLayers(rules)),
				],
			},
		} as TopLevelSpec,
	});
	return [
		line('Messages over time', 'Each point is a quarter of a second.', 'rate', 'messages per second', false),
		line(
			'Latency over time',
			'p99 of the last messages of each batch, in each quarter of a second; logarithmic.',
			'p99',
			'microseconds',
			true,
		),
	];
}

type ShownMark = {readonly s: number; readonly text: string; readonly run: string};

function ruleLayers(rules: readonly ShownMark[]) {
	const x = {field: 's', type: 'quantitative'} as const;
	return [
		{data: {values: rules}, mark: {type: 'rule', strokeDash: [4, 3], color: '#888'}, encoding: {x}},
		{
			data: {values: rules},
			mark: {type: 'text', align: 'left', baseline: 'top', dx: 3, fontSize: 10},
			encoding: {x, y: {value: 2}, text: {field: 'text'}},
		},
	] as const;
}

/** Runs without a stream of messages: what happened, run by run. */
function events(rules: readonly ShownMark[]): readonly Chart[] {
	if (rules.length === 0) return [];
	const names = [...new Set(rules.map(({text}) => text))];
	return [
		{
			title: 'Course of each run',
			note: 'Seconds since the start of the run.',
			spec: {
				...common,
				data: {values: [...rules]},
				height: {step: 26},
				layer: [
					{
						mark: {type: 'line', color: '#bbb'},
						encoding: {
							x: {field: 's', type: 'quantitative', title: 'seconds'},
							y: {field: 'run', type: 'nominal', title: null, sort: null},
							detail: {field: 'run'},
						},
					},
					{
						mark: {type: 'point', filled: true, size: 70},
						encoding: {
							x: {field: 's', type: 'quantitative', title: 'seconds'},
							y: {field: 'run', type: 'nominal', title: null, sort: null},
							color: {field: 'text', type: 'nominal', title: null, sort: names, legend: {orient: 'top'}},
						},
					},
				],
			},
		},
	];
}

/** The start of each run. */
function startsOf({points, marks}: Timeline): ReadonlyMap<number, number> {
	const starts = new Map<number, number>();
	for (const {run, atMs} of [...points, ...marks]) starts.set(run, Math.min(starts.get(run) ?? atMs, atMs));
	return starts;
}

function seconds(
	{run, atMs}: {readonly run: number; readonly atMs: number},
	starts: ReadonlyMap<number, number>,
): number {
	return (atMs - starts.get(run)!) / 1000;
}
