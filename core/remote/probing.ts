/**
Does the node at the other end still answer? A host that loses its power, or a network that swallows everything, closes
no connection. So it is asked now and then; without an answer the connection is given up.
*/
import type {Broker} from '../broker.ts';
import {socketDeadline} from '../io/net/socket-deadline.ts';

const probeMs = 5000;
const silentMs = 10_000;

/** Ask until disposed. @param fail called once at most, with the reason. */
export function probe(broker: Pick<Broker, 'snapshot'>, fail: (why: string) => void): Disposable {
	let patience: Disposable | undefined;
	const ask = async (): Promise<void> => {
		if (patience) return;
		patience = socketDeadline(silentMs, () => fail(`it has not answered for ${silentMs / 1000} s`));
		try {
			await broker.snapshot();
		} catch {
			// A refusal is an answer, and a link that is gone tells it by itself.
		} finally {
			patience?.[Symbol.dispose]();
			patience = undefined;
		}
	};

	const timer = setInterval(() => void ask(), probeMs);
	return {
		[Symbol.dispose]() {
			clearInterval(timer);
			patience?.[Symbol.dispose]();
		},
	};
}
