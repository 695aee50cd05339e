/**
The connection between a follower program and a node: ordered frames, a bounded queue, and a close. The node's side runs
in the node's process and stands still while that process is paused. The program's side is another machine.
*/
import type {Node} from '../../../core/node/node.ts';
import type {Pipe} from '../../../core/remote/pipe.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import type {Host} from './host/host.ts';

type Side = {readonly pipe: Pipe; queued: number; isPaused: boolean; backlog: Buffer[]};

const frameBytesMax = 16 * 1024 * 1024;
/** The longest time until one end notices that the other end is gone. */
const halfOpenMs = 3000;

export class FollowerLink {
	readonly host: Host;
	readonly node: Node;
	readonly client: Pipe;
	readonly server: Pipe;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #queueBytesMax: number;
	readonly #sides: Readonly<Record<'client' | 'server', Side>>;
	readonly #lastMs = {client: 0, server: 0};
	#isCut = false;
	#isClosed = {client: false, server: false};

	constructor(host: Host, node: Node, schedule: Schedule, random: SeededRandom) {
		this.host = host;
		this.node = node;
		this.#schedule = schedule;
		this.#random = random;
		this.#queueBytesMax = random.pick([2000, 50_000, 1_000_000]);
		this.#sides = {client: this.#side('client'), server: this.#side('server')};
		this.client = this.#sides.client.pipe;
		this.server = this.#sides.server.pipe;
	}

	/** Whether the process that serves the connection still runs. */
	get isServed(): boolean {
		return this.host.node === this.node && !this.#isCut;
	}

	/** Cut the connection: frames in transit are lost, and the node notices the loss later. */
	lose(why: string): void {
		if (this.#isCut) return;
		this.#isCut = true;
		this.#end('client', why);
		this.#schedule.after(this.#random.below(halfOpenMs), () => this.#at('server', () => this.#end('server', why)));
	}

	#side(name: 'client' | 'server'): Side {
		const other = name === 'client' ? 'server' : 'client';
		const side: Side = {
			queued: 0,
			isPaused: false,
			backlog: [],
			pipe: {
				frameBytesMax,
				room: () => (this.#isClosed[name] ? 0 : Math.max(0, this.#queueBytesMax - side.queued)),
				onDrain() {},
				send: pieces => {
					if (this.#isClosed[name] || side.queued >= this.#queueBytesMax) return false;
					const frame = Buffer.concat(pieces);
					side.queued += frame.length;
					this.#later(other, () => {
						this.#take(other, frame);
						side.queued -= frame.length;
						this.#at(name, () => side.pipe.onDrain());
					});
					return true;
				},
				pause() {
					side.isPaused = true;
				},
				resume: () => {
					side.isPaused = false;
					for (
						let frame = side.backlog.shift();
						frame;
						frame = side.isPaused ? undefined : side.backlog.shift()
					)
						side.pipe.onFrame(frame);
				},
				onFrame() {},
				onClose() {},
				close: why => {
					this.#end(name, why);
					this.#later(other, () => this.#at(other, () => this.#end(other, why)));
				},
			},
		};
		return side;
	}

	#take(name: 'client' | 'server', frame: Buffer): void {
		const side = this.#sides[name];
		this.#at(name, () => {
			if (this.#isClosed[name]) return;
			if (side.isPaused || side.backlog.length > 0) side.backlog.push(frame);
			else side.pipe.onFrame(frame);
		});
	}

	#end(name: 'client' | 'server', why: string): void {
		if (this.#isClosed[name]) return;
		this.#isClosed[name] = true;
		this.#sides[name].pipe.onClose(why);
	}

	/** Run the work after everything that was sent before. */
	#later(name: 'client' | 'server', work: () => void): void {
		const atMs = Math.max(this.#lastMs[name], this.#schedule.nowMs + this.#random.between(1, 20));
		this.#lastMs[name] = atMs;
		this.#schedule.after(atMs - this.#schedule.nowMs, () => {
			if (!this.#isCut) work();
		});
	}

	/** Run the work in the process of that side, unless that process has ended. */
	#at(name: 'client' | 'server', work: () => void): void {
		if (name === 'client') work();
		else if (this.host.node === this.node) this.host.run(work);
	}
}
