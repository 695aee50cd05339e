/**
Programs that read topics through the nodes of a simulated cluster: from now, from the beginning, or from the offset where an earlier one
stopped; slowly, so that they fall behind the log and catch up; over restarts. What they get is judged by `offsets.ts`. They draw from
a chance of their own and do nothing but read, so that a run is the same with and without them.
*/
import type {From} from '../../../core/api.ts';
import {deliveriesOf, type StoredBatch} from '../../../core/delivery.ts';
import type {Node} from '../../../core/broker.ts';
import type {DapssError} from '../../../core/errors.ts';
import type {Topic} from '../../../core/message.ts';
import type {BatchSink, Reader} from '../../../core/reader.ts';
import type {BatchReading} from '../../../core/remote/server.ts';
import type {OffsetReader, Offsets} from '../offsets.ts';
import {hash32, type SeededRandom} from '../random.ts';
import type {Host} from './host.ts';
import type {Witness} from './witness.ts';

type Program = {readonly host: Host; readonly node: Node; readonly topic: Topic; readonly from: From; readonly seen: OffsetReader; reading: BatchReading | undefined; room: number; isFull: boolean};

/** A node said that these messages are gone. */
type Claim = {readonly program: Program; readonly to: number; age: number};

const programsMax = 12;
/** A program counts messages, not bytes. */
const roomBytes = 1024 * 1024;
/** Calls of `act` (some seconds) within which a log shows that it has dropped what a reader was told of. */
const claimAgeMax = 60;

export class Readers {
	readonly #witness: Witness;
	readonly #offsets: Offsets;
	readonly #random: SeededRandom;
	readonly #subscribes: boolean;
	#programs: Program[] = [];
	#claims: Claim[] = [];
	opened = 0;
	/** Gone by retention before they were read. */
	dropped = 0;

	/** @param subscribes whether a node is subscribed while somebody reads; else only what it has anyway is read. */
	constructor(witness: Witness, random: SeededRandom, subscribes: boolean) {
		this.#subscribes = subscribes;
		this.#witness = witness;
		this.#offsets = witness.messages.offsets;
		this.#random = random;
	}

	/** One begins, one stops, or those that had enough go on. */
	act(up: readonly Host[]): void {
		this.#forget();
		this.#judgeClaims();
		const random = this.#random;
		const [what, which] = [random.below(6), random.below(1 << 16)];
		if (what === 0) this.#open(up.filter(({isPaused}) => !isPaused));
		else if (what === 1 && this.#programs.length > 0) this.#close(this.#programs[which % this.#programs.length]!);
		else if (what < 4) this.goOn();
	}

	/** Those that had enough take more. */
	goOn(): void {
		for (const program of this.#programs) {
			if (!program.isFull || program.host.isPaused) continue;
			program.isFull = false;
			program.room = this.#random.pick([1, 10, 200]);
			program.reading?.resume();
		}
	}

	/** Who has not got what its log has. */
	behind(): string[] {
		this.#forget();
		this.goOn();
		return this.#programs.flatMap(({host, topic, seen, from}) => {
			const log = this.#witness.logs.get(host)?.get(topic);
			const isThere = !log || seen.next === log.nextOffset || (seen.next === undefined && (from === 'now' || log.messages === 0));
			return isThere ? [] : [`a reader at ${host.id} of ${topic} from ${from} is at ${seen.next}, the log at ${log.nextOffset}`];
		});
	}

	#open(hosts: readonly Host[]): void {
		const random = this.#random;
		const host = hosts[random.below(Math.max(1, hosts.length))];
		const node = host?.node;
		const topics = [...node?.data.topics.keys() ?? []];
		if (!host || !node || node.phase !== 'running' || topics.length === 0 || this.#programs.length >= programsMax) return;
		const topic = random.pick(topics);
		const place = {node: host.key, topic};
		const end = this.#offsets.end(place);
		const from: From = random.pick(['now', 'beginning', end, random.below(end + 1)]);
		const program: Program = {host, node, topic, from, seen: this.#offsets.reader(place, typeof from === 'number' ? from : undefined), reading: undefined, room: random.pick([1, 10, 200]), isFull: false};
		this.#programs.push(program);
		this.opened++;
		const sink: BatchSink = {
			room: () => (program.isFull || !this.#isOn(program) ? 0 : roomBytes),
			take: items => this.#take(program, items),
			dropped: messages => {
				this.dropped += messages;
				program.seen.dropped(messages);
				this.#claims.push({program, to: program.seen.next ?? 0, age: 0});
			},
			failed: error => {
				// A disk that fails takes its node down; whoever reads then hears of it first.
				if (this.#isOn(program) && (error as Partial<DapssError>).code !== 'storage') this.#offsets.problem ??= new Error(`a log can be read: ${host.id} ${topic} from ${from}: ${error.message}`);
			},
		};
		program.reading = this.#subscribes ? node.readBatches([topic], from, sink) : readLog(node, topic, from, sink);
		program.reading.agreed.catch(() => void (this.#programs = this.#programs.filter(other => other !== program)));
	}

	/** What it has no room for is left to the log, in the middle of what it is handed too. */
	#take(program: Program, items: readonly StoredBatch[]): number {
		if (!this.#isOn(program)) return 0;
		const {from, seen} = program;
		let taken = 0;
		for (const item of items) {
			if (program.room <= 0) break;
			taken++;
			for (const {offset, origin, incarnation, seq, body} of deliveriesOf(item, typeof from === 'number' ? from : 0)) {
				seen.take({offset, origin, incarnation, seq, digest: hash32(Buffer.from(body).toString('latin1'))});
				program.room--;
			}
		}

		program.isFull = program.room <= 0;
		return taken;
	}

	#close(program: Program): void {
		this.#programs = this.#programs.filter(other => other !== program);
		void program.reading?.close();
	}

	/** Only what retention or damage took is gone. */
	#judgeClaims(): void {
		this.#claims = this.#claims.filter(claim => {
			const {program: {host, topic}, to} = claim;
			if (!this.#isOn(claim.program) || this.#witness.messages.isSpoilt(host)) return false;
			const {firstOffset} = this.#witness.logs.get(host)!.get(topic)!;
			if (firstOffset >= to) return false;
			if (host.isPaused) claim.age = 0;
			else if (++claim.age > claimAgeMax) this.#offsets.problem ??= new Error(`only what is gone is told as gone: ${host.id} ${topic} up to ${to}, the log begins at ${firstOffset}`);
			return true;
		});
	}

	/** A program ends with the process of its node. */
	#forget(): void {
		this.#programs = this.#programs.filter(program => this.#isOn(program));
	}

	#isOn({host, node}: Program): boolean {
		return host.node === node && node.phase === 'running';
	}
}

/** Read what the node has of a topic, whether it is subscribed or not. */
function readLog({data}: Node, topic: Topic, from: From, sink: BatchSink): BatchReading {
	let isClosed = false;
	const reader = data.read(topic, from, sink);
	let opened: Reader | undefined;
	return {
		agreed: reader.then(done => {
			opened = done;
			if (isClosed) data.stopReading(topic, done);
		}),
		resume: () => opened?.resume(),
		async close() {
			isClosed = true;
			if (opened) data.stopReading(topic, opened);
		},
	};
}
