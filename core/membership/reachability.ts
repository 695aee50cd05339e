/**
Turns the evidence into conclusions: the state of each member with its reason, and the state of the quorum. Every
surface (status, check, peers, events, console, errors) shows these two results and concludes nothing of its own, so
that no two surfaces contradict each other. Pure.

A member is usable when a link to it works, its disk has room, it follows a leader, and its log advances. A member that
only answers pings is not usable.
*/
import type {MemberState, QuorumState} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Called} from '../ports.ts';
import {refusedReason, type MemberState as Standing} from '../swim/members.ts';
import type {PairFault} from './pair-faults.ts';

/** The error of the last call to the peer: a refusal code of the handshake, or an error code of the system. */
export type CallFailure = {readonly code: string; readonly reason: string};

export type MemberFacts = {
	readonly self: boolean;
	/** The state in the previous assessment; `undefined` for a new member. */
	readonly former: MemberState | undefined;
	/** The state in failure detection. */
	readonly standing: Standing;
	readonly standingWhy: string;
	/**
	For how long nothing arrived on any channel; on the link; by datagram. Counted from when traffic could be expected.
	*/
	readonly unheardMs: number;
	readonly unlinkedMs: number;
	readonly silentMs: number;
	/** Something arrived over the link lately, and the peer does not report (in its SWIM row) that the link is down. */
	readonly isLinked: boolean;
	/** A member without a working link for longer than this is degraded. */
	readonly limitMs: number;
	/** Whether this node can call its advertised address. A link does not prove it: the member may have opened it. */
	readonly called: Called;
	readonly address: string;
	/** No datagram passes between it and any other present member. */
	readonly isUdpIsolated: boolean;
	/** The error of the last call to it, when there is no link. */
	readonly failure: CallFailure | undefined;
	/** The relay through which this node reaches it, when not directly. */
	readonly via: NodeId | undefined;
	/** Pairs that include it and do not reach each other: those with this node, and others that it is blamed for. */
	readonly faults: readonly PairFault[];
	/** It reports that its disk is full. */
	readonly isDiskFull: boolean;
	/**
	For how long it has reported no leader while there is one; `undefined` when it follows a leader or this is unknown.
	*/
	readonly leaderlessMs: number | undefined;
	/** The number of entries that it lacks, when its log does not advance. */
	readonly behind: number | undefined;
	readonly name: (id: NodeId) => string;
	/** This node. */
	readonly observer: NodeId;
	readonly id: NodeId;
};

export type Assessment = {
	readonly state: MemberState;
	/** Empty when alive. */
	readonly why: string;
	/** The primary cause as one word; empty when alive. */
	readonly cause: Cause;
	/** Equal for equal causes, whatever the measured numbers: only a new cause makes a new event. */
	readonly key: string;
};

/**
`uncalled`: it opened the working link itself, and a call to its address fails. `tcp`, `udp`: blocked. `cut`: not
reached directly at all. `unlinked`: no link works. `disk-full`: it stores no messages. `returning`: heard again, but no
link yet. The mismatches are refusals of the handshake.
*/
export type Cause =
	| ''
	| 'left'
	| 'down'
	| 'unreachable'
	| 'suspect'
	| 'uncalled'
	| 'tcp'
	| 'udp'
	| 'cut'
	| 'unlinked'
	| 'disk-full'
	| 'leaderless'
	| 'behind'
	| 'returning'
	| Mismatch;
type Mismatch = 'not-authenticated' | 'protocol' | 'flags' | 'cluster' | 'identity';

/** The state of a member that follows from the facts. */
export function assess(facts: MemberFacts): Assessment {
	const {standing, self, failure, isLinked} = facts;
	const mismatch = isLinked || self ? undefined : mismatchOf(failure);
	// A process answers at its address: newer evidence than a goodbye or silence.
	if (mismatch)
		return {state: mismatch.cause === 'identity' ? 'unreachable' : 'degraded', ...mismatch, key: mismatch.cause};
	if (self) return usable(facts);
	switch (standing) {
		case 'left':
			return {state: 'left', why: 'stopped on purpose', cause: 'left', key: 'left'};
		case 'dead':
			return facts.standingWhy === refusedReason
				? {state: 'down', why: refusedReason, cause: 'down', key: 'down'}
				: {
						state: 'unreachable',
						why: `no answer for ${ageText(facts.unheardMs)}${codeText(failure)}`,
						cause: 'unreachable',
						key: 'unreachable',
					};
		case 'suspect':
			return {
				state: 'suspect',
				why: `no answer for ${ageText(facts.unheardMs)}`,
				cause: 'suspect',
				key: 'suspect',
			};
		case 'alive':
			return usable(facts);
		default:
			return standing satisfies never;
	}
}

/** For a member that runs and is heard, directly or through others: whether it is usable. */
function usable(facts: MemberFacts): Assessment {
	const {self, former, isLinked, unlinkedMs, limitMs, leaderlessMs, behind, faults, via, name, called} = facts;
	const reasons: Reason[] = [];
	if (isLinked && called.state === 'failed') reasons.push(uncalledReason(facts, called.code));
	else if (faults.length > 0) reasons.push(faultReason(facts));
	else if (!self && !isLinked && unlinkedMs >= limitMs)
		reasons.push({cause: 'unlinked', why: `no working link for ${ageText(unlinkedMs)}${codeText(facts.failure)}`});
	// A full disk may explain the other two.
	if (facts.isDiskFull) reasons.push({cause: 'disk-full', why: diskFullWhy});
	if (leaderlessMs !== undefined)
		reasons.push({cause: 'leaderless', why: `follows no leader for ${ageText(leaderlessMs)}`});
	if (behind !== undefined)
		reasons.push({
			cause: 'behind',
			why: `${behind.toLocaleString('en-US')} ${behind === 1 ? 'entry' : 'entries'} behind and not catching up`,
		});
	if (reasons.length > 0) {
		const served = via === undefined ? '' : `: served through ${name(via)}`;
		return {
			state: 'degraded',
			why: `${reasons.map(({why}) => why).join('; ')}${served}`,
			cause: reasons[0]!.cause,
			key: reasons.map(({cause, between = ''}) => `${cause} ${between}`).join(';'),
		};
	}

	// It is heard again and has no link: no evidence that it can be used, so the former state stays.
	const isDoubtful = !self && !isLinked && former !== undefined && former !== 'alive' && former !== 'degraded';
	return isDoubtful
		? {state: former, why: 'heard again, no link yet', cause: 'returning', key: former}
		: {state: 'alive', why: '', cause: '', key: ''};
}

/** Why a member with a full disk is degraded. */
export const diskFullWhy = 'its disk is full: it stores no new messages';

/** Advice for an operator when a node advertises, or may advertise, a wrong address. */
export const advertiseQuestion = 'is --advertise right?';

type Reason = {readonly cause: Cause; readonly why: string; readonly between?: string};

/**
The member's address is wrong, so datagrams do not arrive there either: a blocked channel is not reported besides.
*/
function uncalledReason({address, isUdpIsolated}: MemberFacts, code: string): Reason {
	const why =
		{
			ECONNREFUSED: ' (connection refused)',
			identity: ' (another node answers there)',
			'': ' (no node answers there)',
		}[code] ?? codeText({code, reason: ''});
	return {
		cause: 'uncalled',
		why: `${isUdpIsolated ? 'no node can call' : 'it cannot be called at'} ${address}${why}: ${advertiseQuestion}`,
	};
}

function faultReason({
	self,
	address,
	called,
	faults,
	isUdpIsolated,
	observer,
	id,
	name,
	unlinkedMs,
	silentMs,
	unheardMs,
	failure,
}: MemberFacts): Reason {
	const own = id === observer ? undefined : faults.find(({between}) => between.includes(observer));
	const others = faults.filter(fault => fault !== own).map(({between}) => name(between.find(end => end !== id)!));
	const {link, datagram} = own ?? {
		link: faults.some(fault => fault.link),
		datagram: faults.some(fault => fault.datagram),
	};
	const cause = link && datagram ? 'cut' : link ? 'tcp' : 'udp';
	const between = faults.map(fault => fault.between.join()).join(' ');
	const reason = (why: string): Reason => ({cause, why, between});
	if (!own) {
		const to = listText(others);
		// This node cannot see whether others can call its address.
		const orWrong =
			self && cause === 'udp' && isUdpIsolated ? `, or no node can call ${address}: ${advertiseQuestion}` : '';
		return reason(
			cause === 'cut'
				? `it and ${to} do not reach each other`
				: `${cause === 'tcp' ? 'TCP' : 'UDP'} blocked between it and ${to}${orWrong}`,
		);
	}

	const also = others.length > 0 ? `, nor between it and ${listText(others)}` : '';
	switch (cause) {
		case 'cut':
			return reason(
				'not reached directly for ' +
					`${ageText(Math.max(unheardMs, Math.min(unlinkedMs, silentMs)))}${codeText(failure)}${also}`,
			);
		case 'tcp':
			return reason(
				`TCP blocked: datagrams arrive, no link for ${ageText(unlinkedMs)}${codeText(failure)}${also}`,
			);
		case 'udp':
			return reason(
				`UDP blocked: no datagram for ${ageText(silentMs)}, ` +
					`${called.state === 'works' ? 'TCP works' : 'the link that it opened works'}${also}`,
			);
		default:
			return cause satisfies never;
	}
}

/** A process answers at the address of the member, but the two cannot communicate. */
function mismatchOf(failure: CallFailure | undefined): {readonly why: string; readonly cause: Mismatch} | undefined {
	switch (failure?.code) {
		case 'not-authenticated':
			return {cause: failure.code, why: `has another secret than this node${refusedKeyText(failure.reason)}`};
		case 'protocol':
			return {
				cause: failure.code,
				why: /speaks protocol .*/.exec(failure.reason)?.[0] ?? 'speaks another version of the protocol',
			};
		case 'flags':
			return {cause: failure.code, why: /has .*/.exec(failure.reason)?.[0] ?? 'has other security settings'};
		case 'cluster':
			return {cause: failure.code, why: 'belongs to another cluster of this name'};
		case 'identity':
			return {cause: failure.code, why: 'another node answers at its address'};
		default:
			return undefined;
	}
}

/** The own key that the peer does not accept, as the reason of its refusal names it. */
function refusedKeyText(reason: string): string {
	return /: it does not accept the key [\da-f]{16}/.exec(reason)?.[0] ?? '';
}

export type QuorumFacts = {
	readonly voters: readonly NodeId[];
	readonly leader: NodeId | undefined;
	/**
	Whether the voter is this node, or is reached directly or through a relay. On a leader: heard by Raft within an
	election timeout (check-quorum).
	*/
	readonly reaches: (voter: NodeId) => boolean;
};

export type QuorumView = {
	readonly state: QuorumState;
	readonly leader: NodeId | undefined;
	readonly voters: number;
	readonly reachable: number;
	readonly needed: number;
};

/** The number of voters that form a majority. */
export function quorumSize(voters: number): number {
	return Math.floor(voters / 2) + 1;
}

/** The state of the quorum that follows from the reachable voters. */
export function quorumOf({voters, leader, reaches}: QuorumFacts): QuorumView {
	const reachable = voters.filter(voter => reaches(voter)).length;
	const needed = quorumSize(voters.length);
	// The count decides first: "lost" always means too few reachable voters, and "held" never does, whatever the known
	// leader.
	const state = reachable < needed ? 'lost' : leader === undefined ? 'electing' : 'held';
	return {state, leader, voters: voters.length, reachable, needed};
}

/** A duration for people: `0.9 s`, `4 s`, `2 min`, `3 h`. Rounded down. */
export function ageText(ms: number): string {
	const s = ms / 1000;
	if (s < 1) return `${(Math.floor(s * 10) / 10).toFixed(1)} s`;
	if (s < 60) return `${Math.floor(s)} s`;
	return s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
}

function codeText(failure: CallFailure | undefined): string {
	return failure === undefined || failure.code === '' ? '' : ` (${failure.code})`;
}

function listText(names: readonly string[]): string {
	if (names.length <= 3)
		return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
	return `${names.slice(0, 2).join(', ')} and ${names.length - 2} more`;
}
