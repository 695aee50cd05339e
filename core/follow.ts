/**
Connections that outlive their server, with the clock and the random source of this machine.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {lostServerLast} from './address.ts';
import type {FollowedBroker} from './broker.ts';
import {completeConnect, connectWith, type ConnectOptions, type ConnectSettings} from './connect.ts';
import {clientSecret} from './default-files.ts';
import {systemClock, systemEntropy} from './io/clock.ts';
import {Followed} from './remote/followed.ts';
import {probe} from './remote/probing.ts';
import type {Connection} from './remote/reconnecting.ts';

/**
As `connect`, and again whenever the connection is lost: to another server, or to the same one. Attempts continue until
the broker is disposed. Subscriptions continue after the last message that was read, on any node.

```ts
await using broker = await follow('10.0.0.1:5000,10.0.0.2:5000');
```

@throws as `connect`, when none of the servers answers the first time
*/
export async function follow(options: string | ConnectOptions = {}): Promise<FollowedBroker> {
	const settings = completeConnect(options);
	const {servers = []} = settings;
	return followWith(last =>
		connectWith({...settings, secret: presentSecret(options, settings), servers: lostServerLast(servers, last)}),
	);
}

/** The secret file, read again: the key of the cluster may have been rotated since the last connection. */
function presentSecret(options: string | ConnectOptions, {cluster, secret}: ConnectSettings): Uint8Array {
	const {secret: given, secretFile} = typeof options === 'string' ? ({} as ConnectOptions) : options;
	if (given !== undefined) return secret;
	try {
		return clientSecret(cluster, secretFile);
	} catch {
		return secret;
	}
}

/**
As `follow`, with another way to connect.
@param connectOnce one attempt at all servers; `last` is the server that was lost, `undefined` the first time
*/
export async function followWith(
	connectOnce: (last: string | undefined) => Promise<Connection>,
): Promise<FollowedBroker> {
	return new Followed(await connectOnce(undefined), {
		connect: connectOnce,
		async pause(ms, signal) {
			await sleep(ms, undefined, {signal}).catch(() => undefined); // Ended early.
		},
		probe,
		nowMs: () => systemClock.monotonicMs(),
		wallMs: () => systemClock.wallMs(),
		random: systemEntropy,
	});
}
