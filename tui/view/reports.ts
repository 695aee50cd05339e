/**
Text of the overlays: `:status`, `:check`, `:doctor`, `:leader`, `:counters`, the details of a row, and the help. Pure:
lines of spans.
*/
import {findingsOf} from '../../core/observe/findings.ts';
import {clientText, limitText} from '../../core/observe/limit-text.ts';
import {shortId, type Label} from '../../core/observe/node-label.ts';
import {printable, wrapCells} from '../../core/observe/printable.ts';
import {hasOwnRetention, keptText} from '../../core/observe/retention-text.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {MemberSnapshot, Snapshot, TopicSnapshot} from '../../core/snapshot.ts';
import {keySign, sections, type Keymap} from '../input/keymap.ts';
import {words} from '../input/prompt-commands.ts';
import type {Report} from '../input/prompt-request.ts';
import type {Examination, ExaminedCheck} from '../source/source.ts';
import type {Tone} from '../theme.ts';
import type {Span} from './columns.ts';
import {electionLines, quorumLines} from './leadership.ts';
import {partitionSentences, partitionTimes} from './partition.ts';
import {leaderWords, quorumWords, raftLines} from './raft.ts';
import {
	age,
	brief,
	bytes,
	clockTime,
	count,
	duration,
	eventSpan,
	names,
	plural,
	roundTrip,
	stateTones,
	wrapWords,
} from './words.ts';
import {wrapLines} from './wrap.ts';

export type Line = readonly Span[];

/** Cells of a line of a reason, which fit into the narrowest overlay. */
const whyCells = 44;

export const field = (name: string, text: string, tone: Tone = 'plain'): Line => [
	{text: name.padEnd(14), tone: 'muted'},
	{text, tone},
];
export const heading = (text: string): Line => [{text, tone: 'title'}];
export const empty: Line = [];

export function reportTitle(report: Report): string {
	return {
		status: 'Status',
		check: 'Check',
		leader: 'Leader',
		counters: 'Counters',
		quorum: 'Quorum',
		elections: 'Elections',
	}[report];
}

export function reportLines(report: Report, snapshot: Snapshot): readonly Line[] {
	switch (report) {
		case 'status':
			return statusLines(snapshot);
		case 'check':
			return checkLines(snapshot);
		case 'leader':
			return [
				field('leader', leaderWords(snapshot).text, leaderWords(snapshot).tone),
				field('quorum', quorumWords(snapshot).text, quorumWords(snapshot).tone),
				empty,
				...raftLines(snapshot, 100),
			];
		case 'counters':
			return counterLines(snapshot);
		case 'quorum':
			return quorumLines(snapshot);
		case 'elections':
			return electionLines(snapshot);
		default: {
			const unknown: never = report;
			return unknown;
		}
	}
}

function statusLines(snapshot: Snapshot): readonly Line[] {
	const {members, topics, counters, gossip} = snapshot;
	return [
		field(
			'node',
			`${named(snapshot.self, members)} at ${printable(snapshot.address)}, ` +
				`version ${printable(snapshot.version)}`,
		),
		field('cluster', `${printable(snapshot.cluster)} (${printable(snapshot.clusterId)})`),
		field(
			'phase',
			`${snapshot.phase}${snapshot.detail === '' ? '' : `: ${printable(snapshot.detail)}`}, ` +
				`up ${duration(snapshot.uptimeMs)}`,
			snapshot.phase === 'running' ? 'good' : 'warning',
		),
		field('leader', leaderWords(snapshot).text, leaderWords(snapshot).tone),
		field('quorum', quorumWords(snapshot).text, quorumWords(snapshot).tone),
		field(
			'members',
			`${plural(members.length, 'member')}, ${members.filter(member => member.state === 'alive').length} ` +
				`alive, ${snapshot.raft.voters.length} voting`,
		),
		field('partition', partitionSentences(snapshot)[0]!.text, partitionSentences(snapshot)[0]!.tone),
		...partitionTimes(snapshot).map(span => field('', span.text, span.tone)),
		field(
			'topics',
			`${plural(topics.length, 'topic')}, ${topics.filter(topic => topic.subscribed).length} subscribed here`,
		),
		field('messages', `${count(counters.delivered)} delivered, ${count(counters.published)} published`),
		field(
			'gossip',
			`fanout ${gossip.fanout}, ${(gossip.duplicates * 100).toFixed(1)} % duplicates, ` +
				`${(gossip.misses * 100).toFixed(1)} % by repair, ${count(gossip.held)} held back`,
		),
		field('lamport', count(snapshot.lamport)),
		field(
			'security',
			snapshot.insecure.length === 0
				? 'authenticated, signed, encrypted'
				: `SWITCHED OFF: ${snapshot.insecure.map(part => printable(part)).join(', ')}`,
			snapshot.insecure.length === 0 ? 'good' : 'bad',
		),
		field(
			'faults',
			snapshot.faults.length === 0 ? 'none injected' : snapshot.faults.map(fault => printable(fault)).join(' · '),
			snapshot.faults.length === 0 ? 'plain' : 'warning',
		),
	];
}

/** The findings of `dapss-tui check`, then the checks that passed. */
export function checkLines(snapshot: Snapshot): readonly Line[] {
	const {raft, members, partition, insecure, cuts} = snapshot;
	const findings = findingsOf(snapshot, {command: ':'});
	const isSound = findings.every(({code}) => code === 'warning');
	const isWell = (is: boolean, text: string): readonly Line[] =>
		is
			? [
					[
						{text: 'ok   ', tone: 'good'},
						{text, tone: 'plain'},
					],
				]
			: [];
	return [
		...findings.flatMap(({code, problem, advice}): readonly Line[] => [
			[
				{text: code === 'warning' ? 'WARN ' : 'BAD  ', tone: code === 'warning' ? 'warning' : 'bad'},
				{text: printable(problem), tone: 'plain'},
			],
			[{text: `     → ${printable(advice)}`, tone: 'muted'}],
		]),
		...isWell(isSound, 'healthy: every voter is usable'),
		...isWell(raft.quorum === 'held', `quorum ${quorumWords(snapshot).text}`),
		...isWell(raft.leader !== undefined, `leader: ${leaderWords(snapshot).text}`),
		...isWell(
			members.every(({state}) => state === 'alive'),
			`${plural(members.length, 'member')}, all alive`,
		),
		...isWell(partition.state === 'whole' && cuts.length === 0, 'no partition, and no pair of members is cut off'),
		...isWell(insecure.length === 0, 'authenticated, signed, encrypted'),
	];
}

const checkMarks: Readonly<Record<ExaminedCheck['level'], readonly [string, Tone]>> = {
	ok: ['ok   ', 'good'],
	warning: ['WARN ', 'warning'],
	problem: ['BAD  ', 'bad'],
};

/** The result of `doctor`, problems first. */
export function examinationLines(examination: Examination | undefined, width: number): readonly Line[] {
	if (!examination)
		return [[{text: 'The machine is examined: listening for other nodes, and timing the disk …', tone: 'muted'}]];
	const cells = Math.max(20, width - 6);
	const wrapped = (text: string, tone: Tone, first: Span, rest = ' '.repeat(5)): readonly Line[] =>
		wrapWords(printable(text), cells)
			.flatMap(line => wrapCells(line, cells, 8))
			.map((line, index): Line => [index === 0 ? first : {text: rest, tone}, {text: line, tone}]);
	if ('problem' in examination)
		return wrapped(`The machine could not be examined: ${examination.problem}`, 'plain', {
			text: 'BAD  ',
			tone: 'bad',
		});
	const {summary, checks, left} = examination;
	const badFirst = (['problem', 'warning', 'ok'] as const).flatMap(level =>
		checks.filter(check => check.level === level),
	);
	return [
		...wrapped(summary, 'title', {text: '', tone: 'title'}, ''),
		empty,
		...badFirst.flatMap(({code, level, reason, found, remedy}) => {
			const [mark, tone] = checkMarks[level];
			return [
				...wrapped(`${code}${reason === null ? '' : ` (${reason})`}: ${found}`, 'plain', {text: mark, tone}),
				...(remedy === null ? [] : wrapped(`→ ${remedy}`, 'muted', {text: ' '.repeat(5), tone: 'muted'})),
			];
		}),
		...(left.length === 0
			? []
			: [
					empty,
					...wrapped(
						`Not examined, because of the problems above: ${left.join(', ')}`,
						'muted',
						{text: '', tone: 'muted'},
						'',
					),
				]),
	];
}

function counterLines({counters, gossip}: Snapshot): readonly Line[] {
	const table = (values: Readonly<Record<string, number>>, text = printable): readonly Line[] => {
		const entries = Object.entries(values).toSorted((a, b) => b[1] - a[1]);
		return entries.length === 0
			? [field('', 'none', 'good')]
			: entries.map(([name, value]) => field('', `${count(value).padStart(12)}  ${text(name)}`, 'warning'));
	};

	return [
		field('published', count(counters.published)),
		field('delivered', count(counters.delivered)),
		field('received', bytes(counters.receivedBytes)),
		field('sent', bytes(counters.sentBytes)),
		field('held', count(gossip.held)),
		empty,
		heading('Rejected'),
		...table(counters.rejected),
		...(Object.keys(counters.ignored).length === 0
			? []
			: [empty, heading('Ignored: foreign multicast'), ...table(counters.ignored)]),
		empty,
		heading('Exceeded limits'),
		...table(counters.bounds, limitText),
		...Object.entries(counters.boundsBy ?? {}).flatMap(([name, clients]) =>
			clients.map(([client, times]) =>
				field(
					'',
					`${count(times).padStart(12)}  ${limitText(name)}: ${clientText(client, counters.clientNames)}`,
					'warning',
				),
			),
		),
	];
}

/** Name and id in full. */
export function named(id: string, members: Snapshot['members']): string {
	const name = members.find(member => member.id === id)?.name;
	return name ? `${printable(name)} (${printable(id)})` : printable(id);
}

export function peerLines(member: MemberSnapshot | undefined, key: string, label: Label = shortId): readonly Line[] {
	if (!member) return [field('peer', `${printable(key)} is no longer a member`, 'warning')];
	return [
		...(member.name ? [field('name', printable(member.name), 'accent')] : []),
		field('id', `${printable(member.id)}${member.self ? ' (this node)' : ''}`),
		field('address', printable(member.address)),
		field('state', member.state, stateTones[member.state]),
		...(member.why === ''
			? []
			: wrapCells(printable(member.why), whyCells, 4).map((text, index) =>
					field(index === 0 ? 'why' : '', text, stateTones[member.state]),
				)),
		field('vote', member.voter ? 'voter' : 'learner: receives the log, has no vote'),
		field('round trip', member.rttMs === undefined ? 'no recent datagram' : roundTrip(member.rttMs)),
		...(member.downMs === undefined ? [] : [field('since', `${age(member.downMs)} ago`, stateTones[member.state])]),
		...(member.via === undefined ? [] : [field('reached', `through ${label(member.via)}`, 'warning')]),
		field(
			'heard',
			member.self ? '' : member.heardMsAgo === undefined ? 'never' : `${duration(member.heardMsAgo)} ago`,
		),
		field('link', member.link, member.link === 'down' ? 'bad' : 'plain'),
		field('queue', `${bytes(member.queuedBytes)} waiting to be sent`),
		field('match', member.match === undefined ? 'known to the leader only' : count(member.match)),
		field('incarnation', count(member.incarnation)),
		field(
			'version',
			member.version === ''
				? 'unknown: no link yet'
				: `${printable(member.version)}, protocol ${member.protocol}`,
		),
	];
}

/** A whole event: a row of the list may cut it. */
export function eventLines(event: RecordedEvent, atMs: number, width: number): readonly Line[] {
	const {text, tone} = eventSpan(event, Number.POSITIVE_INFINITY);
	return wrapLines(
		[
			field(
				'at',
				`${clockTime(event.at)}, ${age(Math.max(0, atMs - event.at))}${atMs - event.at < 1000 ? '' : ' ago'}`,
			),
			field('type', printable(event.type)),
			field('event', text, tone),
		],
		width,
	);
}

export function topicLines(
	topic: TopicSnapshot | undefined,
	key: string,
	width: number,
	label: Label = shortId,
): readonly Line[] {
	if (!topic) return [field('topic', `${printable(key)} is gone`, 'warning')];
	return [
		...wrapCells(printable(topic.name), Math.max(10, width - 14), 8).map((text, index) =>
			field(index === 0 ? 'topic' : '', text),
		),
		field('kind', topic.durable ? 'durable: agreed, totally ordered' : 'live: spread by gossip'),
		field('subscribed', topic.subscribed ? 'yes' : 'no', topic.subscribed ? 'good' : 'plain'),
		field('subscribers', `${topic.subscribers.length}`),
		...wrapWords(names(topic.subscribers, label, topic.subscribers.length), Math.max(10, width - 14)).map(text =>
			field('', text.trim()),
		),
		field('retained', `${plural(topic.messages, 'message')}, ${bytes(topic.bytes)}`),
		field(
			'kept',
			topic.retention
				? `${keptText(topic.retention)}${hasOwnRetention(topic) ? ' (its own)' : ', as the node is configured'}`
				: 'unknown: a node of an earlier version',
		),
		field(
			'delivered',
			`${count(topic.delivered)} since the start, ${brief(topic.rates?.delivered ?? topic.perSecond)}/s`,
		),
		field(
			'stored',
			`${brief(topic.perSecond)}/s` +
				(topic.rates
					? `, of which published here ${brief(topic.rates.published)}/s; ${bytes(topic.rates.bytes)}/s`
					: ''),
		),
		field('held', `${count(topic.held)} waiting for an earlier message`, topic.held > 0 ? 'warning' : 'plain'),
		...(topic.missing > 0
			? [field('missing', `${count(topic.missing)} lost to a damaged disk and not restored from peers`, 'bad')]
			: []),
		field('last lamport', count(topic.lastLamport)),
	];
}

/** The help, generated from the key map and the commands, so that it is complete. */
export function helpLines(keymap: Keymap): readonly Line[] {
	const lines: Line[] = [];
	for (const section of sections) {
		lines.push(heading(section));
		for (const binding of keymap.bindings.filter(row => row.section === section && row.context !== 'confirm')) {
			const where = binding.context === 'overlay' ? ' (in a window)' : '';
			lines.push([
				{
					text: `  ${binding.keys
						.map(key => keySign(key))
						.join(' ')
						.padEnd(20)}`,
					tone: 'accent',
				},
				{text: `${binding.help}${where}`, tone: 'plain'},
			]);
		}

		lines.push(empty);
	}

	lines.push(heading('Commands'));
	for (const [name, {usage, help}] of Object.entries(words))
		lines.push([
			{text: `  ${`:${name} ${usage}`.padEnd(28)} `, tone: 'accent'},
			{text: help, tone: 'plain'},
		]);
	lines.push(
		empty,
		heading('Marks'),
		[
			{
				text:
					'  ● alive  ◑ degraded  ◐ suspect  × unreachable or down  ○ left   ★ leader   ↻ received by ' +
					'repair   ✓ subscribed here',
				tone: 'plain',
			},
		],
		[
			{
				text:
					'  ↛ does not hear that node, which hears it   … cut off   ‹U+202E› ‹ff› ␛ unprintable ' +
					'characters and bytes',
				tone: 'plain',
			},
		],
	);
	return lines;
}
