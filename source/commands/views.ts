/**
`status`, `peers`, `leader`, `topics`: one snapshot of a node, for people or as JSON.
*/
import {exitCodes} from '../../core/errors.ts';
import type {NodeId} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {limitText, whoText} from '../../core/observe/limit-text.ts';
import {labelOf, labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {meaningOf, quorumHealthOf, quorumText, remedyOf} from '../../core/observe/quorum-health.ts';
import {hasOwnRetention} from '../../core/observe/retention-text.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {expectInput} from '../arguments/input.ts';
import type {Run} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {statusOf} from '../output/status.ts';
import {table} from '../output/table.ts';
import {bytesText, keptText, timeText} from '../output/units.ts';
import {membersText} from './check.ts';

type View = {
	readonly json: (snapshot: Snapshot) => unknown;
	readonly text: (snapshot: Snapshot) => string;
	readonly code?: (snapshot: Snapshot) => number;
};

const views: Readonly<Record<string, View>> = {
	status: {json: statusOf, text: statusText},
	peers: {
		json: snapshot =>
			statusOf(snapshot).members.map((member, index) => ({
				...member,
				self: snapshot.members[index]!.self,
				why: snapshot.members[index]!.why,
				link: snapshot.members[index]!.link,
				via: snapshot.members[index]!.via ?? null,
				version: snapshot.members[index]!.version,
				protocol: snapshot.members[index]!.protocol,
			})),
		text: peersText,
	},
	leader: {
		json: ({raft, members}) => ({
			leader: raft.leader ?? null,
			name: members.find(({id}) => id === raft.leader)?.name ?? '',
			address: members.find(({id}) => id === raft.leader)?.address ?? null,
			term: raft.term,
		}),
		text: ({raft, members}) =>
			raft.leader === undefined ? `no leader (term ${raft.term})` : leaderText(raft.leader, members, raft.term),
		code: ({raft}) => (raft.leader === undefined ? exitCodes['no-leader'] : 0),
	},
	topics: {json: snapshot => statusOf(snapshot).topics, text: topicsText},
};

/** The id in full when there is no name: earlier versions printed it, and scripts read it. */
function leaderText(leader: NodeId, members: Snapshot['members'], term: number): string {
	const {name = '', address = ''} = members.find(({id}) => id === leader) ?? {};
	return `${printable(name || leader)}  ${printable(address)}  term ${term}`;
}

export function runView(name: string): Run {
	const view = views[name]!;
	return async context => {
		expectInput(context, 0, 0, `${name} without arguments`);
		const snapshot = await withNode(context, broker => broker.snapshot());
		await context.terminal.line(context.output === 'json' ? jsonText(view.json(snapshot)) : view.text(snapshot));
		return view.code?.(snapshot) ?? 0;
	};
}

function statusText(snapshot: Snapshot): string {
	const {raft, partition} = snapshot;
	const label = labelsOf(snapshot.members);
	const rows: Array<readonly [string, string]> = [
		[
			'cluster',
			`${printable(snapshot.cluster)}, version ${printable(snapshot.version)}, protocol ${snapshot.protocol}`,
		],
		[
			'node',
			`${snapshot.name ? `${printable(snapshot.name)} (${snapshot.self})` : snapshot.self} at ` +
				`${printable(snapshot.address)}, ` +
				`${snapshot.phase}${snapshot.detail === '' ? '' : `: ${printable(snapshot.detail)}`}, ` +
				`up ${timeText(snapshot.uptimeMs)}`,
		],
		[
			'raft',
			`${raft.role} in term ${raft.term}, leader ` +
				`${raft.leader === undefined ? 'none' : label(raft.leader)}, commit ${raft.commit}, ` +
				`applied ${raft.applied}`,
		],
		['quorum', quorumText(raft)],
		...missingRows(snapshot),
		...snapshot.foreign.map(
			({clusterId, address}) =>
				[
					'meets',
					`another cluster of the name ${printable(snapshot.cluster)}: ` +
						`${printable(clusterId.slice(0, 8))} at ${printable(address)}; ` +
						'dapss-tui check says what to do',
				] as const,
		),
		['members', membersText(snapshot)],
		...unusableRows(snapshot),
		[
			'topics',
			`${snapshot.topics.length}, ${snapshot.topics.reduce((sum, {messages}) => sum + messages, 0)} ` +
				'messages kept',
		],
		[
			'partition',
			partition.state === 'whole'
				? 'none'
				: `${partition.state}: ${partition.sides.map(side => side.map(id => label(id)).join(' ')).join(' | ')}`,
		],
		[
			'gossip',
			`fanout ${snapshot.gossip.fanout}, ${percent(snapshot.gossip.duplicates)} duplicates, ` +
				`${percent(snapshot.gossip.misses)} by repair, ${snapshot.gossip.held} held back`,
		],
		...boundRows(snapshot),
		['lamport', String(snapshot.lamport)],
		...(snapshot.faults.length > 0
			? [['faults', snapshot.faults.map(fault => printable(fault)).join(', ')] as const]
			: []),
		...(snapshot.insecure.length > 0
			? [['NOT SECURE', `off: ${snapshot.insecure.map(name => printable(name)).join(', ')}`] as const]
			: []),
	];
	return rows.map(([name, value]) => `${name.padEnd(10)}  ${value}`).join('\n');
}

/** The bounds that were hit since the start of the node, and the client that hit each most often. */
function boundRows({
	counters: {bounds, boundsBy = {}, clientNames},
}: Snapshot): ReadonlyArray<readonly [string, string]> {
	return Object.entries(bounds)
		.toSorted(([, one], [, other]) => other - one)
		.map(([name, count], index) => [
			index === 0 ? 'bounds hit' : '',
			printable(`${limitText(name)} ${count}×${whoText(boundsBy[name], clientNames)}`),
		]);
}

/** One line for each member that is not fully usable. */
function unusableRows({members}: Snapshot): ReadonlyArray<readonly [string, string]> {
	return members
		.filter(({state}) => state !== 'alive' && state !== 'left')
		.map(
			({id, name, state, why}) =>
				['', `${labelOf(id, name)} is ${state}${why === '' ? '' : `: ${printable(why)}`}`] as const,
		);
}

/** The missing voters, the consequence, and a remedy. */
function missingRows(snapshot: Snapshot): ReadonlyArray<readonly [string, string]> {
	const health = quorumHealthOf(snapshot);
	if (health.missing.length === 0) return [];
	const voters = health.missing.map(
		({id, name, address, state, downMs}) =>
			`${labelOf(id, name)} (${printable(address)}) ` +
			`${state}${downMs === undefined ? '' : ` for ${timeText(downMs)}`}`,
	);
	return [
		['missing', `${voters.join(', ')}; ${meaningOf(health)}`],
		['what helps', remedyOf(health, 'dapss-tui ').replaceAll('`', '')],
	];
}

function percent(share: number): string {
	return `${(share * 100).toFixed(1)} %`;
}

function peersText({members, raft}: Snapshot): string {
	// Versions are shown when they differ, which happens during an upgrade.
	const hasProtocols = new Set(members.map(({protocol}) => protocol).filter(protocol => protocol !== 0)).size > 1;
	return table(
		['NODE', 'ADDRESS', 'STATE', 'ROLE', 'RTT', 'LINK', 'VERSION', ...(hasProtocols ? ['PROTOCOL'] : []), 'WHY'],
		members.map(member => [
			`${labelOf(member.id, member.name)}${member.self ? ' *' : ''}`,
			printable(member.address),
			member.state,
			member.id === raft.leader ? 'leader' : member.voter ? 'voter' : 'learner',
			member.self || member.rttMs === undefined ? '' : `${member.rttMs.toFixed(1)} ms`,
			member.link,
			printable(member.version),
			...(hasProtocols ? [member.protocol === 0 ? '' : String(member.protocol)] : []),
			printable(member.why),
		]),
	);
}

function topicsText({topics}: Snapshot): string {
	if (topics.length === 0) return 'no topics yet: create one with dapss-tui topic create NAME, or subscribe to one';
	// The node's own topics are marked with `*`; a topic with its own retention says so.
	return table(
		['TOPIC', 'KIND', 'SUBSCRIBERS', 'MESSAGES', 'SIZE', 'RATE', 'KEPT'],
		topics.map(topic => [
			`${printable(topic.name)}${topic.subscribed ? ' *' : ''}`,
			topic.durable ? 'durable' : topic.created ? 'created' : 'live',
			String(topic.subscribers.length),
			String(topic.messages),
			bytesText(topic.bytes),
			`${topic.perSecond}/s`,
			topic.retention === undefined
				? ''
				: `${keptText(topic.retention)}${hasOwnRetention(topic) ? ' (its own)' : ''}`,
		]),
	);
}
