/**
Leaves the cluster on a signal, within the time that an operator, or the shutdown of the system, waits.
*/
import type {Broker} from '../../core/broker.ts';
import {DapssError, errorMessage} from '../../core/errors.ts';
import {systemClock} from '../../core/io/clock.ts';
import {runDeadline} from '../../core/run-deadline.ts';
import type {Terminal} from '../output/terminal.ts';

const leaveMs = 10_000;

/** Let the node leave. If that fails, or takes too long, print that it stops as a member. */
export async function leaveOrSay(
	broker: Pick<Broker, 'leave'>,
	terminal: Pick<Terminal, 'say'>,
	limitMs = leaveMs,
): Promise<void> {
	const {promise: late, reject} = Promise.withResolvers<never>();
	using _timer = runDeadline(systemClock, limitMs, () =>
		reject(new DapssError('timeout', `it took longer than ${limitMs / 1000} s`)),
	);
	try {
		await Promise.race([broker.leave(), late]);
	} catch (error) {
		terminal.say(`The node could not leave; it stops and stays a member: ${errorMessage(error)}`);
	}
}
