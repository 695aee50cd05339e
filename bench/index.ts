/**
`dapss-tui bench KIND`: runs one benchmark, prints a table or JSON, and compares the figures with the given bounds.
*/
import {fileURLToPath} from 'node:url';
import {DapssError} from '../core/index.ts';
import {failover, latency, partition, reliability, throughput, type BenchFlags} from './kinds.ts';
import {tableOf, type BenchResult} from './measure.ts';

const kinds = {latency, throughput, reliability, partition, failover} as const;
export type BenchKind = keyof typeof kinds;
export const benchKinds = Object.keys(kinds) as readonly BenchKind[];

export type BenchOptions = {
	readonly nodes?: number;
	readonly count?: number;
	readonly size?: number;
	readonly rate?: number;
	readonly runs?: number;
	/** Highest p99 that passes, milliseconds (latency: over the subscribers; failover: of the gap). */
	readonly maxP99?: number;
	/** Lowest rate of deliveries to each subscriber that passes, messages per second. */
	readonly minRate?: number;
	/** Most lost messages that pass. */
	readonly maxLoss?: number;
	/** A file for a page with plots. */
	readonly report?: string;
	readonly output: 'text' | 'json';
	readonly print: (text: string) => void;
	readonly say: (line: string) => void;
};

/** Runs one benchmark. @throws `missed-bound` when a bound was missed, after the figures are printed */
export async function runBench(kind: string, options: BenchOptions): Promise<void> {
	if (!Object.hasOwn(kinds, kind))
		throw new DapssError('usage', `Expected bench ${benchKinds.join(', ')}, got ${kind}`);
	const flags: BenchFlags = {
		cli: fileURLToPath(new URL('cli.js', import.meta.url)),
		client: fileURLToPath(new URL('bench-client.js', import.meta.url)),
		nodes: options.nodes ?? 3,
		count: options.count ?? 0,
		size: options.size ?? 128,
		rate: options.rate ?? 0,
		runs: options.runs ?? (kind === 'failover' ? 5 : 3),
		say: options.say,
	};
	const result = await kinds[kind as BenchKind](flags);
	const missed = [...result.missed, ...missedBounds(result, options)];
	if (options.report !== undefined) {
		// Loaded on demand: the plots are as large as the rest of the program.
		const {writeReport} = await import('./report/report.ts');
		await writeReport(options.report, {...result, missed});
		options.say(`The report is in ${options.report}`);
	}

	if (options.output === 'json') options.print(JSON.stringify({...result, missed}, undefined, '\t'));
	else {
		options.print(
			`${result.bench}: ${Object.entries(result.setting)
				.map(([name, value]) => `${name} ${value}`)
				.join(', ')}`,
		);
		options.print(tableOf(result.rows));
	}

	if (missed.length > 0) throw new DapssError('missed-bound', missed.join('\n'));
}

function missedBounds({rows}: BenchResult, {maxP99, minRate, maxLoss}: BenchOptions): string[] {
	const missed: string[] = [];
	const figures = (name: string): number[] =>
		rows
			.filter(row => row['run'] !== 'median')
			.map(row => row[name])
			.filter(value => typeof value === 'number');
	const p99 = Math.max(0, ...figures('p99 ms'), ...figures('p99 µs').map(us => us / 1000));
	if (maxP99 !== undefined && p99 > maxP99)
		missed.push(`Expected a p99 of at most ${maxP99} ms (--max-p99), got ${p99}`);
	const rate = Math.min(...figures('delivered/s'));
	if (minRate !== undefined && Number.isFinite(rate) && rate < minRate)
		missed.push(`Expected at least ${minRate} messages per second to each subscriber (--min-rate), got ${rate}`);
	const lost = figures('lost').reduce((sum, value) => sum + value, 0);
	if (maxLoss !== undefined && lost > maxLoss)
		missed.push(`Expected at most ${maxLoss} messages lost (--max-loss), got ${lost}`);
	return missed;
}
