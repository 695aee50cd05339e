/**
The node's end of the remote protocol: one `serve` for each connection. Everything a connection opened ends with it. Nothing is
buffered for a slow reader: messages wait in the log (credit), snapshots are sent one at a time, events are counted when dropped.
*/
import type {Broker, From} from '../api.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {Topic} from '../message.ts';
import type {RecordedEvent} from '../observe/events.ts';
import type {BatchSink} from '../reader.ts';
import type {Pipe} from './pipe.ts';
import {decodePublish, encodeDelivery, encodeFrame, openMax, parseRequest, remoteKinds, type Answer, type Request} from './protocol.ts';

/** Reading in batches, as they are stored: what a server forwards without looking inside. */
export type BatchReading = {readonly agreed: Promise<void>; resume(): void; close(): Promise<void>};
export type ServedBroker = Broker & {readBatches(topics: readonly Topic[], from: From, sink: BatchSink): BatchReading};

type Stream = {grant(bytes: number): void; next(): void; end(): void};

/** Serve one connection until it closes. @param onMalformed a frame that is none of the protocol's; the connection is closed. */
export function serve(broker: ServedBroker, pipe: Pipe, onMalformed: () => void): void {
	const streams = new Map<number, Stream>();
	let isClosed = false;
	let inFlight = 0;
	const answer = (body: Answer): void => {
		if (!isClosed) pipe.send([encodeFrame('answer', body)]);
	};

	const fail = (id: number, error: unknown): void => {
		answer({id, error: {code: error instanceof DapssError ? error.code : 'failure', message: errorMessage(error)}});
	};

	const settle = (id: number, work: Promise<unknown>): void => {
		inFlight++;
		work.then(value => answer({id, value}), (error: unknown) => fail(id, error)).finally(() => inFlight--);
	};

	pipe.onClose = () => {
		isClosed = true;
		for (const stream of streams.values()) stream.end();
		streams.clear();
	};

	pipe.onFrame = frame => {
		if (frame[0] === remoteKinds.publish) {
			const publish = decodePublish(frame);
			if (!publish) return malformed();
			if ('problem' in publish) return fail(publish.id, new DapssError('usage', publish.problem));
			return settle(publish.id, broker.publish(publish.topic, publish.bodies));
		}

		if (frame[0] !== remoteKinds.request) return malformed();
		const request = parseRequest(frame);
		if ('problem' in request) return fail(request.id, new DapssError('usage', request.problem));
		if (streams.size + inFlight >= openMax && !['next', 'credit', 'end'].includes(request.op)) return fail(request.id, new DapssError('refused', `Expected at most ${openMax} open requests on a connection, got one more`));
		onRequest(request);
	};

	function malformed(): void {
		onMalformed();
		pipe.close('malformed frame');
	}

	function onRequest(request: Request): void {
		const {id} = request;
		switch (request.op) {
			case 'snapshot': return settle(id, broker.snapshot());
			case 'subscribe-node': return settle(id, broker.subscribeNode(request.topic));
			case 'unsubscribe-node': return settle(id, broker.unsubscribeNode(request.topic));
			case 'read-index': return settle(id, broker.readIndex());
			case 'transfer': return settle(id, broker.transferLeadership(request.to));
			case 'remove': return settle(id, broker.removeMember(request.node));
			case 'leave': return settle(id, broker.leave());
			case 'fault': return settle(id, broker.fault(request.command));
			case 'watch': return void streams.set(id, watch(id));
			case 'events': return void streams.set(id, follow(id, request.messages));
			case 'subscribe': return void streams.set(id, subscribe(id, request));
			case 'next': return streams.get(request.stream)?.next();
			case 'credit': return streams.get(request.stream)?.grant(request.bytes);
			case 'end': {
				streams.get(request.stream)?.end();
				streams.delete(request.stream);
				return;
			}

			default: return request satisfies never;
		}
	}

	/** Snapshots, one at a time: the next leaves when the last was taken in. */
	function watch(id: number): Stream {
		let isAwaited = true;
		let latest: unknown;
		const send = (): void => {
			if (!isAwaited || latest === undefined) return;
			isAwaited = false;
			pipe.send([encodeFrame('snapshot', [id, latest])]);
			latest = undefined;
		};

		const watching = broker.watch(snapshot => {
			latest = snapshot;
			send();
		});
		return {
			grant() {},
			next() {
				isAwaited = true;
				send();
			},
			end: () => watching[Symbol.dispose](),
		};
	}

	function follow(id: number, messages: boolean): Stream {
		const events = broker.events({messages})[Symbol.asyncIterator]();
		let isEnded = false;
		let dropped = 0;
		const run = async (): Promise<void> => {
			for (;;) {
				// oxlint-disable-next-line no-await-in-loop -- a stream
				const {value, done} = await events.next();
				if (isEnded || isClosed) return;
				if (done) return answer({id, ended: true});
				const batch: RecordedEvent[] = dropped > 0 ? [{at: value.at, type: 'lagged', dropped}, value] : [value];
				dropped = pipe.send([encodeFrame('event', [id, batch])]) ? 0 : dropped + 1;
			}
		};

		void run().catch((error: unknown) => fail(id, error));
		return {
			grant() {},
			next() {},
			end() {
				isEnded = true;
				void events.return?.();
			},
		};
	}

	function subscribe(id: number, {topics, from, credit: granted}: Extract<Request, {op: 'subscribe'}>): Stream {
		let credit = granted;
		const reading = broker.readBatches(topics, from, {
			take(items) {
				for (const item of items) {
					pipe.send(encodeDelivery(id, item));
					credit -= item.batch.bytes.length;
				}

				return credit > 0;
			},
			dropped: dropped => answer({id, dropped}),
			failed: error => fail(id, error),
		});
		reading.agreed.then(() => answer({id, value: true}), (error: unknown) => fail(id, error));
		return {
			grant(bytes) {
				const wasFull = credit <= 0;
				credit += bytes;
				if (wasFull && credit > 0) reading.resume();
			},
			next() {},
			end: () => void reading.close(),
		};
	}
}
