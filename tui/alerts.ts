/**
What an operator must see before anything else, worst first: each one line, said in words, with what it means for the work. Pure.
*/
import {printable} from '../core/observe/printable.ts';
import type {Snapshot} from '../core/observe/snapshot.ts';
import type {SourceState} from './source.ts';
import type {Tone} from './theme.ts';
import {duration, names, plural, shortId} from './words.ts';

const goneMs = 30_000;

export type Alert = {readonly tone: Extract<Tone, 'alarm' | 'bad' | 'warning' | 'accent'>; readonly text: string};

/** @param lostMs for how long there has been no picture; 0 while connected */
export function alertsOf({snapshot, connection, detail}: SourceState, lostMs: number): readonly Alert[] {
	const alerts: Alert[] = [];
	if (connection === 'lost') {
		alerts.push({tone: 'alarm', text: `NODE LOST: ${printable(detail)}${snapshot ? ` · this picture is ${duration(Math.floor(lostMs / 1000) * 1000).replace('.0 s', ' s').replace('0 ms', 'a moment')} old` : ''}`});
	}

	if (!snapshot) return alerts;
	const {raft, partition, phase, insecure, faults} = snapshot;
	if (phase === 'joining') alerts.push({tone: 'warning', text: `JOINING: ${printable(snapshot.detail) || 'waiting for a member to take this node in'}`});
	if (phase === 'starting') alerts.push({tone: 'accent', text: `STARTING: ${printable(snapshot.detail) || 'reading what is stored'}`});
	if (phase === 'stopping') alerts.push({tone: 'warning', text: `STOPPING: ${printable(snapshot.detail) || 'bringing everything to the disk'}`});
	if (phase === 'running' && !raft.hasQuorum) alerts.push(quorumAlert(snapshot));
	else if (phase === 'running' && raft.leader === undefined) alerts.push({tone: 'bad', text: `NO LEADER in term ${raft.term}: an election is on; changes wait, live messages flow`});
	const gone = goneVoters(snapshot);
	if (raft.hasQuorum && gone.length > 0) alerts.push(goneAlert(snapshot, gone));
	if (partition.state === 'partitioned') alerts.push(partitionAlert(snapshot));
	if (partition.state === 'repairing') alerts.push({tone: 'warning', text: `REPAIRING after the partition: ${plural(partition.backlog, 'message')} came in so far, ${duration(partition.sinceMs)}`});
	if (insecure.length > 0) alerts.push({tone: 'alarm', text: `INSECURE: ${insecure.map(part => printable(part)).join(', ')} switched off`});
	if (faults.length > 0) alerts.push({tone: 'warning', text: `FAULTS INJECTED: ${faults.map(fault => printable(fault)).join(' · ')}`});
	return alerts;
}

/** Voters that this node does not see alive. */
export function missingVoters({raft, members}: Snapshot): readonly string[] {
	const states = new Map(members.map(member => [member.id, member.self ? 'alive' : member.state]));
	return raft.voters.filter(id => states.get(id) !== 'alive');
}

/** Voters that nobody has heard for longer than a restart takes. */
export function goneVoters({raft, members}: Snapshot): readonly string[] {
	return members.filter(({id, self, state, heardMsAgo}) => !self && state === 'dead' && raft.voters.includes(id) && (heardMsAgo === undefined || heardMsAgo >= goneMs)).map(({id}) => id);
}

export function quorumSize(voters: number): number {
	return Math.floor(voters / 2) + 1;
}

function quorumAlert(snapshot: Snapshot): Alert {
	const {raft} = snapshot;
	const missing = missingVoters(snapshot);
	const isReachable = raft.reachableVoters >= quorumSize(raft.voters.length);
	if (isReachable) return {tone: 'bad', text: `NO LEADER in term ${raft.term}: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, an election is on; changes wait, live messages flow`};
	return {
		tone: 'alarm',
		text: `NO QUORUM: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, ${quorumSize(raft.voters.length)} needed${missing.length > 0 ? `; missing ${names(missing, 4)}` : ''} · changes wait, live messages flow here`,
	};
}

function goneAlert({raft, members}: Snapshot, gone: readonly string[]): Alert {
	const spare = raft.reachableVoters - quorumSize(raft.voters.length);
	const heardMs = Math.min(...members.filter(({id}) => gone.includes(id)).map(({heardMsAgo}) => heardMsAgo ?? Infinity));
	return {
		tone: spare > 0 ? 'warning' : 'bad',
		text: `VOTER GONE${Number.isFinite(heardMs) ? ` for ${duration(heardMs)}` : ''}: ${names(gone, 4)}; ${spare > 0 ? `${spare} more may fail` : 'no further voter may fail'} · start it again, or \`:peer remove ${shortId(gone[0]!)}\``,
	};
}

function partitionAlert({partition, self}: Snapshot): Alert {
	const here = partition.sides.findIndex(side => side.includes(self));
	const away = partition.sides.flatMap((side, index) => (index === here ? [] : side));
	const where = partition.quorum === -1 ? 'no side has the quorum' : (partition.quorum === here ? 'the quorum is on this side' : 'the quorum is on the FAR side');
	return {
		tone: partition.quorum === here ? 'warning' : 'bad',
		text: `PARTITION for ${duration(partition.sinceMs)}: ${where}; ${away.length > 0 ? `cut off from ${names(away, 4)}` : `${shortId(self)} sees only some`}${partition.waiting > 0 ? ` · ${plural(partition.waiting, 'message waits', 'messages wait')} for the heal` : ''}`,
	};
}
