/**
Injects the faults of a plan into whole nodes: processes that end or pause, cuts, disk errors, wiped and damaged disks,
members that join and leave.
*/
import type {NodeId} from '../../../core/message.ts';
import type {Schedule} from '../schedule.ts';
import type {Fabric} from './fabric.ts';
import type {Host} from './host/host.ts';
import type {Event, FaultKind} from './plan.ts';
import type {Observer} from './observer/observer.ts';

export type FaultOptions = {
	readonly schedule: Schedule;
	readonly fabric: Fabric;
	readonly observer: Observer;
	readonly hosts: readonly Host[];
	/** Hosts whose process runs. */
	readonly up: () => readonly Host[];
	/** The machine that a member runs on. */
	readonly hostOf: (node: NodeId) => Host | undefined;
	/** Add a machine, with a new address unless one is given. @param replaces the ids whose disks it replaces */
	readonly add: (address?: string, replaces?: readonly NodeId[]) => Host;
	readonly note: (text: string) => void;
};

type FaultEvent = Event & {readonly kind: FaultKind};
type DamageKind = 'wipe' | 'rot-raft' | 'rot-topic' | 'truncate';

const hostsMax = 7;

export class Faults {
	/** Nodes whose removal was requested. It may be agreed at any time. */
	readonly removed = new Set<NodeId>();
	readonly #options: FaultOptions;

	constructor(options: FaultOptions) {
		this.#options = options;
	}

	/** Returns false if the fault cannot happen now. */
	inject(event: FaultEvent): boolean {
		const {hosts, fabric, note} = this.#options;
		const {kind, a, b, forMs} = event;
		const up = this.#options.up();
		const living = hosts.filter(({isRetired}) => !isRetired);
		const host = up[a % Math.max(1, up.length)];
		note(`${kind} ${host?.id ?? '-'}`);
		switch (kind) {
			case 'kill':
			case 'power':
			case 'stop':
			case 'storm':
			case 'blackout':
				return this.#endProcesses(event, up, host);
			case 'split':
			case 'isolate':
			case 'one-way':
			case 'ring':
				return this.#cut(event, living);
			case 'pause': {
				host?.pause(forMs);
				return true;
			}

			case 'clog': {
				fabric.clog(living[a % living.length]!.key, living[b % living.length]!.key, forMs);
				return true;
			}

			case 'heal': {
				fabric.heal();
				return true;
			}

			case 'eio':
			case 'enospc': {
				host?.options.disk.failNext(kind === 'eio' ? 'EIO' : 'ENOSPC');
				return true;
			}

			case 'clock-jump': {
				if (host) host.wallOffsetMs += (a % 2 === 0 ? 1 : -1) * (b * 1000);
				return true;
			}

			case 'wipe':
			case 'rot-raft':
			case 'rot-topic':
			case 'truncate':
				return this.#damage(kind, host, b, forMs);
			case 'join': {
				if (living.length >= hostsMax) return false;
				this.#options.add().boot();
				return true;
			}

			case 'remove':
				return this.#remove(b);
			case 'transfer': {
				const leader = up.find(({node}) => node!.control.raft.status().role === 'leader');
				if (leader && host) leader.node!.control.transfer(host.id, leader.id);
				return leader !== undefined;
			}

			default:
				return kind satisfies never;
		}
	}

	#endProcesses({kind, a, b, forMs}: FaultEvent, up: readonly Host[], host: Host | undefined): boolean {
		if (kind === 'storm' || kind === 'blackout') {
			for (const [index, one] of up.entries()) {
				if (kind === 'storm' && ((b >> index) & 1) === 0) continue;
				if (((a >> index) & 1) === 0 && kind === 'storm') one.kill();
				else one.powerCut();
				this.#restart(one, ((forMs * (index + 1)) % 3000) + 10);
			}

			return true;
		}

		if (!host) return false;
		if (kind === 'kill') host.kill();
		else if (kind === 'power') host.powerCut();
		else host.stop();
		this.#restart(host, kind === 'stop' ? forMs + 500 : forMs);
		return true;
	}

	#cut({kind, a, b}: FaultEvent, living: readonly Host[]): boolean {
		const {fabric} = this.#options;
		if (kind === 'split' || kind === 'isolate') {
			const alone =
				kind === 'isolate'
					? new Set([living[a % living.length]])
					: new Set(living.filter((_, index) => ((a >> index) & 1) === 1));
			for (const one of living)
				for (const other of living) if (alone.has(one) !== alone.has(other)) fabric.cut(one.key, other.key);
		} else if (kind === 'one-way') {
			const deaf = living[a % living.length]!;
			for (const [index, one] of living.entries())
				if (one !== deaf && ((b >> index) & 1) === 1) fabric.cut(one.key, deaf.key);
		} else {
			// A ring: each host reaches its two neighbours only.
			for (const [index, one] of living.entries()) {
				for (const [position, other] of living.entries()) {
					const distance = (position - index + living.length) % living.length;
					if (distance > 1 && distance !== living.length - 1) fabric.cut(one.key, other.key);
				}
			}
		}

		return true;
	}

	#restart(host: Host, inMs: number): void {
		this.#options.schedule.after(inMs, () => host.boot());
	}

	/**
	Wipe or damage a disk, as long as a quorum of voters keeps its disks. Otherwise the cluster could not recover.
	*/
	#damage(kind: DamageKind, host: Host | undefined, b: number, forMs: number): boolean {
		if (!host?.node) return false;
		const isOf = (path: string): boolean =>
			(kind === 'rot-topic' || (kind === 'truncate' && b % 2 === 0)
				? path.includes('/topics/')
				: path.includes('/raft/')) && path.endsWith('.log');
		const damagesRaft = kind === 'wipe' || kind === 'rot-raft' || (kind === 'truncate' && b % 2 === 1);
		if (damagesRaft && !this.#canLoseDisk(host)) return false;
		host.kill();
		if (damagesRaft) {
			if (kind !== 'wipe' && !host.options.disk.corrupt(kind === 'rot-raft' ? 'flip' : 'truncate', isOf)) {
				this.#options.schedule.after(forMs, () => host.boot());
				return false;
			}

			// Damage may have removed votes and entries, so the machine continues under a new id with an empty disk.
			host.isRetired = true;
			this.#options.observer.wiped(host);
			host.options.disk.wipe();
			const fresh = this.#options.add(host.address, [host.id, ...host.options.replaces]);
			this.#options.schedule.after(forMs, () => fresh.boot());
			return true;
		}

		const rot = kind === 'rot-topic' ? 'flip' : 'truncate';
		const isDamaged = host.options.disk.corrupt(rot, isOf);
		if (isDamaged) this.#options.observer.messages.logsDamaged(host, rot);
		this.#options.schedule.after(forMs, () => host.boot());
		return isDamaged;
	}

	/** Whether the voters keep a majority without this one, also counting lost disks. */
	#canLoseDisk(host: Host): boolean {
		const newest = this.#options
			.up()
			.map(({node}) => node!.control.raft.status())
			.toSorted((one, other) => other.commit - one.commit)[0];
		if (!newest) return false;
		const {voters} = newest.configuration;
		// Of two machines with one id, one may lack committed entries. That one cannot replace a lost disk.
		const isWhole = voters.every(
			voter =>
				!this.#options.hosts.some(({id, isCopy}) => id === voter && isCopy) ||
				(this.#options.hostOf(voter)?.node?.control.raft.status().commit ?? 0) >= newest.commit,
		);
		// A configuration counts as soon as it is in a log, committed or not.
		const isSoundForAll = this.#options
			.up()
			.every(
				({node}) =>
					this.#isSound(node!.control.raft.status().configuration.voters, host) ||
					node!.control.raft.status().configuration.voters.length === 0,
			);
		return (
			isSoundForAll &&
			voters.length > 2 &&
			isWhole &&
			newest.commit === newest.lastIndex &&
			this.#isSound(voters, host) &&
			this.#isSound(
				voters.filter(voter => !this.removed.has(voter)),
				host,
			)
		);
	}

	/** Whether a majority of the voters keeps its disk, without this one, and each has one process. */
	#isSound(voters: readonly NodeId[], without: Host): boolean {
		return (
			voters.filter(
				voter =>
					voter !== without.id &&
					this.#options.hosts.filter(({id, isRetired}) => id === voter && !isRetired).length === 1,
			).length *
				2 >
			voters.length
		);
	}

	#remove(b: number): boolean {
		const leader = this.#options.up().find(({node}) => node!.control.raft.status().role === 'leader');
		const victims = this.#options.up().filter(host => host !== leader);
		const victim = victims[b % Math.max(1, victims.length)];
		if (!leader || !victim || this.#options.hosts.filter(({isRetired}) => !isRetired).length < 4) return false;
		// The product would not let an operator do this: a majority of the remaining voters must live.
		if (
			!this.#isSound(
				leader.node!.control.raft.status().configuration.voters.filter(voter => voter !== victim.id),
				victim,
			)
		)
			return false;
		this.removed.add(victim.id);
		const answer = leader.node!.control.raft.proposeChange({type: 'remove', node: victim.id}, new Uint8Array(0));
		leader.node!.control.schedulePump();
		return answer === 'accepted';
	}
}
