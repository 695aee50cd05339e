/** The options of a `Data` without peers, with a log per topic in memory unless given. */
import {defaults} from '../../core/config.ts';
import type {DataHooks, DataIo, DataOptions} from '../../core/data/data.ts';
import type {Proofs} from '../../core/data/proofs.ts';
import {systemClock, systemEntropy} from '../../core/io/clock.ts';
import {MemoryLog} from '../../core/io/log/memory-log.ts';
import {Lamport} from '../../core/lamport.ts';
import type {NodeId} from '../../core/message.ts';
import {openTopicLog} from '../../core/topic-log/topic-log.ts';

/** Message signing is switched off. */
export const noProofs: Proofs = {
	isRequired: false,
	isLinkProof: true,
	addMac: () => undefined,
	hasMac: () => false,
	sign: () => undefined,
	isSigned: () => false,
};

type Given = Partial<Omit<DataOptions, 'io' | 'hooks'>> & {
	readonly self: NodeId;
	readonly io?: Partial<DataIo>;
	readonly hooks: Partial<DataHooks> & Pick<DataHooks, 'failed'>;
};

export function dataOptions({io, hooks, ...given}: Given): DataOptions {
	return {
		incarnation: 1,
		lamport: new Lamport(0, 2 ** 20),
		tickMs: 25,
		config: {...defaults, data: '', secret: Buffer.alloc(32)},
		stampable: () => undefined,
		agreedProofs: {areSigned: () => true, hasMacs: () => false},
		...given,
		io: {
			clock: systemClock,
			random: systemEntropy,
			proofs: noProofs,
			hasRoom: () => true,
			queuedBytes: () => 0,
			sendPush: () => true,
			sendControl: () => undefined,
			retentionMs: () => systemClock.wallMs(),
			noteAge: () => undefined,
			removeTopic: async () => undefined,
			openTopic: async (_topic, onHeader) => openTopicLog(new MemoryLog({segmentBytes: 1000}), onHeader),
			...io,
		},
		hooks: {
			rejected: () => undefined,
			delivered: () => undefined,
			missed: () => undefined,
			refilled: () => undefined,
			synced: () => undefined,
			deleted: () => undefined,
			bound: () => undefined,
			...hooks,
		},
	};
}
