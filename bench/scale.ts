/**
Checks that the cost of a node is the same in a small and in a large cluster (`npm run bench:scale [-- --nodes
3,10,100,1000,5000]`). Whole clusters of the gossip and SWIM machines run in virtual time from a seed, so the figures
are the same on every machine. Prints tables, writes `scale.json` and `scale.svg` beside this file, and exits with 1
when a bound was missed. Frames are counted with their length, before TLS.
*/
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import process from 'node:process';
import {parseArgs} from 'node:util';
import {median, tableOf} from './measure.ts';
import {measureGossip, type GossipFigures} from './scale/gossip.ts';
import {plot} from './scale/plot.ts';
import {measureSwim, type SwimFigures} from './scale/swim.ts';

type Gossip = GossipFigures & {readonly nodes: number; readonly loss: number};
type Swim = Omit<SwimFigures, 'firstMs' | 'lastMs'> & {
	readonly nodes: number;
	readonly loss: number;
	readonly firstMs: number;
	readonly lastMs: number;
	readonly lastMsMax: number;
	readonly slowSuspicionsWithoutHealth: number;
	readonly slowDeathsWithoutHealth: number;
};

const losses = [0, 20];
/** A cost counts as constant if its minimum and maximum differ from their midpoint by at most this share of it. */
const flatShare = 0.2;
/** With high loss, smaller clusters send no copies and pay less. */
const lossyFrom = 10;
/** SWIM keeps state of each other member, so larger clusters do not fit into the memory of one process. */
const swimMax = 2000;
const publishersMax = 50;
const setting = {seed: 1, messages: 500, perSecond: 50, bodyBytes: 128, publishers: publishersMax};

function main(): void {
	const {
		values: {nodes: list, folder},
	} = parseArgs({
		options: {nodes: {type: 'string', default: '3,10,100,1000'}, folder: {type: 'string', default: '.'}},
	});
	const sizes = list.split(',').map(Number);
	if (!sizes.every(size => Number.isInteger(size) && size >= 2 && size <= 60_000))
		throw new RangeError(`Expected --nodes to be numbers from 2 to 60000, got ${list}`);
	const gossip: Gossip[] = [];
	const swim: Swim[] = [];
	for (const loss of losses) {
		for (const nodes of sizes) {
			say(`gossip: ${nodes} nodes, ${loss} % loss …`);
			gossip.push({
				nodes,
				loss,
				...rounded(measureGossip({...setting, nodes, loss, publishers: Math.min(nodes, publishersMax)})),
			});
		}

		for (const nodes of sizes.filter(size => size <= swimMax)) {
			say(`SWIM: ${nodes} nodes, ${loss} % loss …`);
			swim.push(swimAt(nodes, loss));
		}
	}

	printTables(gossip, swim);
	const missed = [...missedByGossip(gossip), ...missedBySwim(swim)];
	writeFileSync(join(folder, 'scale.json'), `${JSON.stringify({setting, gossip, swim, missed}, undefined, '\t')}\n`);
	writeFileSync(join(folder, 'scale.svg'), plot(gossip, swim));
	for (const line of missed) console.log(`missed: ${line}`);
	process.exitCode = missed.length > 0 ? 1 : 0;
}

function printTables(gossip: readonly Gossip[], swim: readonly Swim[]): void {
	console.log(
		`gossip: ${Object.entries(setting)
			.map(([name, value]) => `${name} ${value}`)
			.join(', ')}; all subscribe, all can reach all\n`,
	);
	console.log(
		tableOf(
			gossip.map(row => ({
				nodes: row.nodes,
				'loss %': row.loss,
				'frames/node·msg': row.packets,
				'of these pushes': row.pushes,
				'bytes/node·msg': Math.round(row.bytes),
				'idle B/s': Math.round(row.idleBytes),
				'duplicates %': percent(row.duplicates),
				'pulled %': percent(row.pulled),
				hops: row.hopsMean,
				most: row.hopsMax,
				'99 % ms': row.to99Ms,
				'all ms': row.to100Ms,
				'slowest ms': row.to100MsMax,
				peers: Math.round(row.peersMean),
				'most peers': row.peersMax,
				streams: row.streams,
			})),
		),
	);
	console.log();
	console.log(
		tableOf(
			swim.map(row => ({
				nodes: row.nodes,
				'loss %': row.loss,
				'packets/s': row.packets,
				'B/s': Math.round(row.bytes),
				'found dead ms': row.firstMs,
				'by all ms': row.lastMs,
				'worst ms': row.lastMsMax,
				'false deaths': row.falseDeaths,
				'wrong suspicions by slow nodes': row.slowSuspicions,
				'without local health': row.slowSuspicionsWithoutHealth,
				'wrong deaths': row.slowDeaths,
				without: row.slowDeathsWithoutHealth,
			})),
		),
	);
}

function swimAt(nodes: number, loss: number): Swim {
	const victims = Math.min(5, Math.ceil(nodes / 3));
	const {firstMs, lastMs, ...figures} = measureSwim({seed: setting.seed, nodes, loss, victims, hasHealth: true});
	const without = measureSwim({seed: setting.seed, nodes, loss, victims: 0, hasHealth: false});
	return {
		nodes,
		loss,
		...rounded(figures),
		firstMs: median(firstMs),
		lastMs: median(lastMs),
		lastMsMax: Math.max(...lastMs),
		slowSuspicionsWithoutHealth: without.slowSuspicions,
		slowDeathsWithoutHealth: without.slowDeaths,
	};
}

function missedByGossip(rows: readonly Gossip[]): string[] {
	const missed: string[] = [];
	for (const {nodes, loss, undelivered, hopsMax, streams} of rows) {
		const of = `${nodes} nodes, ${loss} % loss`;
		if (undelivered > 0)
			missed.push(`${of}: expected every message on every node, got ${undelivered} that were not`);
		if (hopsMax > Math.log2(nodes) + 3) missed.push(`${of}: expected at most log2 n + 3 hops, got ${hopsMax}`);
		if (streams > Math.min(nodes, publishersMax))
			missed.push(`${of}: expected one stream per publisher, got ${streams}`);
	}

	for (const loss of losses) {
		for (const what of ['packets', 'bytes'] as const) {
			const figures = rows
				.filter(row => row.loss === loss && (loss === 0 || row.nodes >= lossyFrom))
				.map(row => row[what]);
			const [least, most] = [Math.min(...figures), Math.max(...figures)];
			if ((most - least) / (most + least) > flatShare)
				missed.push(
					`${loss} % loss: expected ${what} a node and message within ± ${flatShare * 100} %, ` +
						`got ${least} to ${most}`,
				);
		}
	}

	return missed;
}

function missedBySwim(rows: readonly Swim[]): string[] {
	return rows.flatMap(row =>
		row.missed + row.falseDeaths > 0
			? [
					`SWIM, ${row.nodes} nodes, ${row.loss} % loss: ` +
						'expected every failure to be detected by all nodes, and no false deaths, ' +
						`got ${row.missed} missed failures and ${row.falseDeaths} false deaths`,
				]
			: [],
	);
}

function rounded<Figures extends Readonly<Record<string, number>>>(figures: Figures): Figures {
	return Object.fromEntries(
		Object.entries(figures).map(([name, value]) => [name, Math.round(value * 1000) / 1000]),
	) as Figures;
}

function percent(share: number): string {
	return (share * 100).toFixed(1);
}

function say(line: string): void {
	process.stderr.write(`${line}\n`);
}

main();
