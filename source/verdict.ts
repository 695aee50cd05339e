/**
Is the cluster well? A snapshot and the answer of the quorum → findings, worst first, each with its reason and with what to do. Pure.
*/
import {exitCodes, type ErrorCode} from '../core/errors.ts';
import {isStranger, lostMs, meaningOf, outlookOf, remedyOf, strangers, type MissingVoter, type Outlook} from '../core/observe/outlook.ts';
import {labelOf, labelsOf} from '../core/observe/node-label.ts';
import type {MemberSnapshot, Snapshot} from '../core/observe/snapshot.ts';
import {timeText} from './units.ts';

/** `warning` does not make a cluster unhealthy. */
export type Finding = {readonly code: 'no-quorum' | 'no-leader' | 'unhealthy' | 'warning'; readonly problem: string; readonly advice: string};
export type Verdict = {readonly verdict: 'healthy' | 'unhealthy' | 'no-quorum' | 'no-leader'; readonly exitCode: number; readonly findings: readonly Finding[]};

/** @param confirmed Index that a quorum confirmed, or the code of the error that it answered with. */
export function verdictOf(snapshot: Snapshot, confirmed: number | ErrorCode): Verdict {
	const findings = [...quorumFindings(snapshot, confirmed), ...memberFindings(snapshot), ...partitionFindings(snapshot), ...nodeFindings(snapshot)];
	const worst = (['no-quorum', 'no-leader', 'unhealthy'] as const).find(code => findings.some(finding => finding.code === code));
	return worst === undefined ? {verdict: 'healthy', exitCode: 0, findings} : {verdict: worst, exitCode: exitCodes[worst], findings};
}

function quorumFindings(snapshot: Snapshot, confirmed: number | ErrorCode): Finding[] {
	const {raft, members} = snapshot;
	const outlook = outlookOf(snapshot);
	const missing = outlook.missing.length === 0 ? '' : `; missing: ${outlook.missing.map(voter => missingText(voter, members)).join(', ')}`;
	if (raft.voters.length > 0 && (!raft.hasQuorum || confirmed === 'no-quorum')) {
		return [{
			code: 'no-quorum',
			problem: `No quorum: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, ${outlook.needed} needed${missing}`,
			advice: `${adviceOf(outlook, 'Look again in a moment: an election may be on.')} Until then nothing can be agreed; messages go on flowing among the nodes that reach one another.`,
		}];
	}

	if (raft.leader === undefined || confirmed === 'no-leader') {
		return [{code: 'no-leader', problem: `No leader in term ${raft.term}`, advice: 'An election takes about a second. If it lasts, look at the peers: votes may not get through.'}];
	}

	if (typeof confirmed === 'string') return [{code: 'unhealthy', problem: `The quorum did not confirm: ${confirmed}`, advice: 'Try again; if it lasts, look at the events of the node and of the leader.'}];
	if (outlook.missing.length > 0 && outlook.spare <= 0) {
		return [{code: 'unhealthy', problem: `No further voter may fail: ${outlook.present} of ${outlook.voters} are there, ${outlook.needed} needed${missing}`, advice: adviceOf(outlook, '')}];
	}

	if (raft.applied < raft.commit) return [{code: 'warning', problem: `The node is ${raft.commit - raft.applied} agreed entries behind`, advice: 'It is catching up.'}];
	return [];
}

function memberFindings(snapshot: Snapshot): Finding[] {
	const outlook = outlookOf(snapshot);
	return snapshot.members.filter(({state}) => state === 'suspect' || state === 'degraded' || state === 'unreachable' || state === 'down').map(member => ({
		code: 'unhealthy',
		problem: `${nameOf(member.id, snapshot.members)} is ${member.state}${sinceText(member.downMs)}${member.voter ? `, and votes${outlook.spare > 0 ? `: ${meaningOf(outlook)}` : ''}` : ''}`,
		advice: member.state === 'suspect' ? 'It may be busy or about to be found dead: look again in a moment.' : adviceFor(member, outlook),
	}));
}

/** With a quorum a dead member can be taken out; without one, only what the finding about the quorum says helps. */
function adviceFor(member: MemberSnapshot, {spare}: Outlook): string {
	const start = 'Start it again, or repair the network to it.';
	return spare >= 0 && (member.downMs ?? 0) >= lostMs ? `${start} If it is gone for good: dapss-tui peer remove ${labelOf(member.id, member.name)}` : start;
}

function partitionFindings({partition, members}: Snapshot): Finding[] {
	const label = labelsOf(members);
	if (partition.state === 'whole') return [];
	const sides = partition.sides.map((side, index) => `${side.map(id => label(id)).join(' ')}${index === partition.quorum ? ' (quorum)' : ''}`).join(' | ');
	const since = timeText(partition.sinceMs);
	if (partition.state === 'repairing') return [{code: 'unhealthy', problem: `A partition has healed and is being repaired, for ${since}: ${partition.backlog} messages so far`, advice: 'Wait.'}];
	return [{code: 'unhealthy', problem: `Partitioned for ${since}: ${sides}; ${partition.waiting} own messages wait for the far side`, advice: 'Repair the network between the sides. What waits is delivered after that.'}];
}

function nodeFindings({phase, detail, faults, insecure, counters, topics}: Snapshot): Finding[] {
	const holes = topics.filter(({missing}) => missing > 0);
	const bounds = Object.entries(counters.bounds).filter(([, count]) => count > 0);
	return [
		...(phase === 'running' ? [] : [{code: 'unhealthy', problem: `The node is ${phase}${detail === '' ? '' : `: ${detail}`}`, advice: phase === 'joining' ? 'Is the address behind --bootstrap right, and is that node up?' : 'Look again in a moment.'}] as const),
		...(isStranger(counters) ? [{code: 'warning', problem: strangers.problem, advice: sentence(strangers.advice)}] as const : []),
		...(faults.length > 0 ? [{code: 'warning', problem: `Faults are injected: ${faults.join(', ')}`, advice: 'dapss-tui fault heal ends them.'}] as const : []),
		...(insecure.length > 0 ? [{code: 'warning', problem: `Not secure: ${insecure.join(', ')} is off`, advice: 'Switch it on again in config.json and restart the nodes.'}] as const : []),
		...(holes.length > 0 ? [{code: 'warning', problem: `The disk lost messages that no other node has given back: ${holes.map(({name, missing}) => `${missing} of ${name}`).join(', ')}`, advice: 'Start the nodes that are down: they may have them. Check the disk.'}] as const : []),
		...(bounds.length > 0 ? [{code: 'warning', problem: `Bounds were hit since the start: ${bounds.map(([name, count]) => `${name} ${count}×`).join(', ')}`, advice: 'A peer or a reader was too slow, or too much came at once.'}] as const : []),
	];
}

function adviceOf(outlook: Outlook, otherwise: string): string {
	const remedy = remedyOf(outlook, 'dapss-tui ').replaceAll('`', '');
	return remedy === '' ? otherwise : sentence(remedy);
}

function sentence(text: string): string {
	return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

function missingText({id, name, address, state, downMs}: MissingVoter, members: readonly MemberSnapshot[]): string {
	const why = members.find(member => member.id === id)?.why ?? '';
	return `${labelOf(id, name)} (${[address, why, `${state}${sinceText(downMs)}`].filter(part => part !== '').join(', ')})`;
}

function sinceText(downMs: number | undefined): string {
	return downMs === undefined ? '' : ` for ${timeText(downMs)}`;
}

function nameOf(id: string, members: readonly MemberSnapshot[]): string {
	const member = members.find(one => one.id === id);
	return `${labelOf(id, member?.name)}${member ? ` (${member.address}${member.why === '' ? '' : `, ${member.why}`})` : ''}`;
}
