/**
Reads the intact part of a damaged Raft log: the cluster id, the members and their addresses, and the subscriptions.
This state is no longer agreed. It only helps the node to find its cluster again, which then provides the agreed state.
*/
import {ClusterState} from '../cluster-state/cluster-state.ts';
import {readSnapshot, snapshotIndexOf, type Blobs} from '../control/raft-store.ts';
import type {Log} from '../ports.ts';
import {decodeConfigurationData} from '../raft/configuration.ts';
import type {Entry} from '../raft/packet.ts';
import {decodeRecord} from '../raft/records.ts';

const readBytes = 1024 * 1024;

/**
Reads all intact records and snapshots, and skips the others.
@throws errors of the disk
*/
export async function salvage(log: Log, blobs: Blobs): Promise<ClusterState> {
	const topics = new ClusterState({topicsMax: Infinity, membersMax: Infinity});
	const stored = (await blobs.list()).flatMap(name => snapshotIndexOf(name) ?? []).toSorted((a, b) => a - b);
	for (const index of stored) {
		const snapshot = await readSnapshot(blobs, index).catch(() => undefined);
		if (snapshot) topics.load(snapshot.data);
	}

	const entries = new Map<number, Entry>();
	for (let at = log.first; at < log.end;) {
		const {records, next} = await log.read(at, readBytes);
		for (const {bytes} of records) {
			const record = decodeRecord(bytes);
			if (record?.type === 'entry') entries.set(record.entry.index, record.entry);
		}

		if (next <= at) break;
		at = next;
	}

	for (const {index, kind, data} of [...entries.values()]
		.filter(entry => entry.index > topics.applied)
		.toSorted((a, b) => a.index - b.index)) {
		if (kind === 'command') topics.apply(index, data);
		if (kind !== 'configuration') continue;
		const decoded = decodeConfigurationData(data);
		if (decoded)
			topics.applyConfiguration(
				index,
				[...decoded.configuration.voters, ...decoded.configuration.learners],
				decoded.context,
			);
	}

	return topics;
}
