/**
A SWIM cluster from a seed: datagrams that get lost, links that lose nothing, and machines that refuse a connection
while no process runs on them. Packets pass the real codec and parser and must fit into a datagram. The reports of nodes
are recorded with their time.
*/
import {decode, encode} from '../../core/codec.ts';
import {defaults} from '../../core/config.ts';
import type {NodeId} from '../../core/message.ts';
import type {MemberChange} from '../../core/swim/members.ts';
import {packetBytesMax, parseSwimPacket} from '../../core/swim/packet.ts';
import type {PartitionChange} from '../../core/swim/partition.ts';
import {createSwim, type Swim} from '../../core/swim/swim.ts';
import {Network} from './network.ts';
import {World, type Host} from './world.ts';

export const tickMs = 25;
const dialEveryTicks = 10;

export type Seen =
	| ({readonly type: 'member'; readonly atMs: number; readonly node: string} & MemberChange)
	| ({readonly type: 'partition'; readonly atMs: number; readonly node: string} & PartitionChange);

export type SwimClusterOptions = {
	readonly seed: number | string;
	readonly nodes: number;
	/** Datagrams lost, percent. */
	readonly loss?: number;
	/** Whether a machine without a process refuses connections. Otherwise it does not answer. @default true */
	readonly refuses?: boolean;
	/** Whether there are links to fall back to. @default true */
	readonly linked?: boolean;
	readonly delayMs?: readonly [number, number];
};

/** n1, n2, … in tests ↔ node ids. */
export function idOf(name: string): NodeId {
	return Number(name.slice(1)).toString(16).padStart(16, '0') as NodeId;
}

export function nameOf(id: string): string {
	return `n${Number.parseInt(id, 16)}`;
}

export class SwimCluster {
	readonly world: World;
	/** The TCP side, where only cuts lose packets. */
	readonly links: Network;
	readonly names: readonly string[];
	readonly hosts: ReadonlyMap<string, SwimHost>;
	readonly seen: Seen[] = [];
	largestPacket = 0;
	readonly refuses: boolean;

	constructor({seed, nodes, loss = 0, refuses = true, linked = true, delayMs = [1, 5]}: SwimClusterOptions) {
		this.refuses = refuses;
		this.world = new World({seed, link: {loss: [loss, 100], delayMs}});
		this.links = new Network({
			seed: `${seed}/links`,
			schedule: this.world.schedule,
			link: {ordered: true, delayMs, loss: linked ? [0, 1] : [1, 1]},
			deliver: (from, to, bytes) => this.world.onHost(to, () => this.hosts.get(to)!.deliver(from, bytes)),
		});
		this.names = Array.from({length: nodes}, (_, index) => `n${index + 1}`);
		this.hosts = new Map(this.names.map(name => [idOf(name), new SwimHost(this, idOf(name))]));
		for (const host of this.hosts.values()) this.world.add(host, tickMs);
	}

	get nowMs(): number {
		return this.world.schedule.nowMs;
	}

	swim(name: string): Swim {
		return this.hosts.get(idOf(name))!.swim!;
	}

	/** The names of the running nodes. */
	up(): string[] {
		return this.names.filter(name => this.world.isUp(idOf(name)));
	}

	cut(from: string, to: string): void {
		this.world.network.cut(idOf(from), idOf(to));
		this.links.cut(idOf(from), idOf(to));
		this.links.cut(idOf(to), idOf(from)); // TCP needs both ways.
	}

	partition(...sides: ReadonlyArray<readonly string[]>): void {
		const ids = sides.map(side => side.map(name => idOf(name)));
		this.world.network.partition(ids);
		this.links.partition(ids);
	}

	heal(): void {
		this.world.network.heal();
		this.links.heal();
	}

	crash(name: string): void {
		this.world.crash(idOf(name));
	}

	restart(name: string): void {
		this.world.restart(idOf(name));
	}

	run(forMs: number): void {
		this.world.run(forMs);
	}

	/** Reports since `fromMs`. */
	since(fromMs: number): Seen[] {
		return this.seen.filter(({atMs}) => atMs >= fromMs);
	}

	/** States as `node` sees them, by name. */
	states(node: string): Record<string, string> {
		return Object.fromEntries(
			this.swim(node)
				.status()
				.members.map(({id, state}) => [nameOf(id), state]),
		);
	}

	/** Pairs of running nodes where the first does not consider the second alive. */
	wrongs(): string[] {
		const up = this.up();
		return up.flatMap(node => {
			const states = this.states(node);
			return up
				.filter(other => states[other] !== 'alive')
				.map(other => `${node} thinks ${other} ${states[other]}`);
		});
	}
}

class SwimHost implements Host {
	readonly id: NodeId;
	readonly #cluster: SwimCluster;
	swim: Swim | undefined;
	#incarnation = 0;
	#ticks = 0;

	constructor(cluster: SwimCluster, id: NodeId) {
		this.#cluster = cluster;
		this.id = id;
	}

	boot(): void {
		this.#incarnation++;
		this.swim = createSwim({
			id: this.id,
			incarnation: this.#incarnation,
			tickMs,
			config: defaults.swim,
			random: this.#cluster.world.random.child(`swim/${this.id}/${this.#incarnation}`),
		});
		this.swim.setMembers(this.#cluster.names.map(name => idOf(name)));
	}

	crash(): void {
		this.swim = undefined;
	}

	tick(): void {
		this.swim!.tick();
		this.#ticks++;
		if (this.#cluster.refuses && this.#ticks % dialEveryTicks === 0) this.#dial();
		this.pump();
	}

	deliver(from: string, bytes: Uint8Array): void {
		const packet = parseSwimPacket(decode(bytes));
		if (!packet) throw new Error(`Expected a packet, got ${JSON.stringify(decode(bytes))}`);
		this.swim!.step(from as NodeId, packet, this.#cluster.nowMs);
		this.pump();
	}

	pump(): void {
		const {world, links, seen} = this.#cluster;
		for (
			let ready = this.swim!.ready(world.schedule.nowMs);
			ready;
			ready = this.swim!.ready(world.schedule.nowMs)
		) {
			for (const {to, packet, via} of ready.packets) {
				const bytes = encode(packet);
				this.#cluster.largestPacket = Math.max(this.#cluster.largestPacket, bytes.length);
				if (bytes.length > packetBytesMax)
					throw new Error(`Expected a packet of at most ${packetBytesMax} bytes, got ${bytes.length}`);
				(via === 'link' ? links : world.network).send(this.id, to, bytes);
			}

			const base = {atMs: world.schedule.nowMs, node: nameOf(this.id)};
			for (const change of ready.changes) seen.push({type: 'member', ...base, ...change});
			if (ready.partition) seen.push({type: 'partition', ...base, ...ready.partition});
		}
	}

	/** Dial the peers that do not run. Their machines refuse if the network lets the call through. */
	#dial(): void {
		const {world, links, names} = this.#cluster;
		for (const peer of names.map(name => idOf(name))) {
			if (!world.isUp(peer) && !links.isCut(this.id, peer) && !links.isCut(peer, this.id))
				this.swim!.linkRefused(peer);
		}
	}
}
