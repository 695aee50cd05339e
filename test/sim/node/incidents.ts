/**
Incidents in the environment of the nodes: hosts change their addresses, one at a time or all at once; a new host gets
the address of one that is down; a disk is copied and both copies run; a firewall blocks TCP or UDP; a host restarts
with another program or another key; a process may open no more files; a disk is full for a while.
*/
import type {NodeId} from '../../../core/message.ts';
import type {Schedule} from '../schedule.ts';
import type {Fabric} from './fabric.ts';
import {isFullDisk} from './checks/full-disk-checks.ts';
import type {Host} from './host/host.ts';
import type {Event, IncidentKind} from './plan.ts';

export type IncidentOptions = {
	readonly schedule: Schedule;
	readonly fabric: Fabric;
	readonly hosts: readonly Host[];
	readonly freshAddress: () => string;
	/** Add a machine with an empty disk, or with a copy of another machine's disk. */
	readonly add: (options: {readonly address: string; readonly copyOf?: Host}) => Host;
	/** The voters of the newest configuration that a running node reports. */
	readonly voters: () => readonly NodeId[];
	/** Nodes whose removal was proposed. */
	readonly removed: ReadonlySet<NodeId>;
};

const hostsMax = 7;
/** A member that is away for this long is declared dead. */
const deadMs = 3000;
/**
With fewer voters the other voters cannot distinguish a second process of an id from a restart. Nor can a cluster that
has not yet agreed on who uses an id (before protocol 2).
*/
const copyVotersMin = 3;
/** A disk stays full for this many times the usual duration, because a node checks its room every 10 s. */
const fullTimes = 6;
/** Bytes left on a disk that fills up. */
const leftBytes = [0, 300, 5000, 40_000] as const;
const restartMs = 900;

export class Incidents {
	readonly #options: IncidentOptions;
	/** Hosts that run another program or key for a while, and how to restore them. */
	readonly #changed = new Map<Host, () => void>();
	/** Whether addresses have changed. */
	#haveMoved = false;
	/** How often an operator had to tell a host the addresses of the others. */
	introductions = 0;

	constructor(options: IncidentOptions) {
		this.#options = options;
	}

	/** Faults have ended: restore all hosts. */
	end(): void {
		for (const host of this.#changed.keys()) this.#restore(host);
		if (this.#haveMoved) this.#restartLostHosts();
	}

	/** Returns false if no host fits. */
	strike({
		kind,
		a,
		b,
		forMs,
	}: Event & {
		readonly kind: Exclude<IncidentKind, 'create-topic' | 'delete-topic' | 'rotate-key' | 'follower'>;
	}): boolean {
		const {hosts, fabric} = this.#options;
		const living = hosts.filter(({isRetired, isCopy}) => !isRetired && !isCopy);
		const host = living[a % living.length];
		const others = living.filter(other => other !== host);
		const other = others[b % Math.max(1, others.length)];
		if (!host || !other) return false;
		if (kind === 'move' || kind === 'swap' || kind === 'rotate' || kind === 'reuse') this.#haveMoved = true;
		switch (kind) {
			case 'move': {
				this.#move(host, this.#options.freshAddress(), this.#list(host, b), forMs);
				return true;
			}

			case 'swap':
				return this.#swap(host, other, forMs, b);
			case 'rotate':
				return this.#rotate(living, a, b, forMs);
			case 'reuse':
				return this.#reuse(host, living.length, b, forMs);
			case 'copy':
				return this.#copy(host, b, forMs);
			case 'block-tcp': {
				for (const one of b % 2 === 0 ? [other] : others) {
					fabric.blockTcp(host.key, one.key);
					fabric.blockTcp(one.key, host.key);
				}

				return true;
			}

			case 'few-files': {
				host.options.disk.fewFiles(forMs);
				return true;
			}

			case 'full-disk':
				return this.#fillDisk(host, b, forMs);
			case 'block-udp': {
				for (const one of b % 2 === 0 ? [other] : others) {
					if (b % 3 !== 1) fabric.blockUdp(host.key, one.key);
					if (b % 3 !== 2) fabric.blockUdp(one.key, host.key);
				}

				return true;
			}

			case 'other-version': {
				return this.#runDifferently(
					host,
					forMs,
					() => void (host.foreignProtocol = 9),
					() => void (host.foreignProtocol = undefined),
				);
			}

			case 'other-key': {
				return this.#runDifferently(
					host,
					forMs,
					() => void (host.hasForeignSecret = true),
					() => void (host.hasForeignSecret = false),
				);
			}

			default:
				return kind satisfies never;
		}
	}

	/**
	The addresses that an operator gives to a restarting host: all, the former ones, some including its own, or none.
	Nodes that moved can only find one another if one of them has such a list, or gets one later.
	*/
	#list(host: Host, b: number): readonly string[] {
		const all = this.#options.hosts.filter(({isRetired}) => !isRetired).map(({address}) => address);
		switch (b % 4) {
			case 0:
				return all.filter(address => address !== host.address);
			case 1:
				return host.formerList;
			case 2:
				return [
					host.address,
					...all.filter((address, index) => ((b >> index) & 1) === 1 && address !== host.address),
				];
			default:
				return [];
		}
	}

	/**
	Members call the addresses that they know. If these addresses do not connect all members, the members cannot find
	one another. Then the operator restarts those without a leader, with a list of all addresses.
	*/
	#restartLostHosts(): void {
		const {hosts} = this.#options;
		// A removed host, which may not know of its removal yet, introduces nobody: all members refuse it.
		const living = hosts.filter(
			({id, isRetired, exitCause}) =>
				!isRetired &&
				exitCause !== 'removed' &&
				!hosts.some(({node}) => node?.control.state.isRemoved(id) ?? false),
		);
		// Another host has the address by now, so this one restarts at a new address.
		const displaced = living.filter(host => this.#options.fabric.at(host.address) !== host);
		for (const host of displaced) {
			this.#down(host);
			host.moveTo(this.#options.freshAddress());
		}

		const members = living.filter(({id, addressBook}) => addressBook.has(id));
		// A host may still follow a leader that has just ended (seed 48978).
		const leaders = new Set<NodeId | undefined>(
			hosts.filter(({node}) => node?.control.raft.role === 'leader').map(({id}) => id),
		);
		const isLed = ({node}: Host): boolean => leaders.has(node?.control.raft.leader);
		const knows = (one: Host, other: Host): boolean =>
			one.addressBook.get(other.id) === other.address || one.seekList.includes(other.address);
		const finds = (one: Host, other: Host): boolean =>
			(isLed(one) && isLed(other) && this.#options.fabric.isLinked(one.key, other.key)) || knows(one, other);
		// Before protocol 2 there are no relays, so each member must find each other one itself.
		const hasRelays = members.every(({node}) => (node?.control.state.protocol ?? 0) >= 2);
		// A host whose removal may be agreed yet connects no others (seed 56666).
		const stays = members.filter(({id}) => !this.#options.removed.has(id));
		const first = stays.find(isLed) ?? stays[0];
		const found = new Set(first ? [first] : []);
		for (const one of found)
			if (stays.includes(one))
				for (const other of members) if (finds(one, other) || finds(other, one)) found.add(other);
		const areAllKnown = members.every(one => members.every(other => finds(one, other) || finds(other, one)));
		const isFound = (member: Host): boolean => (hasRelays ? found.has(member) : areAllKnown || isLed(member));
		// A host without a log does not know yet which cluster to join.
		const lost = living.filter(host =>
			members.includes(host) ? !isFound(host) : !members.some(member => knows(host, member)),
		);
		// A host linked to one of two processes of a node does not look for the other one.
		const doubled = hosts.filter(
			host =>
				!host.isRetired &&
				host.exitCause !== 'removed' &&
				!isLed(host) &&
				hosts.some(other => other !== host && other.id === host.id && !other.isRetired),
		);
		for (const host of new Set([...lost, ...doubled, ...displaced])) {
			this.introductions++;
			this.#down(host);
			host.bootstrap = living.filter(other => other !== host).map(({address}) => address);
		}
	}

	#move(host: Host, address: string, list: readonly string[], inMs: number): void {
		this.#down(host);
		host.moveTo(address);
		host.bootstrap = list;
		this.#boot(host, inMs);
	}

	/** Exchange two addresses. The first host returns before the second, by a short or a long time. */
	#swap(one: Host, other: Host, forMs: number, b: number): boolean {
		// A host whose address another one has taken has none to exchange (seed 48668).
		if ([one, other].some(host => this.#options.fabric.at(host.address) !== host)) return false;
		for (const host of [one, other]) this.#down(host);
		const [first, second] = [one.address, other.address];
		one.moveTo(second);
		other.moveTo(first);
		for (const host of [one, other]) host.bootstrap = this.#list(host, b);
		this.#boot(one, forMs);
		this.#boot(other, forMs + deadMs + (b % 5000));
		return true;
	}

	/** All hosts return at new addresses, in any order. At least one knows the addresses of the others. */
	#rotate(living: readonly Host[], a: number, b: number, forMs: number): boolean {
		for (const host of living) this.#down(host);
		for (const host of living) host.moveTo(this.#options.freshAddress());
		for (const [index, host] of living.entries()) {
			host.bootstrap = this.#list(host, index === a % living.length ? 0 : b >> index);
			this.#boot(host, ((forMs * (index + 1)) % 3000) + 10);
		}

		return true;
	}

	/** A new host gets the address of a member that is down. The member returns at another address. */
	#reuse(host: Host, count: number, b: number, forMs: number): boolean {
		const {add} = this.#options;
		if (count >= hostsMax || host.node?.phase !== 'running') return false;
		this.#down(host);
		const newcomer = add({address: host.address});
		this.#boot(newcomer, forMs);
		host.bootstrap = this.#list(host, b);
		this.#boot(host, forMs + deadMs + (b % 6000));
		return true;
	}

	/**
	Copy a disk to another machine: while the process runs; while it is down, and then both start; or while it is down,
	and the original starts later than the copy.
	*/
	#copy(host: Host, b: number, forMs: number): boolean {
		const {hosts, add, freshAddress, voters} = this.#options;
		// With two processes of two voters, each of two groups has a majority of the ids.
		const isTwice = hosts.some(({isRetired, isCopy}) => isCopy && !isRetired);
		// A voter whose disk is lost is no vote for either process.
		const isWhole = voters().every(voter => hosts.some(({id, isRetired}) => id === voter && !isRetired));
		const isClaimed = host.node?.control.state.instance(host.id) !== undefined;
		if (isTwice || !isWhole || !isClaimed || voters().length < copyVotersMin || host.node?.phase !== 'running')
			return false;
		if (b % 3 > 0) this.#down(host);
		const copy = add({address: freshAddress(), copyOf: host});
		this.#boot(copy, b % 3 === 0 ? 0 : forMs);
		if (b % 3 > 0) this.#boot(host, forMs + (b % 3 === 1 ? 0 : deadMs + (b % 5000)));
		return true;
	}

	/**
	Another program fills the disk, completely or almost, until an operator makes room. A node that stops for that
	reason is restarted meanwhile.
	*/
	#fillDisk(host: Host, b: number, forMs: number): boolean {
		const {disk, keepsReserve} = host.options;
		if (!keepsReserve || disk.isFilled) return false;
		const {schedule} = this.#options;
		const untilMs = schedule.nowMs + forMs * fullTimes;
		disk.fill(leftBytes[b % leftBytes.length]!);
		const look = (): void =>
			schedule.after(restartMs, () => {
				if (!disk.isFilled) return;
				const isOver = schedule.nowMs >= untilMs;
				if (isOver) disk.free();
				if (!host.isUp && isFullDisk(host.exitReason)) host.boot();
				if (!isOver) look();
			});
		look();
		return true;
	}

	/** Start the host in another way, and after a while as before. */
	#runDifferently(host: Host, forMs: number, change: () => void, restore: () => void): boolean {
		if (this.#changed.has(host)) return false;
		this.#down(host);
		change();
		this.#changed.set(host, restore);
		this.#boot(host, forMs % 1000);
		this.#options.schedule.after((forMs + deadMs) * 2, () => this.#restore(host)); // Long enough to be detected.
		return true;
	}

	#restore(host: Host): void {
		const restore = this.#changed.get(host);
		if (!restore) return;
		this.#changed.delete(host);
		this.#down(host);
		restore();
		this.#boot(host, 100);
	}

	#down(host: Host): void {
		host.kill();
	}

	#boot(host: Host, inMs: number): void {
		this.#options.schedule.after(inMs, () => host.boot());
	}
}
