/**
The verdict of `check`: the findings about the cluster, and the exit code of the worst one. Pure.
*/
import {exitCodes, type ErrorCode} from '../../core/errors.ts';
import {findingsOf, type Finding} from '../../core/observe/findings.ts';
import type {Snapshot} from '../../core/snapshot.ts';

export type Verdict = {
	readonly verdict: 'healthy' | 'unhealthy' | 'no-quorum' | 'no-leader';
	readonly exitCode: number;
	readonly findings: readonly Finding[];
};

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
