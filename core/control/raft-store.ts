/**
The store of Raft's log and snapshots. Entries and hard state share one log, so that one fsync makes a whole turn
durable. Snapshots are files of their own; a mark in the log says which one counts. Segments without an entry after the
snapshot are deleted.
*/
import {decodeContext, decodeEnvelope} from '../cluster-state/command.ts';
import {decode, encode} from '../codec.ts';
import {DamagedError} from '../errors.ts';
import type {NodeId} from '../message.ts';
import type {Log} from '../ports.ts';
import {configurationVersion, decodeConfigurationData, parseConfiguration} from '../raft/configuration.ts';
import type {Entry, HardState, Recovered} from '../raft/raft.ts';
import {decodeRecord, encodeEntry, encodeMark, encodeState, Recovery} from '../raft/records.ts';
import type {Snapshot} from '../raft/snapshot.ts';
import {protocolMax} from '../version.ts';
import {problemOfSnapshot} from './snapshot-check.ts';

/** Whole files, written atomically and checked when read. */
export type Blobs = {
	write(name: string, bytes: Uint8Array): Promise<void>;
	/** `undefined` when there is none. @throws {DamagedError} */
	read(name: string): Promise<Uint8Array | undefined>;
	list(): Promise<readonly string[]>;
	unlink(name: string): Promise<void>;
};

const readBytes = 1024 * 1024;

export class RaftStore implements AsyncDisposable {
	#recovered: Recovered;
	readonly #log: Log;
	readonly #blobs: Blobs;
	#state: HardState;
	/** Positions in the log of the entries that may still be needed, oldest first. */
	#positions: Array<{readonly index: number; readonly position: number}>;

	constructor(
		log: Log,
		blobs: Blobs,
		recovered: Recovered,
		positions: Array<{readonly index: number; readonly position: number}>,
	) {
		this.#log = log;
		this.#blobs = blobs;
		this.#recovered = recovered;
		this.#state = recovered.hardState;
		this.#positions = positions;
	}

	/** Recover the log and its snapshot. @throws {DamagedError} when one of them is damaged */
	static async open(log: Log, blobs: Blobs): Promise<RaftStore> {
		const recovery = new Recovery();
		const positions: Array<{readonly index: number; readonly position: number}> = [];
		for (let at = log.first; at < log.end;) {
			const {records, next} = await log.read(at, readBytes);
			for (const {position, bytes} of records) {
				const record = decodeRecord(bytes);
				recovery.add(record);
				if (record?.type === 'entry') positions.push({index: record.entry.index, position});
			}

			at = next;
		}

		const snapshot = recovery.mark.index === 0 ? undefined : await readSnapshot(blobs, recovery.mark.index);
		const entries = recovery.entriesAfter({index: snapshot?.index ?? 0, term: snapshot?.term ?? 0});
		if (recovery.problem) throw new DamagedError(`the Raft log is damaged: ${recovery.problem}`);
		return new RaftStore(log, blobs, {hardState: recovery.state, snapshot, entries}, positions);
	}

	/** The state that a Raft machine starts from: the recovered one, or the entry that founded a cluster since. */
	get recovered(): Recovered {
		return this.#recovered;
	}

	/** Found a cluster: the first entry has this node as the only voter. Only for an empty store. */
	async found(entry: Entry, node: NodeId): Promise<void> {
		await this.append({term: 1, vote: node, commit: 1}, [entry]);
		this.#recovered = {hardState: this.#state, snapshot: undefined, entries: [entry]};
	}

	/**
	Start a new cluster from this state, with this node as the only voter. The mark of the snapshot replaces the log.
	The vote of this node is its own, so no vote in that term is broken.
	*/
	async forceNewCluster(snapshot: Snapshot, node: NodeId): Promise<void> {
		this.#state = {term: snapshot.term, vote: node, commit: snapshot.index};
		await this.saveSnapshot(snapshot, 'installed');
	}

	/** Resolves with the first error of the disk. */
	get failed(): Promise<Error> {
		return this.#log.failed;
	}

	get isEmpty(): boolean {
		return this.#recovered.entries.length === 0 && this.#recovered.snapshot === undefined;
	}

	/** Resolves when the state and the entries are on disk. */
	async append(state: HardState | undefined, entries: readonly Entry[]): Promise<void> {
		const records = entries.map(entry => encodeEntry(entry));
		if (state) {
			this.#state = state;
			records.push(encodeState(state));
		}

		const {positions, synced} = this.#log.append(records, {sync: true});
		for (const [at, {index}] of entries.entries()) this.#positions.push({index, position: positions[at]!});
		await synced;
	}

	/**
	Write a snapshot and its mark. `installed`: from the leader, the log restarts after it. `taken`: of the own state,
	the log before it may be deleted.
	*/
	async saveSnapshot(snapshot: Snapshot, origin: 'installed' | 'taken'): Promise<void> {
		await this.#blobs.write(nameOf(snapshot.index), encode(snapshot));
		const {positions, synced} = this.#log.append(
			[encodeMark(snapshot, origin === 'installed'), encodeState(this.#state)],
			{sync: true},
		);
		await synced;
		if (origin === 'installed') this.#positions = [];
		this.#positions = this.#positions.filter(({index}) => index > snapshot.index);
		const keep = this.#positions.reduce((least, {position}) => Math.min(least, position), positions[0]!);
		await this.#log.dropBefore(keep);
		for (const name of await this.#blobs.list()) {
			if (name.startsWith('snapshot-') && name !== nameOf(snapshot.index)) await this.#blobs.unlink(name);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#log[Symbol.asyncDispose]();
	}
}

/**
The part of an intact record that needs a newer program, for people; `undefined` if this program can read all of it.
*/
export function newerInRaftRecord(bytes: Uint8Array): string | undefined {
	const record = decodeRecord(bytes);
	if (!record) return `a record of kind ${[...bytes.subarray(0, 2)].join('.')}, which this program does not know`;
	if (record.type !== 'entry') return undefined;
	const {kind, data} = record.entry;
	if (kind === 'configuration' && data[0] !== undefined && data[0] > configurationVersion)
		return `a configuration of format ${data[0]}, this program reads up to ${configurationVersion}`;
	const protocol =
		kind === 'command'
			? protocolOfCommand(data)
			: kind === 'configuration'
				? protocolOfConfiguration(data)
				: undefined;
	return protocol !== undefined && protocol > protocolMax
		? `its cluster uses protocol ${protocol}, this program speaks up to ${protocolMax}`
		: undefined;
}

function protocolOfCommand(data: Uint8Array): number | undefined {
	const command = decodeEnvelope(data)?.command;
	return command?.type === 'protocol' ? command.protocol : undefined;
}

function protocolOfConfiguration(data: Uint8Array): number | undefined {
	const decoded = decodeConfigurationData(data);
	return decoded && decodeContext(decoded.context).protocol;
}

function nameOf(index: number): string {
	return `snapshot-${String(index).padStart(16, '0')}`;
}

/** The index in the file name of a snapshot; `undefined` for other names. */
export function snapshotIndexOf(name: string): number | undefined {
	const digits = /^snapshot-(\d{16})$/.exec(name)?.[1];
	return digits === undefined ? undefined : Number(digits);
}

/** @throws {DamagedError} */
export async function readSnapshot(blobs: Blobs, index: number): Promise<Snapshot> {
	const bytes = await blobs.read(nameOf(index));
	const value =
		bytes &&
		(decode(bytes) as
			| {
					readonly index?: unknown;
					readonly term?: unknown;
					readonly configuration?: unknown;
					readonly data?: unknown;
			  }
			| undefined);
	const configuration = parseConfiguration(value?.configuration);
	if (
		!value ||
		value.index !== index ||
		typeof value.term !== 'number' ||
		!configuration ||
		!(value.data instanceof Uint8Array)
	) {
		throw new DamagedError(`the snapshot at ${index} is missing or damaged`);
	}

	const {term, data} = value;
	const problem = problemOfSnapshot({index, configuration, data});
	if (problem !== undefined) throw new DamagedError(`the snapshot at ${index} holds no valid state: ${problem}`);
	return {index, term, configuration, data};
}
