/** docs/grafana-dashboard.json names only metrics and labels that a node has. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {collectDefaultMetrics, Registry} from 'prom-client';
import {expect, test} from 'vitest';
import {fsyncMetric, metrics} from '../../../core/observe/metrics.ts';
import {root} from '../../support/imports.ts';
import {pageOf, rowsOf} from './pages.ts';

const text = readFileSync(join(root, 'docs/grafana-dashboard.json'), 'utf8');
const dashboard = JSON.parse(text) as {
	readonly panels: ReadonlyArray<{
		readonly targets?: ReadonlyArray<{readonly expr: string; readonly legendFormat: string}>;
	}>;
};
const targets = dashboard.panels.flatMap(panel => panel.targets ?? []);

function namesOfMetrics(): ReadonlySet<string> {
	const registry = new Registry();
	collectDefaultMetrics({register: registry});
	const names = registry.getMetricsAsArray().map(({name}) => name);
	registry.clear();
	const suffixes = ['_bucket', '_sum', '_count'].map(suffix => fsyncMetric.name + suffix);
	return new Set([...names, ...metrics.map(({name}) => name), ...suffixes]);
}

test('the dashboard names only metrics that exist', () => {
	const names = namesOfMetrics();
	const used = targets.flatMap(({expr}) => expr.match(/\b(?:dapss|process|nodejs)_\w+/gu) ?? []);
	expect(used.length).toBeGreaterThan(25);
	expect(used.filter(name => !names.has(name))).toEqual([]);
	expect((text.match(/label_values\((?<name>\w+)/u)?.groups ?? {})['name']).toSatisfy((name: string) =>
		names.has(name),
	);
});

test('the dashboard uses only labels that its metrics have', () => {
	const labels = new Map<string, readonly string[]>(metrics.map(({name, labels: own = []}) => [name, own]));
	const wrong = targets.flatMap(({expr, legendFormat}) => {
		const own = new Set(['instance', ...(expr.match(/dapss_\w+/gu) ?? []).flatMap(name => labels.get(name) ?? [])]);
		const used = [
			...[...legendFormat.matchAll(/\{\{(\w+)\}\}/gu)].map(match => match[1]!),
			...[...expr.matchAll(/(\w+)=~?"/gu)].map(match => match[1]!),
		];
		return used.filter(label => !own.has(label)).map(label => `${label}: ${expr}`);
	});
	expect(wrong).toEqual([]);
});

test('docs/metrics.md has every metric with its labels and its help', () => {
	const shown = rowsOf(pageOf('docs/metrics.md').text)
		.filter(([name = '']) => name.startsWith('`dapss_'))
		.map(cells => cells.map(cell => cell.replaceAll('`', '')));
	expect(shown).toEqual(
		[...metrics, {...fsyncMetric, type: 'histogram', labels: ['le']}].map(({name, type, labels = [], help}) => [
			name,
			type,
			labels.join(', '),
			help,
		]),
	);
});
