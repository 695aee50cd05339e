/**
Liveness probes of a connection. A host without power, or a network that drops all packets, closes no connection. So the
node is asked regularly, and the connection is given up without an answer.
*/
import type {Broker} from '../broker.ts';
import {systemClock} from '../io/clock.ts';
import {runDeadline} from '../run-deadline.ts';

const probeMs = 5000;
const silentMs = 10_000;

/** Probes until disposed. @param fail called at most once, with the reason. */
export function probe(broker: Pick<Broker, 'snapshot'>, fail: (why: string) => void): Disposable {
	let deadline: Disposable | undefined;
	const ask = async (): Promise<void> => {
		if (deadline) return;
		deadline = runDeadline(systemClock, silentMs, () => fail(`it has not answered for ${silentMs / 1000} s`));
		try {
			await broker.snapshot();
		} catch {
			// An error is an answer too, and a lost connection reports itself.
		} finally {
			deadline?.[Symbol.dispose]();
			deadline = undefined;
		}
	};

	const timer = setInterval(() => void ask(), probeMs);
	return {
		[Symbol.dispose]() {
			clearInterval(timer);
			deadline?.[Symbol.dispose]();
		},
	};
}
