/**
The traffic of a demo: at each node one publisher and one reader of the same topic, each a client of that node alone. A
client continues when its node is back.
*/
import type {Delivery, FollowedBroker, Subscription} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import {Ledger, type Key} from './ledger.ts';

export const topic = 'weather';
/** Messages of each publisher a second. */
const perSecond = 5;
/** Publishes of one node without an answer; a publisher with more waits. */
const unansweredMax = 64;
/** Messages of one account. A demo that is left alone stops its traffic then. */
const messagesMax = 50_000;
const towns = ['Bern', 'Zürich', 'Genève', 'Lugano', 'Chur', 'Basel'];

type Station = {
	readonly name: string;
	readonly broker: FollowedBroker;
	readonly subscription: Subscription;
	readonly reading: Promise<void>;
	readonly timer: NodeJS.Timeout;
	readonly unanswered: Set<Promise<void>>;
	/** Of the next message. */
	number: number;
	isPaused: boolean;
};

export class Traffic implements AsyncDisposable {
	readonly ledger = new Ledger();
	readonly #stations = new Map<string, Station>();
	readonly #waiting = new Set<() => void>();
	/** Numbers go on when a node of the same name comes again. */
	readonly #numbers = new Map<string, number>();

	/** Begins to publish and to read at a node. @param connect a client of this node alone */
	async add(name: string, connect: () => Promise<FollowedBroker>): Promise<void> {
		const broker = await connect();
		this.ledger.addReader(name);
		const subscription = broker.subscribe([topic], {from: 'beginning'});
		const station: Station = {
			name,
			broker,
			subscription,
			reading: this.#read(name, subscription),
			timer: setInterval(() => this.#publish(station), 1000 / perSecond),
			unanswered: new Set(),
			number: this.#numbers.get(name) ?? 1,
			isPaused: false,
		};
		this.#stations.set(name, station);
		await subscription.agreed;
	}

	/** The client of a node. */
	broker(name: string): FollowedBroker {
		const station = this.#stations.get(name);
		if (!station) throw new DapssError('usage', `Expected a node with traffic, got ${name}`);
		return station.broker;
	}

	/** Ends the publisher and the reader of a node. */
	async remove(name: string): Promise<void> {
		const station = this.#stations.get(name);
		if (!station) return;
		this.#stations.delete(name);
		this.#numbers.set(name, station.number);
		this.ledger.removeReader(name);
		clearInterval(station.timer);
		await station.broker[Symbol.asyncDispose]();
		await station.reading;
	}

	/** Publishers stop; resolves when all their messages are answered. @param name one publisher @default all */
	async pause(name?: string): Promise<void> {
		const stations = [...this.#stations.values()].filter(station => name === undefined || station.name === name);
		for (const station of stations) station.isPaused = true;
		await Promise.all(stations.flatMap(({unanswered}) => [...unanswered]));
	}

	resume(): void {
		for (const station of this.#stations.values()) station.isPaused = false;
	}

	/** Begins a new account. */
	restart(): void {
		this.ledger.restart(new Map([...this.#stations.values()].map(({name, number}) => [name, number])));
	}

	/** Resolves with true when the account satisfies the condition; with false after the limit. */
	until(isSatisfied: (ledger: Ledger) => boolean, limitMs: number): Promise<boolean> {
		return new Promise(resolve => {
			const end = (is: boolean): void => {
				clearTimeout(timer);
				this.#waiting.delete(look);
				resolve(is);
			};

			const look = (): void => {
				if (isSatisfied(this.ledger)) end(true);
			};

			const timer = setTimeout(() => end(isSatisfied(this.ledger)), limitMs);
			this.#waiting.add(look);
			look();
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await Promise.all([...this.#stations.keys()].map(name => this.remove(name)));
	}

	#publish(station: Station): void {
		const {name, broker, unanswered} = station;
		if (station.isPaused || unanswered.size >= unansweredMax || this.ledger.acknowledged >= messagesMax) return;
		const key: Key = {publisher: name, number: station.number++};
		const answer = broker.publish(topic, [textOf(key)]).then(
			() => {
				this.ledger.acknowledge(key);
				this.#changed();
			},
			() => undefined, // Not acknowledged, so nothing was promised.
		);
		unanswered.add(answer);
		void answer.then(() => unanswered.delete(answer));
	}

	async #read(reader: string, subscription: AsyncIterable<readonly Delivery[]>): Promise<void> {
		for await (const deliveries of subscription) {
			for (const {body} of deliveries) {
				const key = keyOf(body);
				if (key) this.ledger.receive(reader, key);
			}

			this.#changed();
		}
	}

	#changed(): void {
		for (const look of this.#waiting) look();
	}
}

/** A line that people like to read, with the key of the message at its end. */
function textOf({publisher, number}: Key): string {
	const town = towns[number % towns.length]!;
	return `${town}: ${11 + ((number * 7) % 9)} °C, wind ${3 + ((number * 5) % 17)} km/h (${publisher} #${number})`;
}

function keyOf(body: Uint8Array): Key | undefined {
	const match = /\((\S+) #(\d+)\)$/.exec(Buffer.from(body).toString());
	return match ? {publisher: match[1]!, number: Number(match[2])} : undefined;
}
