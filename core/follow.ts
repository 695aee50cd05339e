/**
Connections that outlive their server, with the time and chance of this machine: `follow` is `connect` for those who
stay.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {lostServerLast} from './address.ts';
import type {FollowedBroker} from './broker.ts';
import {connect, type ConnectOptions} from './connect.ts';
import {systemClock, systemEntropy} from './io/clock.ts';
import {Followed} from './remote/followed.ts';
import {probe} from './remote/probing.ts';
import type {Connection} from './remote/reconnecting.ts';

/**
Connect to the first of the servers that answers, and to another one, or to the same again, whenever that is lost. It is
tried until the broker is disposed. Subscriptions go on behind what was read, on any node.
@throws as `connect`, when none of the servers answers the first time
*/
export async function follow(options: ConnectOptions): Promise<FollowedBroker> {
	return followWith(last =>
		connect({...options, ...(options.servers && {servers: lostServerLast(options.servers, last)})}),
	);
}

/**
The same with an own way to connect.
@param connectOnce one attempt at all servers; `last` is the one that was lost, nothing the first time
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
