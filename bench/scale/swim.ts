/**
The speed and accuracy of failure detection: a cluster of SWIM machines in virtual time, over lossy datagrams and
reliable links. First the idle cost of a node is measured. Then some nodes fail, one after the other. Then a few nodes
are slow: they repeatedly stop reading for a while and accuse others wrongly. Lifeguard's local health reduces these
accusations; it can be disabled here.
*/
import {decode, encode} from '../../core/codec.ts';
import {defaults} from '../../core/config.ts';
import {Health as Usability} from '../../core/membership/health.ts';
import type {NodeId} from '../../core/message.ts';
import {Health} from '../../core/swim/health.ts';
import {parseSwimPacket, type SwimPacket} from '../../core/swim/packet.ts';
import {createSwim, type Swim} from '../../core/swim/swim.ts';
import {lengthBytes} from '../../core/wire/frame.ts';
import {createRandom, type SeededRandom} from '../../test/sim/random.ts';
import {Schedule} from '../../test/sim/schedule.ts';
import {idsOf} from './measure.ts';
import {Wire} from './wire.ts';

export type SwimSetting = {
	readonly seed: number;
	readonly nodes: number;
	/** Datagrams lost, percent. */ readonly loss: number;
	readonly hasHealth: boolean;
	/** Nodes that fail. */ readonly victims: number;
};

export type SwimFigures = {
	/** Sent by an idle node per second. */
	readonly packets: number;
	readonly bytes: number;
	/** Milliseconds from each failure until the first and the last node declared it dead. */
	readonly firstMs: readonly number[];
	readonly lastMs: readonly number[];
	/** Failures that some node never detected. */
	readonly missed: number;
	/** Live members that were declared dead while no node was slow. */
	readonly falseDeaths: number;
	/** Wrong accusations by slow nodes, and the number of live members that nodes declared dead. */
	readonly slowSuspicions: number;
	readonly slowDeaths: number;
};

const tickMs = 25;
const quietMs = 2000;
const victimMs = 1000;
const findMs = 8000;
const slowTurns = 6;
/** The bytes of one packet in this many are measured. */
const measuredOneIn = 8;

type Node = {readonly id: NodeId; readonly swim: Swim; readonly usability: Usability; isUp: boolean; isDeaf: boolean};

export function measureSwim(setting: SwimSetting): SwimFigures {
	if (setting.hasHealth) return new SwimScale(setting).run();
	const {stretch} = Health.prototype;
	Health.prototype.stretch = ticks => ticks;
	try {
		return new SwimScale(setting).run();
	} finally {
		Health.prototype.stretch = stretch;
	}
}

class SwimScale {
	readonly #setting: SwimSetting;
	readonly #schedule = new Schedule();
	readonly #random: SeededRandom;
	readonly #nodes: readonly Node[];
	readonly #indexOf: ReadonlyMap<NodeId, number>;
	readonly #datagrams: Wire<SwimPacket>;
	readonly #links: Wire<SwimPacket>;
	#packets = 0;
	#measuredBytes = 0;
	/** By member: the time at which each other node declared it dead. */
	#dead = new Map<number, number[]>();
	#suspicions: Array<{readonly by: number; readonly of: number}> = [];

	constructor(setting: SwimSetting) {
		this.#setting = setting;
		this.#random = createRandom(`${setting.seed}/swim/${setting.nodes}`);
		const ids = idsOf(setting.nodes, this.#random);
		this.#indexOf = new Map(ids.map((id, index) => [id, index]));
		this.#nodes = ids.map((id, index) => {
			const swim = createSwim({
				id,
				incarnation: 0,
				random: this.#random.child(index),
				tickMs,
				config: defaults.swim,
			});
			swim.setMembers(ids);
			// The other parts of health checking: pings of idle links, and the report in each row.
			const raft = {term: 1, leader: ids[0], applied: 1, commit: 1, matches: []};
			const usability = new Usability({
				self: id,
				swim,
				random: this.#random.child(`links/${index}`),
				tickMs,
				links: {
					state: () => ({state: 'up', why: ''}),
					called: () => ({state: 'works'}),
					tryCall: () => undefined,
				},
				address: () => undefined,
				isDiskFull: () => false,
				raft: () => raft,
				name: other => other,
			});
			usability.setMembers(ids, 0);
			return {id, swim, usability, isUp: true, isDeaf: false};
		});
		const base = {schedule: this.#schedule, delayMs: [1, 5] as const};
		const deliver = (channel: 'datagram' | 'link') => (from: number, to: number, packet: SwimPacket) =>
			this.#deliver(from, to, packet, channel);
		this.#datagrams = new Wire({
			...base,
			deliver: deliver('datagram'),
			random: this.#random.child('datagrams'),
			loss: setting.loss,
			isOrdered: false,
		});
		this.#links = new Wire({
			...base,
			deliver: deliver('link'),
			random: this.#random.child('links'),
			loss: 0,
			isOrdered: true,
		});
	}

	run(): SwimFigures {
		const {nodes, victims} = this.#setting;
		for (const [index, node] of this.#nodes.entries()) {
			const tick = (): void => {
				if (!node.isUp) return;
				this.#schedule.after(tickMs, tick);
				const {nowMs} = this.#schedule;
				for (const idle of node.usability.tick(nowMs)) node.swim.pingLink(idle);
				node.swim.tick(node.usability.sight);
				node.usability.assessMembers(nowMs);
				this.#pump(index);
			};

			this.#schedule.after(this.#random.between(1, tickMs), tick);
		}

		this.#schedule.run(quietMs);
		this.#packets = 0;
		this.#measuredBytes = 0;
		this.#schedule.run(quietMs);
		const a = (count: number): number => (count / nodes / quietMs) * 1000;
		const [packets, bytes] = [a(this.#packets), a(this.#measuredBytes * measuredOneIn)];

		const slow = this.#slowDown();
		const isSlow = (index: number): boolean => slow.includes(index);
		const slowSuspicions = this.#suspicions.filter(({by, of}) => isSlow(by) && !isSlow(of)).length;
		const slowDeaths = [...this.#dead].reduce((sum, [of, times]) => sum + (isSlow(of) ? 0 : times.length), 0);
		if (victims > 0) this.#schedule.run(findMs);
		this.#dead.clear();
		const silent = this.#silence(victims);
		const falseDeaths = [...this.#dead].reduce((sum, [of, times]) => sum + (silent.has(of) ? 0 : times.length), 0);
		const took = [...silent].map(([victim, atMs]) => (this.#dead.get(victim) ?? []).map(ms => ms - atMs));
		return {
			packets,
			bytes,
			firstMs: took.map(times => Math.min(...times)),
			lastMs: took.map(times => Math.max(...times)),
			missed: took.filter(times => times.length < nodes - silent.size).length,
			falseDeaths,
			slowSuspicions,
			slowDeaths,
		};
	}

	/** Nodes fail one after the other. Returns the time of each failure. */
	#silence(victims: number): ReadonlyMap<number, number> {
		const silent = new Map<number, number>();
		for (const victim of this.#random.shuffle([...this.#nodes.keys()]).slice(0, victims)) {
			this.#nodes[victim]!.isUp = false;
			silent.set(victim, this.#schedule.nowMs);
			this.#schedule.run(victimMs);
		}

		if (victims > 0) this.#schedule.run(findMs);
		return silent;
	}

	/** One node in twenty repeatedly stops reading for longer than its time to answer. */
	#slowDown(): readonly number[] {
		const random = this.#random.child('slow');
		const slow = random.shuffle([...this.#nodes.keys()]).slice(0, Math.ceil(this.#nodes.length / 20));
		this.#dead.clear();
		this.#suspicions = [];
		for (let turn = 0; turn < slowTurns; turn++) {
			for (const index of slow) this.#nodes[index]!.isDeaf = true;
			this.#schedule.run(random.between(300, 800));
			for (const index of slow) this.#nodes[index]!.isDeaf = false;
			this.#schedule.run(random.between(100, 400));
		}

		return slow;
	}

	#deliver(from: number, to: number, packet: SwimPacket, channel: 'datagram' | 'link'): void {
		const {swim, usability, isUp, isDeaf} = this.#nodes[to]!;
		if (!isUp || isDeaf) return;
		usability.heard(this.#nodes[from]!.id, channel, this.#schedule.nowMs);
		swim.step(this.#nodes[from]!.id, packet, this.#schedule.nowMs);
		this.#pump(to);
	}

	#pump(index: number): void {
		const {swim} = this.#nodes[index]!;
		const {nowMs} = this.#schedule;
		for (let ready = swim.ready(nowMs); ready; ready = swim.ready(nowMs)) {
			for (const {to, packet, via} of ready.packets) {
				if (this.#packets++ % measuredOneIn === 0) {
					const bytes = encode(packet);
					this.#measuredBytes += bytes.length + 1 + (via === 'link' ? lengthBytes : 0);
					if (!parseSwimPacket(decode(bytes)))
						throw new Error(`Expected a well-formed packet, got ${JSON.stringify(packet)}`);
				}

				(via === 'link' ? this.#links : this.#datagrams).send(index, this.#indexOf.get(to)!, packet);
			}

			for (const {id, state} of ready.changes) {
				const of = this.#indexOf.get(id)!;
				if (state === 'suspect') this.#suspicions.push({by: index, of});
				if (state !== 'dead') continue;
				const times = this.#dead.get(of);
				if (times) times.push(nowMs);
				else this.#dead.set(of, [nowMs]);
			}
		}
	}
}
