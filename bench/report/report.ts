/**
The report of a benchmark: one HTML page that loads nothing, with the machine, the settings, the figures, and plots that
Vega draws as SVG.
*/
import {writeFileSync} from 'node:fs';
import {cpus, release, totalmem, type} from 'node:os';
import {parse, Error as ErrorLevel, View} from 'vega';
import {compile} from 'vega-lite';
import {version} from '../../core/version.ts';
import type {BenchResult} from '../measure.ts';
import {chartsOf} from './charts.ts';

export async function writeReport(path: string, result: BenchResult): Promise<void> {
	writeFileSync(path, await pageOf(result, machineOf(), new Date()));
}

type Facts = Readonly<Record<string, string>>;

export function machineOf(): Facts {
	const processors = cpus();
	return {
		processor: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}`,
		memory: `${(totalmem() / 1024 ** 3).toFixed(1)} GiB`,
		system: `${type()} ${release()} (${process.arch})`,
		node: process.version,
		'dapss-tui': version,
	};
}

export async function pageOf(result: BenchResult, machine: Facts, at: Date): Promise<string> {
	const {bench, setting, rows, missed} = result;
	const plots: string[] = [];
	for (const {title, note, spec} of chartsOf(result)) {
		const view = new View(parse(compile(spec).spec), {renderer: 'none', logLevel: ErrorLevel});
		plots.push(`<h2>${text(title)}</h2>\n<p>${text(note)}</p>\n<figure>${await view.toSVG()}</figure>`);
		view.finalize();
	}

	return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>dapss-tui bench ${text(bench)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
figure { margin: 0; overflow-x: auto }
.missed { color: #a00 }
</style>
<h1>dapss-tui bench ${text(bench)}</h1>
<p>${text(at.toISOString())}. All processes share the machine, so compare runs on the same machine only.</p>
${missed.length === 0 ? '' : `<h2 class="missed">Missed bounds</h2>\n<ul>${missed.map(one => `<li>${text(one)}`).join('')}</ul>`}
<h2>Machine</h2>
${factsTable(machine)}
<h2>Settings</h2>
${factsTable(Object.fromEntries(Object.entries(setting).map(([name, value]) => [name, String(value)])))}
<h2>Figures</h2>
${figuresTable(rows)}
${plots.join('\n')}
</html>
`;
}

function factsTable(facts: Facts): string {
	return `<table>${Object.entries(facts)
		.map(([name, value]) => `<tr><th>${text(name)}<td>${text(value)}`)
		.join('')}</table>`;
}

function figuresTable(rows: BenchResult['rows']): string {
	const columns = [...new Set(rows.flatMap(row => Object.keys(row)))];
	const cell = (value: number | string | undefined): string =>
		text(typeof value === 'number' ? value.toLocaleString('en') : (value ?? ''));
	return `<table><tr>${columns.map(name => `<th>${text(name)}`).join('')}${rows
		.map(row => `<tr>${columns.map(name => `<td>${cell(row[name])}`).join('')}`)
		.join('')}</table>`;
}

function text(value: string): string {
	return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
