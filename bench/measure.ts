/** Shared parts of the benchmarks: clients in their own processes, and tables. */
import {fork, type ChildProcess} from 'node:child_process';
import type {ClientOptions, ClientOrder, ClientReport, Interval} from './client.ts';
import type {Cluster, NodeProcess} from './cluster.ts';

export type Percentiles = {readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number};
export type BenchResult = {
	readonly bench: string;
	/** The parameters of the run. */
	readonly setting: Readonly<Record<string, number | string>>;
	readonly rows: ReadonlyArray<Readonly<Record<string, number | string>>>;
	/** Missed bounds, as text; if there are any, the command exits with 15. */
	readonly missed: readonly string[];
	/** What happened over time, for the report. */
	readonly timeline: Timeline;
};

/** Values over time, and what happened meanwhile; times of the wall clock. */
export type Timeline = {
	readonly points: ReadonlyArray<
		{readonly run: number; readonly series: string; readonly atMs: number} & PointValues
	>;
	readonly marks: ReadonlyArray<{readonly run: number; readonly atMs: number; readonly text: string}>;
};
type PointValues = {
	/** Messages per second. */
	readonly rate?: number;
	/** Latencies, microseconds. */
	readonly p50?: number;
	readonly p99?: number;
};

const intervalMs = 250;

/** The course of a client as points of the time line, each in the middle of its interval. */
export function pointsOf(run: number, series: string, course: readonly Interval[]): Timeline['points'] {
	return course.map(({atMs, count, p50, p99}) => ({
		run,
		series,
		atMs: atMs - intervalMs / 2,
		rate: (count * 1000) / intervalMs,
		p50,
		p99,
	}));
}

export class Client implements Disposable {
	readonly #child: ChildProcess;
	readonly #reports: ClientReport[] = [];
	#wake: (() => void) | undefined;
	#isEnded = false;

	constructor(script: string, order: ClientOrder) {
		this.#child = fork(script, {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
		this.#child.on('message', message => {
			this.#reports.push(message as ClientReport);
			this.#wake?.();
		});
		this.#child.once('exit', () => {
			this.#isEnded = true;
			this.#wake?.();
		});
		this.#child.send(order);
	}

	/** The next report of that type. Rejects when the client fails, or after the limit. */
	async next<Type extends ClientReport['type']>(
		type: Type,
		limitMs = 120_000,
	): Promise<Extract<ClientReport, {type: Type}>> {
		const untilMs = performance.now() + limitMs;
		for (;;) {
			const report = this.#reports.shift();
			if (report?.type === type) return report as Extract<ClientReport, {type: Type}>;
			if (report?.type === 'failed') throw new Error(`A bench client failed: ${report.message}`);
			if (report) continue;
			if (this.#isEnded) throw new Error(`A bench client ended before it reported ${type}`);
			await new Promise<void>((resolve, reject) => {
				const timer = setTimeout(
					() => reject(new Error(`A bench client reported no ${type} within ${limitMs} ms`)),
					Math.max(1, untilMs - performance.now()),
				);
				this.#wake = () => {
					clearTimeout(timer);
					resolve();
				};
			});
			this.#wake = undefined;
		}
	}

	/** Request the present figures. */
	stop(): void {
		if (!this.#isEnded) this.#child.send('stop');
	}

	[Symbol.dispose](): void {
		this.#child.kill('SIGKILL');
	}
}

export function clientOptions(cluster: Cluster, node: NodeProcess, topic: string): ClientOptions {
	return {servers: [`127.0.0.1:${node.port}`], secret: cluster.secret.toString(), cluster: cluster.name, topic};
}

/**
Messages delivered per second. `slowest`: to the slowest subscriber, from the first delivery to any subscriber until the
last delivery to this one. `all`: to all subscribers together, until the last delivery to any. Without losses `all` is
`slowest` times the number of subscribers.
*/
export function deliveryRates(
	received: ReadonlyArray<Pick<Extract<ClientReport, {type: 'received'}>, 'unique' | 'firstNs' | 'lastNs'>>,
): {readonly slowest: number; readonly all: number} {
	const some = received
		.filter(({unique}) => unique > 0)
		.map(({unique, firstNs, lastNs}) => ({unique, firstNs: BigInt(firstNs), lastNs: BigInt(lastNs)}));
	if (some.length === 0) return {slowest: 0, all: 0};
	const firstNs = some.reduce((first, one) => (one.firstNs < first ? one.firstNs : first), some[0]!.firstNs);
	const perSecond = (count: number, untilNs: bigint): number =>
		Math.round((count * 1e9) / Math.max(1, Number(untilNs - firstNs)));
	const lastNs = some.reduce((last, one) => (one.lastNs > last ? one.lastNs : last), firstNs);
	return {
		slowest: some.length < received.length ? 0 : Math.min(...some.map(one => perSecond(one.unique, one.lastNs))),
		all: perSecond(
			some.reduce((sum, {unique}) => sum + unique, 0),
			lastNs,
		),
	};
}

/** Median of an odd or even number of values. */
export function median(values: readonly number[]): number {
	const sorted = [...values].toSorted((a, b) => a - b);
	const middle = Math.floor(sorted.length / 2);
	return sorted.length === 0
		? 0
		: sorted.length % 2 === 1
			? sorted[middle]!
			: (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Exact percentiles of a few values. For many, `createHistogram` has constant memory. */
export function percentilesOf(values: readonly number[]): Percentiles {
	const sorted = [...values].toSorted((a, b) => a - b);
	const at = (share: number): number =>
		Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0);
	return {p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1)};
}

export function tableOf(rows: BenchResult['rows']): string {
	if (rows.length === 0) return '';
	const columns = [...new Set(rows.flatMap(row => Object.keys(row)))];
	const cells = [columns, ...rows.map(row => columns.map(column => String(row[column] ?? '')))];
	const widths = columns.map((_, at) => Math.max(...cells.map(line => line[at]!.length)));
	return cells
		.map(line =>
			line
				.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
				.join('  ')
				.trimEnd(),
		)
		.join('\n');
}
