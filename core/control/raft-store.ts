/**
Where Raft's log and snapshots lie: entries and hard state share one log, so that one fsync makes a whole turn durable;
snapshots are files of their own, and a mark in the log says which one counts. Segments that hold nothing newer than the
snapshot go.
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
	/** Where each entry that may still be needed lies, oldest first. */
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

	/** Read everything back. @throws {DamagedError} when the log or the snapshot it names is damaged. */
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

	/** What a Raft machine starts from: what was read back, or the entry that founded a cluster since. */
	get recovered(): Recovered {
		return this.#recovered;
	}

	/** Found a cluster of one: its first entry names this node as the only voter. Only on an empty store. */
	async found(entry: Entry, node: NodeId): Promise<void> {
		await this.append({term: 1, vote: node, commit: 1}, [entry]);
		this.#recovered = {hardState: this.#state, snapshot: undefined, entries: [entry]};
	}

	/**
	Begin anew with this state, as its only voter: the mark of the snapshot decides, and there is no vote that it could
	break.
	*/
	async refound(snapshot: Snapshot, node: NodeId): Promise<void> {
		this.#state = {term: snapshot.term, vote: node, commit: snapshot.index};
		await this.saveSnapshot(snapshot, 'installed');
	}

	/** Resolves with the first error of its disk, whoever waited for it. */
	get failed(): Promise<Error> {
		return this.#log.failed;
	}

	get isEmpty(): boolean {
		return this.#recovered.entries.length === 0 && this.#recovered.snapshot === undefined;
	}

	/** Resolves when all of it is on the disk. */
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

	/** `installed`: from the leader, the log goes on behind it. `taken`: of the own state, the log before it may go. */
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

/** What is newer about a record, which is as it was written, than this program; `undefined` when nothing is. */
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

/** The index that the name of a snapshot stands for; `undefined` when it is none. */
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

	return {index, term: value.term, configuration, data: value.data};
}
