/**
The alerts: the most important facts for an operator, worst first, each one line with its consequence. Pure.
*/
import {limitText, whoText} from '../../core/observe/limit-text.ts';
import {labelsOf, shortId, type Label} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {meaningOf, quorumHealthOf, type QuorumHealth} from '../../core/observe/quorum-health.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {SourceState} from '../source/source.ts';
import type {Tone} from '../theme.ts';
import {age, duration, names, plural} from './words.ts';

export type Alert = {readonly tone: Extract<Tone, 'alarm' | 'bad' | 'warning' | 'accent'>; readonly text: string};

/** @param lostMs time since the last snapshot, milliseconds; 0 while connected */
export function alertsOf({snapshot, connection, detail}: SourceState, lostMs: number): readonly Alert[] {
	const alerts: Alert[] = [];
	if (connection === 'lost') {
		alerts.push({
			tone: 'alarm',
			text: `NODE LOST: ${printable(detail)}${
				snapshot
					? ` · this snapshot is ${duration(Math.floor(lostMs / 1000) * 1000)
							.replace('.0 s', ' s')
							.replace('0 ms', 'a moment')} old`
					: ''
			}`,
		});
	}

	if (connection === 'connected' && detail !== '') alerts.push({tone: 'accent', text: printable(detail)});
	if (!snapshot) return alerts;
	const {raft, partition, phase, insecure, faults} = snapshot;
	if (phase === 'joining')
		alerts.push({
			tone: 'warning',
			text: `JOINING: ${printable(snapshot.detail) || 'waiting for a member to admit this node'}`,
		});
	if (phase === 'starting')
		alerts.push({tone: 'accent', text: `STARTING: ${printable(snapshot.detail) || 'reading stored data'}`});
	if (phase === 'stopping')
		alerts.push({
			tone: 'warning',
			text: `STOPPING: ${printable(snapshot.detail) || 'writing everything to the disk'}`,
		});
	if (phase === 'running' && raft.quorum !== 'held') alerts.push(quorumAlert(snapshot));
	const health = quorumHealthOf(snapshot);
	if (raft.hasQuorum && health.missing.some(({isLost}) => isLost))
		alerts.push(lostAlert(health, labelsOf(snapshot.members)));
	alerts.push(...identityAlerts(snapshot));
	if (partition.state === 'partitioned') alerts.push(partitionAlert(snapshot));
	if (partition.state === 'repairing')
		alerts.push({
			tone: 'warning',
			text:
				`REPAIRING after the partition: ${plural(partition.backlog, 'message')} came in so far, ` +
				duration(partition.sinceMs),
		});
	const degraded = snapshot.members.filter(({state}) => state === 'degraded');
	if (degraded.length > 0)
		alerts.push({
			tone: 'warning',
			text:
				`DEGRADED: ${labelsOf(snapshot.members)(degraded[0]!.id)}: ` +
				`${printable(degraded[0]!.why)}${degraded.length > 1 ? ` · and ${degraded.length - 1} more` : ''} · ` +
				'`:check` says what to do',
		});
	if (insecure.length > 0)
		alerts.push({
			tone: 'alarm',
			text: `INSECURE: ${insecure.map(part => printable(part)).join(', ')} switched off`,
		});
	if (faults.length > 0)
		alerts.push({
			tone: 'warning',
			text:
				`FAULTS INJECTED at ${labelsOf(snapshot.members)(snapshot.self)}, \`:fault heal\` ends them: ` +
				faults.map(fault => printable(fault)).join(' · '),
		});
	alerts.push(...limitAlerts(snapshot));
	return alerts;
}

/** A limit that a client has just reached; clients that reached one earlier are among the counters. */
const limitFreshMs = 60_000;

/** The limit that a client reached last. */
function limitAlerts({atMs, counters: {boundsBy = {}, boundsAtMs = {}, clientNames}}: Snapshot): readonly Alert[] {
	const fresh = Object.keys(boundsBy)
		.filter(name => atMs - (boundsAtMs[name] ?? 0) <= limitFreshMs)
		.toSorted((one, other) => boundsAtMs[other]! - boundsAtMs[one]!);
	const [name] = fresh;
	if (name === undefined) return [];
	const more = fresh.length > 1 ? ` · and ${plural(fresh.length - 1, 'other limit')}` : '';
	const who = whoText(boundsBy[name], clientNames);
	return [
		{tone: 'warning', text: `LIMIT REACHED: ${limitText(name)}${who}${more} · \`:counters\` shows all clients`},
	];
}

function quorumAlert(snapshot: Snapshot): Alert {
	const {raft} = snapshot;
	const health = quorumHealthOf(snapshot);
	if (raft.quorum === 'electing')
		return {
			tone: 'bad',
			text:
				`NO LEADER in term ${raft.term}: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, ` +
				'an election is running; changes wait, live messages flow',
		};
	const missing = health.missing.length > 0 ? `; missing ${missingWords(health, labelsOf(snapshot.members))}` : '';
	return {
		tone: 'alarm',
		text:
			`NO QUORUM: ${raft.reachableVoters} of ${raft.voters.length} voters reachable, ` +
			`${health.needed} needed${missing} · \`:check\` says what to do · changes wait, live messages flow here`,
	};
}

function identityAlerts({foreign, duplicates, cluster, members}: Snapshot): readonly Alert[] {
	return [
		...foreign.slice(0, 1).map(({clusterId, address}): Alert => ({
			tone: 'bad',
			text:
				`TWO CLUSTERS of the name ${printable(cluster)}: ` +
				`another one (${shortId(clusterId)}) is at ${printable(address)} · \`:check\` says what to do`,
		})),
		...duplicates.slice(0, 1).map(({id, address, other}): Alert => ({
			tone: 'bad',
			text:
				`TWO PROCESSES use the identity of ${labelsOf(members)(id)}: ` +
				`${printable(address)} is kept, ${printable(other)} is refused`,
		})),
	];
}

/** A voter has been missing for so long that an operator has to decide. */
function lostAlert(health: QuorumHealth, label: Label): Alert {
	const lost = health.missing.filter(({isLost}) => isLost);
	return {
		tone: health.spare > 0 ? 'warning' : 'bad',
		text:
			`VOTER GONE: ${missingWords({...health, missing: lost}, label)}; ` +
			`${meaningOf(health)} · start it again, or \`:peer remove ${label(lost[0]!.id)}\``,
	};
}

/** `node-2 (2 min 5 s), …`: the first few missing voters, and for how long. */
export function missingWords({missing}: QuorumHealth, label: Label, max = 4): string {
	const shown = missing
		.slice(0, max)
		.map(({id, downMs}) => `${label(id)}${downMs === undefined || downMs < 1000 ? '' : ` (${age(downMs)})`}`)
		.join(' ');
	return missing.length > max ? `${shown} +${missing.length - max} more` : shown;
}

function partitionAlert({partition, self, members}: Snapshot): Alert {
	const label = labelsOf(members);
	const here = partition.sides.findIndex(side => side.includes(self));
	const away = partition.sides.flatMap((side, index) => (index === here ? [] : side));
	const where =
		partition.quorum === -1
			? partition.isFarHeard === false
				? 'no quorum here, no answer from the other side'
				: 'no side has the quorum'
			: partition.quorum === here
				? 'the quorum is on this side'
				: 'the quorum is on the OTHER side';
	const cutOff = away.length > 0 ? `cut off from ${names(away, label, 4)}` : `${label(self)} sees only some`;
	const waiting =
		partition.waiting > 0 ? ` · ${plural(partition.waiting, 'message waits', 'messages wait')} for the heal` : '';
	return {
		tone: partition.quorum === here ? 'warning' : 'bad',
		text: `PARTITION for ${duration(partition.sinceMs)}: ${where}; ${cutOff}${waiting}`,
	};
}
