/**
The options of a node: its identity and configuration, and the ports to time, randomness, disks and sockets.
*/
import type {IdentityKey} from '../access.ts';
import type {FaultCommand} from '../broker.ts';
import type {Config} from '../config.ts';
import type {RaftStore} from '../control/raft-store.ts';
import type {DataIo} from '../data/data.ts';
import type {Lamport} from '../lamport.ts';
import type {Endorsement} from '../membership/endorsement.ts';
import type {WantedName} from '../membership/naming.ts';
import type {Resignation} from '../membership/resignation.ts';
import type {NodeId, Topic} from '../message.ts';
import type {KeptState} from '../node-state/node-state.ts';
import type {Clock, Datagrams, Entropy, Links, OwnKeys, PeerFinder, Signer} from '../ports.ts';
import type {RaftLimits} from '../raft/leader.ts';

/** Injects faults on purpose. */
export type FaultControl = {
	/** @param by who asks for it, for people */
	apply(command: FaultCommand, by: string): void;
	active(label?: (peer: NodeId) => string): readonly string[];
};

export type NodeIo = Pick<DataIo, 'proofs' | 'openTopic' | 'removeTopic' | 'retentionMs' | 'noteAge'> & {
	readonly clock: Clock;
	readonly entropy: Entropy;
	readonly links: Links;
	readonly datagrams: Datagrams;
	readonly signer: Signer;
	readonly peers: PeerFinder;
	readonly raftStore: RaftStore;
	readonly knownTopics: readonly Topic[];
	/** Whether a resignation is signed by the node in it. @default checks the signature */
	readonly isGenuine?: (resignation: Resignation) => boolean;
	/** The keys of the cluster in this process. @default none, and they cannot be changed through this node */
	readonly keys?: OwnKeys;
	/** `undefined` unless the node was started with `--faults`. */
	readonly faults: FaultControl | undefined;
	/** Room on the disk. `maintain` measures it, and is called regularly. @default always room */
	readonly room?: {
		readonly isFull: boolean;
		readonly problem: string;
		/** The problem, with advice. */
		readonly reason: string;
		maintain(): Promise<void>;
	};
	/** Write the state that must outlive a restart; resolves when it is durable. */
	save(state: KeptState): Promise<void>;
};

export type NodeOptions = {
	readonly id: NodeId;
	/** Already raised on disk. */
	readonly incarnation: number;
	/** The ceiling of this clock is on disk. */
	readonly lamport: Lamport;
	readonly clusterId: string;
	/** The node's own topics, from its last start and its settings. */
	readonly topics: readonly Topic[];
	/** The state of before this start, used while the own log does not have the cluster. */
	readonly former?: Pick<KeptState, 'members' | 'since' | 'left'> & {readonly mustJoin?: boolean};
	/** How the node may found a cluster; `undefined`: it may only join one. */
	readonly founding?:
		{readonly seeds: readonly string[]; readonly expect: number; readonly seekMs: number} | undefined;
	/** Resignations of former nodes with a lost data folder, which this node replaces. */
	readonly resignations?: readonly Resignation[];
	readonly config: Config;
	/** The identity of the user who runs the node: an operator on it, and of a cluster that it founds. */
	readonly owner?: IdentityKey | undefined;
	/** The statement of that user that this node may become a member. */
	readonly endorsement?: Endorsement | undefined;
	readonly address: string;
	readonly version: string;
	/** The newest protocol version that this program speaks. */
	readonly protocolMax: number;
	/** 16 hexadecimal digits, random for each process. */
	readonly instance: string;
	readonly name: WantedName;
	/** Lower limits of Raft for tests. @default the limits of `raft/leader.ts` */
	readonly raftLimits?: Partial<RaftLimits>;
	readonly io: NodeIo;
};
