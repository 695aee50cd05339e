/**
The verdict of `check` and of `/readyz`: the findings about the cluster, and the exit code of the worst one. A quorum
confirms it, because a node that has stalled or is cut off may have outdated state.
*/
import type {Broker} from '../broker.ts';
import {DapssError, exitCodes, type ErrorCode} from '../errors.ts';
import type {Clock} from '../ports.ts';
import {runDeadline} from '../run-deadline.ts';
import type {Snapshot} from '../snapshot.ts';
import {findingsOf, type Finding} from './findings.ts';

export type Verdict = {
	readonly verdict: 'healthy' | 'unhealthy' | 'no-quorum' | 'no-leader';
	readonly exitCode: number;
	readonly findings: readonly Finding[];
};

/** Longer than an election, in milliseconds. */
const confirmMs = 3000;

/** @param confirmed the index that a quorum confirmed, or the code of the error */
export function verdictOf(snapshot: Snapshot, confirmed: number | ErrorCode): Verdict {
	const findings = findingsOf(snapshot, {confirmed, command: 'dapss-tui '});
	const worst = (['no-quorum', 'no-leader', 'unhealthy'] as const).find(code =>
		findings.some(finding => finding.code === code),
	);
	return worst === undefined
		? {verdict: 'healthy', exitCode: 0, findings}
		: {verdict: worst, exitCode: exitCodes[worst], findings};
}

/** Ask a quorum for the latest index. Resolves with the code of the error if there is no answer. @throws `closed` */
export async function confirm(
	broker: Pick<Broker, 'readIndex'>,
	clock: Pick<Clock, 'monotonicMs' | 'after' | 'soon'>,
): Promise<number | ErrorCode> {
	const {promise, resolve} = Promise.withResolvers<ErrorCode>();
	using _timer = runDeadline(clock, confirmMs, () => resolve('timeout'));
	try {
		return await Promise.race([broker.readIndex(), promise]);
	} catch (error) {
		if (error instanceof DapssError && error.code !== 'closed') return error.code;
		throw error;
	}
}
