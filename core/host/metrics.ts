/**
The metrics of a node over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for supervisors. Loaded on demand,
because most nodes have none. A page is made at most once a second, however many readers ask for it.
*/
import {collectDefaultMetrics, Counter, Gauge, Histogram, Registry} from 'prom-client';
import type {Config} from '../config.ts';
import {systemClock} from '../io/clock.ts';
import {servePages, type Page, type Pages} from '../io/net/http-pages.ts';
import type {Node} from '../node/node.ts';
import {EventCounts, fsyncMetric, metrics, type Labels, type Measured, type Metric} from '../observe/metrics.ts';
import {confirm, verdictOf} from '../observe/verdict.ts';
import type {NodeSlot} from './node-slot.ts';

/** A page of the last second is given again, milliseconds. */
const freshMs = 1000;

export type Metrics = AsyncDisposable & {
	/** Time of an fsync, in seconds. */
	readonly observeSync: (seconds: number) => void;
	/** Count the events of the node from now on. */
	watch(node: Node): void;
};

/** Listen before the node starts: it is alive while it recovers. @throws `config` when the port is in use */
export async function openMetrics(config: Config, slot: NodeSlot): Promise<Metrics> {
	const registry = new Registry();
	let refused = 0;
	const counts = new CountedNode();
	const exposition = new Exposition(registry, snapshot => ({
		snapshot,
		counts: counts.all,
		topicsMax: config.limits.topics,
		refused,
	}));
	const fsync = new Histogram({...fsyncMetric, buckets: [...fsyncMetric.buckets], registers: [registry]});
	collectDefaultMetrics({register: registry});
	const pages: Pages = await servePages({
		...config.metrics,
		pages: {
			'/metrics': shared(() => exposition.page(slot.node)),
			'/healthz': async () => json(200, {alive: true}),
			'/readyz': shared(() => readiness(slot.node)),
		},
		onRefused() {
			refused++;
			slot.bound('metrics-connections');
		},
	});
	return {
		observeSync: seconds => fsync.observe(seconds),
		watch: node => counts.watch(node),
		async [Symbol.asyncDispose]() {
			counts[Symbol.dispose]();
			registry.clear();
			await pages[Symbol.asyncDispose]();
		},
	};
}

/** One page for all who ask while it is made, and for a second after that. */
function shared(make: () => Promise<Page>): () => Promise<Page> {
	let made: Promise<Page> | undefined;
	let madeMs = Number.NEGATIVE_INFINITY;
	return () => {
		const nowMs = systemClock.monotonicMs();
		if (made && nowMs - madeMs < freshMs) return made;
		madeMs = Number.POSITIVE_INFINITY; // Until it is made.
		made = make()
			.catch((error: unknown) => json(500, {error: error instanceof Error ? error.message : String(error)}))
			.finally(() => {
				madeMs = systemClock.monotonicMs();
			});
		return made;
	};
}

/** As `check`: a quorum confirms the state of the node. */
async function readiness(node: Node | undefined): Promise<Page> {
	if (!node) return json(503, {verdict: 'starting', findings: []});
	try {
		const confirmed = await confirm(node, systemClock);
		const {verdict, exitCode, findings} = verdictOf(await node.snapshot(), confirmed);
		return json(exitCode === 0 ? 200 : 503, {
			verdict,
			findings: findings.map(({code, reason, problem}) => ({code, reason, problem})),
		});
	} catch {
		return json(503, {verdict: 'stopping', findings: []});
	}
}

function json(status: number, value: unknown): Page {
	return {status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n`};
}

/** The instruments of the table, set from one snapshot before each exposition. */
class Exposition {
	readonly #registry: Registry;
	readonly #measure: (snapshot: Measured['snapshot']) => Measured;
	readonly #instruments: ReadonlyArray<readonly [Metric, Gauge | Counter]>;

	constructor(registry: Registry, measure: (snapshot: Measured['snapshot']) => Measured) {
		this.#registry = registry;
		this.#measure = measure;
		this.#instruments = metrics.map(metric => {
			const {name, help, labels = [], type} = metric;
			const options = {name, help, labelNames: [...labels], registers: [registry]};
			return [metric, type === 'gauge' ? new Gauge(options) : new Counter(options)];
		});
	}

	async page(node: Node | undefined): Promise<Page> {
		const measured = node && this.#measure(await node.snapshot());
		for (const [metric, instrument] of this.#instruments) {
			instrument.reset();
			// The library sets a metric without labels to 0; without a value it must be absent.
			if (!metric.labels) instrument.remove({});
			if (measured)
				for (const [value, labels = {} satisfies Labels] of metric.read(measured)) {
					// A counter of prom-client starts at 0 after its reset.
					if (instrument instanceof Gauge) instrument.set(labels, value);
					else instrument.inc(labels, value);
				}
		}

		return {status: 200, type: this.#registry.contentType, body: await this.#registry.metrics()};
	}
}

/** The counts of the events of a node, from its start on. */
class CountedNode implements Disposable {
	readonly all = new EventCounts();
	#watch: ReturnType<Node['journal']['watch']> | undefined;

	watch(node: Node): void {
		const watch = node.journal.watch();
		this.#watch = watch;
		for (const event of node.journal.events()) this.all.add(event);
		watch.onNews = () => {
			for (const event of watch.take()) this.all.add(event);
		};
	}

	[Symbol.dispose](): void {
		this.#watch?.[Symbol.dispose]();
	}
}
