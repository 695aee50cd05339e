/**
A Raft cluster from a seed: the number of voters, the quality of the network, the speed of the disks, and the faults.
Clients propose and read through any node, members change, and leaders transfer leadership, while the nemesis injects
faults. Then the faults end, and the cluster must agree on something new within ten virtual seconds.
*/
import type {NodeId} from '../../core/message.ts';
import type {Change} from '../../core/raft/configuration.ts';
import {Nemesis} from './nemesis.ts';
import {RaftChecks} from './raft-checks.ts';
import {RaftHost} from './raft-host.ts';
import {createRandom} from './random.ts';
import {World} from './world.ts';

export type Outcome = {
	readonly fingerprint: number;
	readonly events: number;
	readonly applied: number;
	readonly terms: number;
	readonly leaders: number;
	readonly reads: number;
	readonly changes: number;
	readonly transfers: number;
	/** How often a node got evidence that its leader crashed. */
	readonly evidence: number;
	readonly crashes: number;
	readonly pauses: number;
	readonly snapshotsTaken: number;
	readonly snapshotsInstalled: number;
	readonly lost: number;
	readonly duplicated: number;
	readonly cut: number;
	/** The time from the heal until all members had applied something new, in virtual milliseconds. */
	readonly recoveredMs: number;
};

const tickMs = 50;
const recoverMs = 10_000;
const electionTicks = 10;
const uncommittedSlack = 500;

/** Run a seed. @throws the violation, with the seed and the virtual time */
export function simulateRaft(seed: number, faultsMs = 40_000): Outcome {
	const random = createRandom(`${seed}/options`);
	const lossy = random.chance(2, 3);
	const world = new World({
		seed,
		link: {
			delayMs: [1, random.pick([3, 10, 50, 150])],
			loss: lossy ? [random.between(1, 30), 100] : [0, 1],
			duplication: random.chance(1, 2) ? [random.between(1, 30), 100] : [0, 1],
			ordered: random.chance(1, 3),
			replay: random.chance(1, 2) ? [random.between(1, 10), 100] : [0, 1],
		},
	});
	const voterCount = random.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]);
	const spareCount = random.between(0, 2);
	const ids = Array.from(
		{length: voterCount + spareCount},
		(_, index) => (index + 1).toString(16).padStart(16, '0') as NodeId,
	);
	const syncMs = [0, random.pick([1, 5, 30, 200])] as const;
	const snapshotEntries = random.pick([0, 8, 30, 100]);
	const snapshotPadding = random.chance(1, 8) ? 600_000 : 0;
	const limits = {
		appendEntriesMax: random.pick([1, 2, 8, 1024]),
		tailEntries: random.pick([0, 3, 512]),
		promotionLagMax: random.pick([0, 5, 1024]),
		uncommittedBytesMax: random.pick([500, 2 ** 20]),
		appendBytesMax: random.pick([64, 2 ** 18]),
	};
	// The bound does not apply to entries that a leader finds in its log or creates itself.
	const checks = new RaftChecks({
		electionTicks,
		uncommittedBytesMax: limits.uncommittedBytesMax + uncommittedSlack,
		promotionLagMax: limits.promotionLagMax,
	});
	const hosts = ids.map(
		id =>
			new RaftHost({
				id,
				world,
				checks,
				syncMs,
				electionTicks,
				heartbeatTicks: 2,
				snapshotEntries,
				snapshotPadding,
				limits,
			}),
	);
	for (const host of hosts.slice(0, voterCount)) host.found({voters: ids.slice(0, voterCount), learners: []});
	for (const host of hosts) world.add(host, tickMs);
	world.afterEach = () => {
		for (const host of hosts) {
			if (!host.isTouched || !host.raft) continue;
			host.isTouched = false;
			checks.observe(host, host.raft.status());
		}
	};

	const client = createRandom(`${seed}/client`);
	const withChanges = random.chance(2, 3);
	let commands = 0;
	let changes = 0;
	let transfers = 0;
	let evidence = 0;
	let isOver = false;
	const act = (): void => {
		world.schedule.after(client.between(1, 120), () => {
			if (isOver) return;
			act();
			// Half of the requests go to a node that believes it is the leader; there may be several.
			const leaders = hosts.filter(({raft}) => raft?.status().role === 'leader');
			const host = client.pick(leaders.length > 0 && client.chance(1, 2) ? leaders : hosts);
			const kind = client.below(40);
			const change: Change = {
				type: client.pick(['add-learner', 'promote', 'promote', 'demote', 'remove']),
				node: client.pick(ids),
			};
			const to = client.pick(ids);
			const {raft} = host;
			if (!raft) return;
			if (kind >= 22 && kind < 31) {
				const context = `read ${++commands}`;
				checks.readBegan(context);
				// A paused former leader may read the request before the packet of its successor.
				world.ask(host.id, () => {
					host.raft?.readIndex(context);
					host.pump();
				});
				return;
			}

			if (world.isPaused(host.id)) return;
			// The evidence may be true, or false: the leader runs, and a firewall blocks only this node.
			if (kind === 36) {
				evidence++;
				if (raft.leader !== undefined) raft.leaderDown(raft.leader);
			} else if (kind < 22) raft.propose(Buffer.from(`command ${++commands}`));
			else if (kind < 36) {
				if (withChanges && raft.proposeChange(change, Buffer.from([1, 2, 3])) === 'accepted') changes++;
			} else if (kind === 37) {
				checks.forced(host.id, raft.status().term + 1);
				raft.campaign();
			} else if (raft.status().role === 'leader') {
				transfers++;
				raft.transferLeadership(to);
			}

			host.pump();
		});
	};

	const nemesis = new Nemesis(world, random.pick([300, 1000, 3000]));
	let recoveredMs = -1;
	try {
		act();
		nemesis.start();
		world.run(faultsMs);
		isOver = true;
		nemesis.end();
		// A healthy network.
		world.network.set({loss: [0, 1], duplication: [0, 1], delayMs: [1, 10], ordered: true});
		recoveredMs = recover(world, hosts, checks);
	} catch (error) {
		throw new Error(
			`SEED=${seed} (replays it), at ${world.schedule.nowMs} ms, event ${world.events}: ${(error as Error).message}`,
			{cause: error},
		);
	}

	const sum = (of: (host: RaftHost) => number): number => hosts.reduce((total, host) => total + of(host), 0);
	const {lost, duplicated, cut} = world.network.counts;
	return {
		fingerprint: world.fingerprint,
		events: world.events,
		applied: checks.highestApplied,
		terms: checks.highestTerm,
		leaders: checks.leadersElected,
		reads: checks.readsServed,
		changes,
		transfers,
		evidence,
		crashes: world.crashes,
		pauses: world.pauses,
		snapshotsTaken: sum(host => host.snapshotsTaken),
		snapshotsInstalled: sum(host => host.snapshotsInstalled),
		lost,
		duplicated,
		cut,
		recoveredMs,
	};
}

/** Propose until something new is applied at every member. Returns the time it took. */
function recover(world: World, hosts: readonly RaftHost[], checks: RaftChecks): number {
	const startMs = world.schedule.nowMs;
	const floor = checks.highestApplied;
	let target: number | undefined;
	const isDone = (): boolean => {
		// The newest of the nodes that believe they lead. Removed nodes may be at a higher term.
		const leader = hosts
			.filter(({raft}) => raft?.status().role === 'leader')
			.toSorted((one, other) => other.raft!.status().term - one.raft!.status().term)[0];
		const status = leader?.raft?.status();
		if (!leader || !status || leader.applied <= floor) return false;
		target ??= leader.applied;
		const members = [...status.configuration.voters, ...status.configuration.learners];
		return members.every(id => hosts.find(host => host.id === id)!.applied >= target!);
	};

	while (!isDone()) {
		if (world.schedule.nowMs - startMs > recoverMs) {
			const stuck = hosts.map(({id, raft, applied}) => {
				const {role, term, leader, commit, lastIndex, configuration} = raft!.status();
				return `${id.slice(-1)} ${role} term ${term} leader ${leader?.slice(-1)} commit ${commit}/${lastIndex} applied ${applied} voters ${configuration.voters.map(voter => voter.slice(-1)).join('')}`;
			});
			throw new Error(`progress after the heal: nothing new agreed within ${recoverMs} ms (${stuck.join('; ')})`);
		}

		for (const host of hosts) {
			if (host.raft?.status().role === 'leader') host.raft.propose(Buffer.from(`final ${world.schedule.nowMs}`));
			host.pump();
		}

		world.runUntil(isDone, 100);
	}

	return world.schedule.nowMs - startMs;
}
