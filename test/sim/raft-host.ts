/**
A host that runs Raft: the machine, a pump like the node's, a simulated disk with real records, and a state machine
whose state is a hash of everything applied. Packets pass the real codec and parser.
*/
import {decode, encode} from '../../core/codec.ts';
import type {NodeId} from '../../core/message.ts';
import type {Outbound} from '../../core/machine.ts';
import {encodeConfigurationData, parseConfiguration, type Configuration} from '../../core/raft/configuration.ts';
import {parseRaftPacket, type RaftPacket} from '../../core/raft/packet.ts';
import type {RaftLimits} from '../../core/raft/leader.ts';
import {createRaft, type Entry, type Raft, type RaftReady} from '../../core/raft/raft.ts';
import {decodeRecord, encodeEntry, encodeMark, encodeState, Recovery} from '../../core/raft/records.ts';
import type {Snapshot} from '../../core/raft/snapshot.ts';
import {RecordDisk} from './record-disk.ts';
import {ShadowLog, type RaftChecks, type ObservedNode} from './raft-checks.ts';
import {hash32, type SeededRandom} from './random.ts';
import type {Host, World} from './world.ts';

export type RaftHostOptions = {
	readonly id: NodeId;
	readonly world: World;
	readonly checks: RaftChecks;
	readonly syncMs: readonly [number, number];
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	/** Entries applied between snapshots; 0 for no snapshots. */
	readonly snapshotEntries: number;
	/** Bytes added to each snapshot. */
	readonly snapshotPadding: number;
	readonly limits: Partial<RaftLimits>;
};

const blob = 0xff;

export class RaftHost implements Host, ObservedNode {
	readonly id: NodeId;
	readonly key: string;
	written = new ShadowLog();
	synced = new ShadowLog();
	raft: Raft | undefined;
	applied = 0;
	state = 0;
	isTouched = false;
	snapshotsTaken = 0;
	snapshotsInstalled = 0;
	readonly #options: RaftHostOptions;
	readonly #disk: RecordDisk;
	readonly #random: SeededRandom;
	#isWriting = false;
	#snapshotIndex = 0;
	#boots = 0;

	constructor(options: RaftHostOptions) {
		this.#options = options;
		this.key = options.id;
		this.id = options.id;
		this.#random = options.world.random.child(`raft/${options.id}`);
		this.#disk = new RecordDisk({
			schedule: options.world.schedule,
			random: this.#random.child('disk'),
			syncMs: options.syncMs,
		});
		options.checks.watch(this);
	}

	/** Before the first boot: put the first entry of a cluster on the disk of a voter. */
	found(configuration: Configuration): void {
		const entry: Entry = {
			term: 1,
			index: 1,
			kind: 'configuration',
			data: encodeConfigurationData(configuration, new Uint8Array(0)),
		};
		this.#disk.append([encodeEntry(entry), encodeState({term: 1, vote: undefined, commit: 1})], () => undefined);
		this.#options.world.schedule.run(1000);
	}

	boot(): void {
		const {checks, electionTicks, heartbeatTicks, limits} = this.#options;
		const recovery = new Recovery();
		const blobs = new Map<number, Snapshot>();
		for (const item of this.#disk.items) {
			if (item[0] === blob) {
				const snapshot = snapshotIn(item.subarray(1));
				blobs.set(snapshot.index, snapshot);
			} else recovery.add(decodeRecord(item));
		}

		const snapshot = blobs.get(recovery.mark.index);
		if (recovery.mark.index > 0 && !snapshot)
			throw new Error(`recovery: ${this.id} has no snapshot at ${recovery.mark.index}`);
		const entries = recovery.entriesAfter(recovery.mark);
		if (recovery.problem) throw new Error(`recovery: ${this.id}: ${recovery.problem}`);
		// A later write that was kept may have replaced synced entries, but never committed ones, nor the term.
		const recovered = new ShadowLog();
		recovered.write({snapshot, entries, hardState: recovery.state});
		const {
			state: {term, commit},
		} = this.synced;
		const committedTerm = this.synced.termAt(commit);
		if (recovery.state.term < term)
			throw new Error(`recovery: ${this.id} reads term ${recovery.state.term}, and had synced ${term}`);
		if (committedTerm !== undefined && !recovered.holds(commit, committedTerm))
			throw new Error(`recovery: ${this.id} lost ${commit}, which was committed and synced`);
		this.written = recovered;
		this.synced = new ShadowLog();
		this.synced.write({snapshot, entries, hardState: recovery.state});
		this.applied = 0;
		this.state = 0;
		this.#snapshotIndex = 0;
		if (snapshot) this.#restore(snapshot);
		this.#isWriting = false;
		this.raft = createRaft({
			id: this.id,
			group: 0,
			electionTicks,
			heartbeatTicks,
			limits,
			random: this.#random.child(`timeouts/${++this.#boots}`),
			recovered: {hardState: recovery.state, snapshot, entries},
		});
		checks.booted(this, this.raft.status());
		this.pump();
	}

	crash(): void {
		this.raft = undefined;
		this.#disk.crash();
	}

	tick(): void {
		this.raft?.tick();
		this.pump();
	}

	deliver(from: string, bytes: Uint8Array): void {
		const packet = parseRaftPacket(decode(bytes));
		if (!packet) throw new Error('codec: a packet that a node sends cannot be parsed');
		if (!this.raft) return;
		const before = packet.type === 'vote' ? this.raft.status() : undefined;
		this.raft.step(from as NodeId, packet);
		if (before) this.#options.checks.stepped(this, packet, before, this.raft.status());
		this.pump();
	}

	pump(): void {
		this.isTouched = true;
		while (!this.#isWriting) {
			const ready = this.raft?.ready();
			if (!ready) return;
			this.#persistAndSend(ready);
		}
	}

	#persistAndSend(ready: RaftReady): void {
		const {checks, world} = this.#options;
		checks.ready(this, ready, this.raft!.status());
		this.#send(ready.packetsBeforePersist);
		const items: Uint8Array[] = [];
		if (ready.snapshot) items.push(blobOf(ready.snapshot), encodeMark(ready.snapshot, true));
		for (const entry of ready.entries) items.push(encodeEntry(entry));
		if (ready.hardState) items.push(encodeState(ready.hardState));
		if (items.length === 0) return this.#finish(ready);
		this.#isWriting = true;
		this.written.write(ready);
		this.#disk.append(items, () => {
			this.synced.write(ready);
			world.onHost(this.id, () => {
				this.#isWriting = false;
				this.#finish(ready);
				this.pump();
			});
		});
	}

	#finish(ready: RaftReady): void {
		const {checks, snapshotEntries} = this.#options;
		const raft = this.raft!;
		this.#send(ready.packets);
		if (ready.snapshot) {
			this.snapshotsInstalled++;
			this.#restore(ready.snapshot);
		}

		for (const entry of ready.committed) {
			this.state = hash32(`${entry.kind} ${Buffer.from(entry.data).toString('latin1')}`, this.state);
			this.applied = entry.index;
			checks.applied(this, entry, this.state, raft.status());
		}

		raft.advance(ready);
		for (const {context, index} of ready.reads) checks.readServed(this, context, index);
		if (snapshotEntries > 0 && this.applied - this.#snapshotIndex >= snapshotEntries) this.#compact();
	}

	#compact(): void {
		const {snapshotPadding} = this.#options;
		const snapshot = this.raft!.compact(
			this.applied,
			encode({
				state: this.state,
				padding: Buffer.alloc(snapshotPadding, `${this.state} of ${this.applied};`),
				check: this.state,
			}),
		);
		if (!snapshot) return; // A newer one was installed meanwhile; it is about to be restored.
		this.snapshotsTaken++;
		this.#snapshotIndex = snapshot.index;
		this.#isWriting = true;
		this.#disk.append([blobOf(snapshot), encodeMark(snapshot, false), encodeState(this.synced.state)], () => {
			this.written.compact(snapshot.index);
			this.synced.compact(snapshot.index);
			this.#disk.drop(this.#random.between(0, this.#droppable(snapshot.index)));
			this.#options.world.onHost(this.id, () => {
				this.#isWriting = false;
				this.pump();
			});
		});
	}

	/** The number of items before the snapshot and before every later entry. */
	#droppable(index: number): number {
		const at = this.#disk.items.findIndex(item => {
			if (item[0] === blob) return snapshotIn(item.subarray(1)).index >= index;
			const record = decodeRecord(item);
			return record?.type === 'entry' && record.entry.index > index;
		});
		return Math.max(0, at);
	}

	#restore(snapshot: Snapshot): void {
		const {state, padding, check} = decode(snapshot.data) as {state: number; padding: Uint8Array; check: number};
		if (check !== state || !Buffer.alloc(padding.length, `${state} of ${snapshot.index};`).equals(padding))
			throw new Error(`snapshot: ${this.id} assembled ${snapshot.index} wrongly`);
		this.state = state;
		this.applied = snapshot.index;
		this.#snapshotIndex = snapshot.index;
		this.#options.checks.state(this, snapshot.index, state);
	}

	#send(packets: ReadonlyArray<Outbound<RaftPacket>>): void {
		for (const {to, packet} of packets) {
			this.#options.checks.sent(this, to, packet);
			this.#options.world.network.send(this.id, to, encode(packet));
		}
	}
}

function blobOf(snapshot: Snapshot): Uint8Array {
	return Buffer.concat([Buffer.of(blob), encode(snapshot)]);
}

function snapshotIn(bytes: Uint8Array): Snapshot {
	const {index, term, configuration, data} = decode(bytes) as {
		index: number;
		term: number;
		configuration: unknown;
		data: Uint8Array;
	};
	return {index, term, configuration: parseConfiguration(configuration)!, data};
}
