/**
What a node is given: who it is, and all chance, time, disks and sockets.
*/
import type {FaultCommand} from '../broker.ts';
import type {Config} from '../config.ts';
import type {RaftStore} from '../control/raft-store.ts';
import type {DataIo} from '../data/data.ts';
import type {Lamport} from '../lamport.ts';
import type {WantedName} from '../membership/naming.ts';
import type {Resignation} from '../membership/resignation.ts';
import type {NodeId, Topic} from '../message.ts';
import type {KeptState} from '../node-state/node-state.ts';
import type {Clock, Datagrams, Entropy, Links, PeerFinder} from '../ports.ts';
import type {RaftLimits} from '../raft/leader.ts';

/** Faults that are injected on purpose. */
export type FaultControl = {
	apply(command: FaultCommand): void;
	active(label?: (peer: NodeId) => string): readonly string[];
};

export type NodeIo = Pick<DataIo, 'sign' | 'verify' | 'openTopic' | 'removeTopic' | 'retentionMs' | 'noteAge'> & {
	readonly clock: Clock;
	readonly entropy: Entropy;
	readonly links: Links;
	readonly datagrams: Datagrams;
	readonly peers: PeerFinder;
	readonly raftStore: RaftStore;
	readonly knownTopics: readonly Topic[];
	/** Whether a resignation was signed by the node that it names. @default by its signature */
	readonly isGenuine?: (resignation: Resignation) => boolean;
	/** `undefined` unless the node was started with `--faults`. */
	readonly faults: FaultControl | undefined;
	/** Room on the disk; without it there always is some. `tend` looks, and is called now and then. */
	readonly room?: {readonly isFull: boolean; readonly reason: string; tend(): Promise<void>};
	/** Make durable what must outlive a restart. */
	save(state: KeptState): Promise<void>;
};

export type NodeOptions = {
	readonly id: NodeId;
	/** Raised on disk before this call. */
	readonly incarnation: number;
	/** Its ceiling is on disk. */
	readonly lamport: Lamport;
	readonly clusterId: string;
	/** Topics of the node itself, from its last life and its settings. */
	readonly topics: readonly Topic[];
	/** What it knew of its cluster, for as long as its own log does not name it. */
	readonly former?: Pick<KeptState, 'members' | 'since' | 'left'> & {readonly mustJoin?: boolean};
	/** How a node that is no member may found a cluster; `undefined`: it may only join one. */
	readonly founding?:
		{readonly seeds: readonly string[]; readonly expect: number; readonly seekMs: number} | undefined;
	/** Of former nodes whose data folder was lost, and which this node replaces. */
	readonly resignations?: readonly Resignation[];
	readonly config: Config;
	readonly address: string;
	readonly version: string;
	/** The newest version of the protocol that this program speaks. */
	readonly protocolMax: number;
	/** Drawn by each process at its start, 16 hexadecimal digits. */
	readonly instance: string;
	readonly name: WantedName;
	/** Bounds of Raft, where they shall be hit sooner than in life. @default those of the machine */
	readonly raftLimits?: Partial<RaftLimits>;
	readonly io: NodeIo;
};
