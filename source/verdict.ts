/**
Is the cluster well? A snapshot and the answer of the quorum → findings, worst first, each with its reason and with what to do. Pure.
*/
import {exitCodes, type ErrorCode} from '../core/errors.ts';
import type {MemberSnapshot, Snapshot} from '../core/observe/snapshot.ts';
import {shortId, timeText} from './units.ts';

/** `warning` does not make a cluster unhealthy. */
export type Finding = {readonly code: 'no-quorum' | 'no-leader' | 'unhealthy' | 'warning'; readonly problem: string; readonly advice: string};
export type Verdict = {readonly verdict: 'healthy' | 'unhealthy' | 'no-quorum' | 'no-leader'; readonly exitCode: number; readonly findings: readonly Finding[]};

const goneMs = 30_000;

/** @param confirmed Index that a quorum confirmed, or the code of the error that it answered with. */
export function verdictOf(snapshot: Snapshot, confirmed: number | ErrorCode): Verdict {
	const findings = [...quorumFindings(snapshot, confirmed), ...memberFindings(snapshot), ...partitionFindings(snapshot), ...nodeFindings(snapshot)];
	const worst = (['no-quorum', 'no-leader', 'unhealthy'] as const).find(code => findings.some(finding => finding.code === code));
	return worst === undefined ? {verdict: 'healthy', exitCode: 0, findings} : {verdict: worst, exitCode: exitCodes[worst], findings};
}

function quorumFindings({raft, members}: Snapshot, confirmed: number | ErrorCode): Finding[] {
	const isMissing = (id: string): boolean => members.find(member => member.id === id)?.state !== 'alive';
	const missing = raft.voters.filter(id => isMissing(id));
	const needed = Math.floor(raft.voters.length / 2) + 1;
	if (raft.voters.length > 0 && (!raft.hasQuorum || confirmed === 'no-quorum')) {
		const names = missing.map(id => nameOf(id, members)).join(', ');
		return [{
			code: 'no-quorum',
			problem: `No quorum: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, ${needed} needed${names === '' ? '' : `; missing: ${names}`}`,
			advice: `Start ${missing.length > 1 ? `${Math.max(1, needed - raft.reachableVoters)} of the missing nodes` : 'the missing node'} again or repair the network to it. Until then nothing can be agreed; messages go on flowing among the nodes that reach one another. If their disks are gone for good: stop this node and see dapss-tui recover --help.`,
		}];
	}

	if (raft.leader === undefined || confirmed === 'no-leader') {
		return [{code: 'no-leader', problem: `No leader in term ${raft.term}`, advice: 'An election takes about a second. If it lasts, look at the peers: votes may not get through.'}];
	}

	if (typeof confirmed === 'string') return [{code: 'unhealthy', problem: `The quorum did not confirm: ${confirmed}`, advice: 'Try again; if it lasts, look at the events of the node and of the leader.'}];
	if (missing.length > 0 && raft.voters.length - missing.length <= needed) {
		return [{
			code: 'unhealthy',
			problem: `No further voter may fail: ${raft.voters.length - missing.length} of ${raft.voters.length} are there, ${needed} needed; missing: ${missing.map(id => nameOf(id, members)).join(', ')}`,
			advice: `Start what is missing again. If it is gone for good: dapss-tui peer remove ${shortId(missing[0])}, and add a new node.`,
		}];
	}

	if (raft.applied < raft.commit) return [{code: 'warning', problem: `The node is ${raft.commit - raft.applied} agreed entries behind`, advice: 'It is catching up.'}];
	return [];
}

function memberFindings({members}: Snapshot): Finding[] {
	return members.filter(({state}) => state === 'suspect' || state === 'dead').map(member => ({
		code: 'unhealthy',
		problem: `${nameOf(member.id, members)} is ${member.state}${member.voter ? ', and votes' : ''}`,
		advice: member.state === 'suspect' ? 'It may be busy or about to be found dead: look again in a moment.' : `Start it again, or repair the network to it.${isGone(member) ? ` If it is gone for good: dapss-tui peer remove ${shortId(member.id)}` : ''}`,
	}));
}

function partitionFindings({partition}: Snapshot): Finding[] {
	if (partition.state === 'whole') return [];
	const sides = partition.sides.map((side, index) => `${side.map(id => shortId(id)).join(' ')}${index === partition.quorum ? ' (quorum)' : ''}`).join(' | ');
	const since = timeText(partition.sinceMs);
	if (partition.state === 'repairing') return [{code: 'unhealthy', problem: `A partition has healed and is being repaired, for ${since}: ${partition.backlog} messages so far`, advice: 'Wait.'}];
	return [{code: 'unhealthy', problem: `Partitioned for ${since}: ${sides}; ${partition.waiting} own messages wait for the far side`, advice: 'Repair the network between the sides. What waits is delivered after that.'}];
}

function nodeFindings({phase, detail, faults, insecure, counters}: Snapshot): Finding[] {
	const bounds = Object.entries(counters.bounds).filter(([, count]) => count > 0);
	return [
		...(phase === 'running' ? [] : [{code: 'unhealthy', problem: `The node is ${phase}${detail === '' ? '' : `: ${detail}`}`, advice: phase === 'joining' ? 'Is the address behind --bootstrap right, and is that node up?' : 'Look again in a moment.'}] as const),
		...(faults.length > 0 ? [{code: 'warning', problem: `Faults are injected: ${faults.join(', ')}`, advice: 'dapss-tui fault heal ends them.'}] as const : []),
		...(insecure.length > 0 ? [{code: 'warning', problem: `Not secure: ${insecure.join(', ')} is off`, advice: 'Switch it on again in config.json and restart the nodes.'}] as const : []),
		...(bounds.length > 0 ? [{code: 'warning', problem: `Bounds were hit since the start: ${bounds.map(([name, count]) => `${name} ${count}×`).join(', ')}`, advice: 'A peer or a reader was too slow, or too much came at once.'}] as const : []),
	];
}

/** Not heard for so long that it is no restart. */
function isGone({state, heardMsAgo}: MemberSnapshot): boolean {
	return state === 'dead' && (heardMsAgo === undefined || heardMsAgo >= goneMs);
}

function nameOf(id: string, members: readonly MemberSnapshot[]): string {
	const member = members.find(one => one.id === id);
	return `${shortId(id)}${member ? ` (${member.address}${member.why === '' ? '' : `, ${member.why}`})` : ''}`;
}
