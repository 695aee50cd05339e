/**
Waits until a node can take part in agreements. `openBroker` does not wait for that: the nodes that it joins through may
start later.
*/
import type {Broker} from './broker.ts';
import {DapssError} from './errors.ts';
import {systemClock} from './io/clock.ts';
import {runDeadline} from './run-deadline.ts';
import type {Snapshot} from './snapshot.ts';

const readyMs = 30_000;

/**
Resolves once the node is a member of its cluster and reaches a quorum. Until then it stores what is published, and
refuses subscriptions with `no-quorum`.

```ts
const broker = await openBroker({port: 5001, bootstrap: ['10.0.0.1:5000']});
await untilReady(broker);
```

@param options `timeoutMs`: milliseconds to wait @default 30000
@throws `timeout` with the reason for which the node waits, `closed` when it stops first
*/
export async function untilReady(
	broker: Broker,
	{timeoutMs = readyMs}: {readonly timeoutMs?: number} = {},
): Promise<void> {
	const {promise, resolve, reject} = Promise.withResolvers<void>();
	let reason = '';
	const look = ({phase, detail, raft}: Snapshot): void => {
		if (phase === 'running' && raft.hasQuorum) resolve();
		reason = phase === 'running' ? `${raft.reachableVoters} of ${raft.voters.length} voters reachable` : detail;
	};
	const fail = (code: 'timeout' | 'closed', why: string): void =>
		reject(new DapssError(code, `The node has no quorum${why === '' ? '' : `: ${why}`}`));
	using _timer = runDeadline(systemClock, timeoutMs, () => fail('timeout', `${reason}, after ${timeoutMs} ms`));
	void broker.closed.then(why => fail('closed', why));
	using _watching = broker.watch(look);
	broker.snapshot().then(look, reject);
	await promise;
}
