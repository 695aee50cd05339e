/**
The clients of a run. They publish, subscribe and read through any node, and start and stop the programs that read
topics. One member is faulty, and some nodes are killed during a snapshot or retention.
*/
import type {Topic} from '../../../core/message.ts';
import {createRandom, type SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import type {DuplicateProcessChecks} from './checks/duplicate-process-checks.ts';
import {forgedRelayFrame} from './checks/relay-checks.ts';
import type {Fabric} from './fabric.ts';
import type {Followers} from './followers.ts';
import {forgedStampFrame} from './forged-stamps.ts';
import type {Host} from './host/host.ts';
import type {Observer} from './observer/observer.ts';
import type {Readers} from './readers.ts';

export type ClientOptions = {
	readonly seed: number;
	readonly schedule: Schedule;
	readonly fabric: Fabric;
	readonly observer: Observer;
	readonly duplicates: DuplicateProcessChecks;
	readonly readers: Readers;
	readonly followers: Followers;
	readonly topics: readonly Topic[];
	readonly hosts: readonly Host[];
	/** Hosts whose process runs. */
	readonly up: () => readonly Host[];
};

export class Clients {
	/** Messages that were published, acknowledged or not. */
	published = 0;
	readonly #options: ClientOptions;
	#isOver = false;

	constructor(options: ClientOptions) {
		this.#options = options;
	}

	start(): void {
		const {seed, observer} = this.#options;
		this.#work(createRandom(`${seed}/clients`));
		this.#actAsFaultyMember(createRandom(`${seed}/poison`));
		const random = createRandom(`${seed}/upkeep`);
		observer.onMaintenance = host => this.#interruptMaintenance(host, random);
	}

	/** Do nothing new from now on. */
	end(): void {
		this.#isOver = true;
	}

	#work(random: SeededRandom): void {
		const {schedule, topics, readers, followers} = this.#options;
		schedule.after(random.between(1, 150), () => {
			if (this.#isOver) return;
			this.#work(random);
			const [who, what, topic, bytes, of] = [
				random.below(1 << 16),
				random.below(20),
				random.pick(topics),
				random.chance(1, 30) ? 5000 : random.below(60),
				random.below(1 << 16),
			];
			const up = this.#options.up();
			readers.act(up);
			followers.act();
			const host = up[who % Math.max(1, up.length)];
			if (!host?.node || (host.isPaused && what < 14) || host.node.phase !== 'running') return;
			if (what < 11) this.#publish(host, topic, bytes);
			else if (what < 13) host.node.subscribeNode(topic).catch(() => undefined);
			else if (what === 13) host.node.unsubscribeNode(topic).catch(() => undefined);
			else void this.#options.observer.operations.read(host, topic, up[of % up.length]!.id);
		});
	}

	#publish(host: Host, topic: Topic, bytes: number): void {
		const {observer, duplicates} = this.#options;
		const count = 1 + (this.published % 3);
		this.published += count;
		const bodies = Array.from({length: count}, (_, index) => Buffer.alloc(bytes, `${this.published}.${index}`));
		const node = host.node!;
		observer
			.published(host, () => node.publish(topic, bodies))
			.then(
				published => {
					observer.messages.acknowledge(host, published);
					duplicates.acknowledge(host, published);
				},
				() => undefined,
			);
	}

	/** A faulty member: at random, it sends a stamp that is far ahead, and a forged relay frame. */
	#actAsFaultyMember(random: SeededRandom): void {
		const {seed, schedule, fabric, hosts, topics} = this.#options;
		schedule.after(random.between(1, 10_000), () => {
			if (this.#isOver) return;
			this.#actAsFaultyMember(random);
			const [from, to] = random.shuffle(this.#options.up());
			if (!from?.node || !to || fabric.isCut(from.key, to.key)) return;
			const frame = forgedStampFrame(from.node, random.pick(topics));
			to.run(() => to.onFrame(from.id, frame));
			const forged = forgedRelayFrame(
				from.id,
				to.id,
				hosts.map(({id}) => id).filter(id => id !== from.id && id !== to.id),
				createRandom(`${seed}/lie/${schedule.nowMs}`),
			);
			if (forged) to.run(() => to.onFrame(from.id, forged));
		});
	}

	/** At random, a node is killed or loses power during a snapshot or retention. */
	#interruptMaintenance(host: Host, random: SeededRandom): void {
		if (!random.chance(1, 8)) return;
		const {schedule} = this.#options;
		const [inMs, isPower, node] = [random.below(30), random.chance(1, 2), host.node];
		schedule.after(inMs, () => {
			if (this.#isOver || !host.isUp || host.node !== node) return;
			if (isPower) host.powerCut();
			else host.kill();
			schedule.after(500, () => host.boot());
		});
	}
}
