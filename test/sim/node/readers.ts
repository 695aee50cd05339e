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
import type {Reader} from '../../../core/reader.ts';
import type {OffsetReader, Offsets} from '../offsets.ts';
import {hash32, type SeededRandom} from '../random.ts';
import type {Host} from './host.ts';

type Program = {readonly host: Host; readonly node: Node; readonly topic: Topic; readonly from: From; readonly seen: OffsetReader; reader: Reader | undefined; room: number; isFull: boolean};

const programsMax = 12;

export class Readers {
	readonly #offsets: Offsets;
	readonly #random: SeededRandom;
	#programs: Program[] = [];
	opened = 0;
	/** Gone by retention before they were read. */
	dropped = 0;

	constructor(offsets: Offsets, random: SeededRandom) {
		this.#offsets = offsets;
		this.#random = random;
	}

	/** One begins, one stops, or those that had enough go on. */
	act(up: readonly Host[]): void {
		this.#forget();
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
			program.reader?.resume();
		}
	}

	/** Who has not got what its log has. `endOf`: the offset behind the newest message, if there is any. */
	behind(endOf: (host: Host, topic: Topic) => number | undefined): string[] {
		this.#forget();
		this.goOn();
		return this.#programs.flatMap(({host, topic, seen, from}) => {
			const end = endOf(host, topic);
			const isThere = end === undefined || seen.next === end || (seen.next === undefined && from === 'now');
			return isThere ? [] : [`a reader at ${host.id} of ${topic} from ${from} is at ${seen.next}, the log at ${end}`];
		});
	}

	#open(hosts: readonly Host[]): void {
		const random = this.#random;
		const host = hosts[random.below(Math.max(1, hosts.length))];
		const node = host?.node;
		const topics = [...node?.data.topics.keys() ?? []];
		if (!host || !node || node.phase !== 'running' || topics.length === 0 || this.#programs.length >= programsMax) return;
		const topic = random.pick(topics);
		const place = {node: host.id, topic};
		const end = this.#offsets.end(place);
		const from: From = random.pick(['now', 'beginning', end, random.below(end + 1)]);
		const program: Program = {host, node, topic, from, seen: this.#offsets.reader(place, typeof from === 'number' ? from : undefined), reader: undefined, room: random.pick([1, 10, 200]), isFull: false};
		this.#programs.push(program);
		this.opened++;
		void node.data.read(topic, from, {
			take: items => this.#take(program, items),
			dropped: messages => {
				this.dropped += messages;
				program.seen.dropped(messages);
			},
			failed: error => {
				// A disk that fails takes its node down; whoever reads then hears of it first.
				if (this.#isOn(program) && (error as Partial<DapssError>).code !== 'storage') this.#offsets.problem ??= new Error(`a log can be read: ${host.id} ${topic} from ${from}: ${error.message}`);
			},
		}).then(reader => {
			program.reader = reader;
			if (!this.#programs.includes(program)) node.data.stopReading(topic, reader);
		}, () => undefined);
	}

	#take(program: Program, items: readonly StoredBatch[]): boolean {
		if (!this.#isOn(program)) return false;
		const {from, seen} = program;
		for (const item of items) {
			for (const {offset, origin, incarnation, seq, body} of deliveriesOf(item, typeof from === 'number' ? from : 0)) {
				seen.take({offset, origin, incarnation, seq, digest: hash32(Buffer.from(body).toString('latin1'))});
				program.room--;
			}
		}

		program.isFull = program.room <= 0;
		return !program.isFull;
	}

	#close(program: Program): void {
		this.#programs = this.#programs.filter(other => other !== program);
		if (program.reader) program.node.data.stopReading(program.topic, program.reader);
	}

	/** A program ends with the process of its node. */
	#forget(): void {
		this.#programs = this.#programs.filter(program => this.#isOn(program));
	}

	#isOn({host, node}: Program): boolean {
		return host.node === node && node.phase === 'running';
	}
}
