/**
The options of a run, drawn from its seed: the quality of the network, the speed of the disks, the limits of the
product, and the number of nodes.
*/
import {defaults, type Config} from '../../../core/config.ts';
import type {RaftLimits} from '../../../core/raft/leader.ts';
import {protocolMax} from '../../../core/version.ts';
import {createIdentity, type Identity} from '../../../core/wire/seal.ts';
import type {LinkOptions} from '../network.ts';
import {createRandom} from '../random.ts';
import {discoveryModes, type DiscoveryMode} from './discovery.ts';
import {traitsOf} from './plan.ts';

export type DrawnOptions = {
	readonly link: Partial<LinkOptions>;
	/** How often a datagram is lost, as numerator and denominator. */
	readonly loss: readonly [number, number];
	/** The least and the most time that a sync of a disk takes, in milliseconds. */
	readonly syncMs: readonly [number, number];
	/** The user who runs all hosts; `undefined` when hosts have no identity. */
	readonly owner: Identity | undefined;
	readonly raftLimits: Pick<
		RaftLimits,
		'tailEntries' | 'appendEntriesMax' | 'promotionLagMax' | 'uncommittedBytesMax'
	>;
	readonly config: Config;
	/** How many hosts start together. */
	readonly startCount: number;
	readonly discovery: DiscoveryMode;
	/** Whether some nodes run an earlier version at first, and are upgraded one by one. */
	readonly isMixed: boolean;
	/** The newest protocol of that earlier version. */
	readonly olderProtocol: number;
	/** Whether a node is subscribed while a program reads. */
	readonly readersSubscribe: boolean;
};

export function drawOptions(seed: number): DrawnOptions {
	const random = createRandom(`${seed}/options`);
	// The order of the draws is part of what a seed means.
	const isStrict = random.chance(1, 2);
	const link: Partial<LinkOptions> = {
		delayMs: [1, random.pick([3, 10, 50])],
		ordered: isStrict || random.chance(1, 2),
		loss: isStrict ? [0, 1] : [random.below(20), 100],
		duplication: isStrict ? [0, 1] : [random.below(40), 100],
		replay: isStrict ? [0, 1] : [random.below(5), 100],
		bytesPerMs: random.pick([0, 0, 50, 1000]),
	};
	const loss = [random.below(31), 100] as const;
	const syncMs = [0, random.pick([1, 5, 30])] as const;
	const raftLimits = {
		tailEntries: random.pick([0, 3, 512]),
		appendEntriesMax: random.pick([1, 8, 1024]),
		promotionLagMax: random.pick([5, 1024]),
		uncommittedBytesMax: random.pick([2000, 2 ** 20]),
	};
	const config = {
		...defaults,
		data: '/data',
		secret: Buffer.alloc(32, 1),
		raft: {...defaults.raft, snapshotEntries: random.pick([5, 20, 4096]), votersMax: random.pick([3, 5, 5])},
		storage: {
			...defaults.storage,
			writeDeadlineMs: 1000, // Shorter than many pauses.
			segmentBytes: random.pick([1000, 8000, 1_000_000]),
			retainBytes: random.pick([20_000, 10_000_000]),
			retainAgeS: random.pick([5, 3600, 604_800]),
		},
		gossip: {...defaults.gossip, ...(random.chance(1, 4) ? {repairBytes: 20_000, heldBytes: 30_000} : {})},
	};
	const startCount = random.pick([1, 2, 3, 3, 3, 4, 5, 5]);
	const discovery = traitsOf(seed).has('together') ? createRandom(`${seed}/together`).pick(discoveryModes) : 'none';
	return {
		link,
		loss,
		syncMs,
		raftLimits,
		config,
		startCount,
		discovery,
		isMixed: discovery === 'none' && createRandom(`${seed}/versions`).chance(1, 4),
		olderProtocol: createRandom(`${seed}/older`).between(1, protocolMax - 1),
		owner: ownerOf(seed),
		readersSubscribe: createRandom(`${seed}/reading`).chance(1, 2),
	};
}

/** The user who runs all hosts; in half of the runs, hosts have no identity file. */
function ownerOf(seed: number): Identity | undefined {
	const random = createRandom(`${seed}/owner`);
	return random.chance(1, 2) ? createIdentity(Buffer.alloc(32, random.below(256))) : undefined;
}
