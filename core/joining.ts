/**
How a node becomes a member: it asks those it was told of, or hears of, until the leader has taken it in through the log. Until then
it keeps trying, and says what it waits for.
*/
import {decode} from './codec.ts';
import type {JoinAnswer} from './control.ts';
import {DapssError, errorMessage} from './errors.ts';
import {isNodeId, type NodeId} from './message.ts';
import {encodeControl, kinds} from './wire.ts';

/** One question to one node over a link of its own. */
export type Ask = (address: string, frame: Buffer) => Promise<Buffer>;

export type JoiningOptions = {
	readonly id: NodeId;
	readonly address: string;
	readonly clusterId: string;
	/** Those to ask, at this moment. */
	readonly candidates: () => readonly string[];
	readonly ask: Ask;
	/** What is waited for, in words that follow "waiting for". */
	readonly tell: (detail: string) => void;
	readonly wait: (ms: number) => Promise<void>;
	readonly isStopped: () => boolean;
};

const retryMs = 300;

export type Joined = Extract<JoinAnswer, {type: 'joined'}>;

/** Resolves when the cluster has taken this node in; `undefined` when it was stopped first. @throws `refused`, `not-authenticated` */
export async function join(options: JoiningOptions): Promise<Joined | undefined> {
	const {id, address, clusterId, candidates, ask, tell, wait, isStopped} = options;
	const request = encodeControl('join', {id, address, clusterId});
	let leader: string | undefined;
	while (!isStopped()) {
		for (const candidate of leader === undefined ? candidates() : [leader, ...candidates()]) {
			leader = undefined;
			try {
				// oxlint-disable-next-line no-await-in-loop -- one after the other
				const answer = parseJoinAnswer(await ask(candidate, request));
				if (answer?.type === 'joined') return answer;
				if (answer?.type === 'refused') throw new DapssError('refused', answer.reason);
				if (answer?.type === 'ask') leader = answer.address;
				tell(answer?.type === 'wait' ? `${candidate} to take this node in: ${answer.reason}` : `${leader ?? candidate} to take this node in`);
				if (leader !== undefined) break;
			} catch (error) {
				if (error instanceof DapssError && (error.code === 'not-authenticated' || error.code === 'refused')) throw error;
				tell(silenceOf(candidate, error));
			}
		}

		// oxlint-disable-next-line no-await-in-loop
		if (leader === undefined) await wait(retryMs);
	}

	return undefined;
}

/** `10.0.0.7:5000 to answer (ECONNREFUSED)` */
function silenceOf(candidate: string, error: unknown): string {
	const code = ((error as Error | undefined)?.cause as NodeJS.ErrnoException | undefined)?.code;
	return `${candidate} to answer (${typeof code === 'string' ? code : errorMessage(error).replace(`${candidate} `, '')})`;
}

/** What a node that wants to join says. */
export function parseJoin(frame: Buffer): {readonly id: NodeId; readonly address: string; readonly clusterId: string} | undefined {
	if (frame[0] !== kinds.join) return undefined;
	const value = decode(frame.subarray(1));
	if (typeof value !== 'object' || value === null) return undefined;
	const {id, address, clusterId} = value as Record<string, unknown>;
	return isNodeId(id) && isShortText(address) && address !== '' && isShortText(clusterId) ? {id, address, clusterId} : undefined;
}

/** The answer to it; `undefined` when it is none. */
export function parseJoinAnswer(frame: Buffer): JoinAnswer | undefined {
	if (frame[0] !== kinds.joined) return undefined;
	const value = decode(frame.subarray(1));
	if (typeof value !== 'object' || value === null) return undefined;
	const {type, reason, leader, address, clusterId, members} = value as Record<string, unknown>;
	switch (type) {
		case 'wait':
		case 'refused': return isShortText(reason) ? {type, reason} : undefined;
		case 'ask': return isNodeId(leader) && isShortText(address) ? {type, leader, address} : undefined;
		case 'joined': {
			const areMembers = (list: unknown): list is Array<[NodeId, string]> => Array.isArray(list) && list.length <= 4096 && list.every(item => Array.isArray(item) && isNodeId(item[0]) && isShortText(item[1]));
			return isShortText(clusterId) && areMembers(members) ? {type, clusterId, members} : undefined;
		}

		default: return undefined;
	}
}

function isShortText(value: unknown): value is string {
	return typeof value === 'string' && value.length <= 1024;
}
