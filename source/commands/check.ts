/**
`check`: the verdict, its reasons, and what to do. A node that has stalled or is cut off may have outdated state, so a
quorum confirms it.
*/
import type {Broker} from '../../core/broker.ts';
import {DapssError, type ErrorCode} from '../../core/errors.ts';
import {systemClock} from '../../core/io/clock.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import {quorumText} from '../../core/observe/quorum-health.ts';
import {confirm, verdictOf} from '../../core/observe/verdict.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {paint} from '../output/terminal.ts';
import {waitHealthy, type Checked} from './wait-healthy.ts';

export async function run(context: Context): Promise<number> {
	const {terminal, output, flags} = context;
	expectInput(context, 0, 0, 'check [--wait-healthy] [--wait TIME]');
	if (flags.wait !== undefined && !flags.waitHealthy)
		throw new DapssError('usage', 'Expected --wait-healthy with --wait: without it the command does not wait');
	const {verdict, exitCode, findings, snapshot} = flags.waitHealthy
		? await waitHealthy(context, confirmed)
		: await withNode(context, async (broker): Promise<Checked> => {
				const index = await confirmed(broker);
				const seen = await broker.snapshot();
				return {...verdictOf(seen, index), snapshot: seen};
			});
	if (output === 'json') {
		await terminal.line(jsonText({verdict, cluster: snapshot.cluster, self: snapshot.self, findings}));
		return exitCode;
	}

	const tone = exitCode === 0 ? 'good' : 'bad';
	await terminal.line(
		`${paint(terminal.hasColour, tone, verdict)}: ` +
			`cluster ${printable(snapshot.cluster)}, ${membersText(snapshot)}; quorum ${quorumText(snapshot.raft)}`,
	);
	for (const {code, problem, advice} of findings) {
		const mark =
			code === 'warning' ? paint(terminal.hasColour, 'warning', '  !') : paint(terminal.hasColour, 'bad', '  ✗');
		await terminal.line(`${mark} ${printable(problem)}\n    ${printable(advice)}`);
	}

	return exitCode;
}

/** Members that were stopped on purpose are not expected to answer. */
export function membersText({members}: Snapshot): string {
	const expected = members.filter(({state}) => state !== 'left');
	const left = members.length - expected.length;
	if (members.length === 0) return 'no members known yet';
	// The asked node counts as alive, whatever the state of its links: it answers. Its full disk is its own fault.
	const isAlive = ({state, self, cause}: MemberSnapshot): boolean =>
		state === 'alive' || (self && cause !== 'disk-full');
	const degraded = expected.filter(member => member.state === 'degraded' && !isAlive(member)).length;
	return (
		`${expected.filter(member => isAlive(member)).length} of ${expected.length} members ` +
		`alive${degraded === 0 ? '' : `, ${degraded} degraded`}${left === 0 ? '' : `, ${left} stopped on purpose`}`
	);
}

function confirmed(broker: Broker): Promise<number | ErrorCode> {
	return confirm(broker, systemClock);
}
