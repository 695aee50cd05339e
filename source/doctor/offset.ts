/**
The offset of this machine's clock from the clocks of other nodes of the cluster. A node's snapshot contains its time.
As in NTP, that time is compared with the middle between request and response, so the offset is known to half a round
trip. Pure except `compareClocks`.
*/
import type {Broker} from '../../core/broker.ts';
import {errorMessage} from '../../core/errors.ts';
import {systemClock} from '../../core/io/clock.ts';
import {printable} from '../../core/observe/printable.ts';
import {runDeadline} from '../../core/run-deadline.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {shortId, timeText} from '../output/units.ts';
import {bad, good, type Check} from './outcome.ts';

/**
One request: its times of sending and receiving by this machine's clock, and the time of the node. Milliseconds since
1970.
*/
export type ClockSample = {readonly sentMs: number; readonly receivedMs: number; readonly nodeMs: number};
/** Positive when the node's clock is ahead of ours. The true offset is at most `uncertaintyMs` away. */
export type Offset = {readonly offsetMs: number; readonly uncertaintyMs: number};
export type ComparedClock = Offset & {
	readonly id: string;
	readonly name: string;
	/** The address at which it was asked, and the one that it advertises. */
	readonly address: string;
	readonly advertised: string;
	/** The node runs on this machine, with the same clock. */
	readonly isHere: boolean;
};
export type OffsetFacts = {
	readonly compared: readonly ComparedClock[];
	/** Errors of nodes that did not answer, or the reason why none was asked. */
	readonly failures: readonly string[];
};

/**
A larger offset is reported, milliseconds. NTP keeps clocks within some milliseconds; with 5 s, messages and events of
different machines appear in the wrong order.
*/
export const offsetMsMax = 5000;
/** The sample with the shortest round trip is used. */
const samplesPerNode = 3;
/** Nodes that are asked at most. */
const nodesMax = 8;
/** Timeout for one node, including the connection. */
const nodeMsMax = 3000;
const namedMax = 3;

/** @param samples at least one */
export function offsetOf(samples: readonly ClockSample[]): Offset {
	const {sentMs, receivedMs, nodeMs} = samples.reduce((best, sample) =>
		sample.receivedMs - sample.sentMs < best.receivedMs - best.sentMs ? sample : best,
	);
	return {offsetMs: nodeMs - (sentMs + receivedMs) / 2, uncertaintyMs: (receivedMs - sentMs) / 2};
}

export function judgeOffsets({compared, failures}: OffsetFacts): Check {
	const values = {
		boundMs: offsetMsMax,
		failures,
		compared: compared.map(
			({id, address, offsetMs, uncertaintyMs}) =>
				`${id} ${address} ${Math.round(offsetMs)} ±${uncertaintyMs.toFixed(1)} ms`,
		),
	};
	if (compared.length === 0)
		return good(
			'clock-offset',
			`Not compared with other nodes: ${failures.slice(0, namedMax).join('; ') || 'no node answered'}`,
			values,
		);
	const furthestFirst = compared.toSorted((a, b) => Math.abs(b.offsetMs) - Math.abs(a.offsetMs));
	// Only certain offsets: a slow answer has a large uncertainty.
	const apart = furthestFirst.filter(({offsetMs, uncertaintyMs}) => Math.abs(offsetMs) - uncertaintyMs > offsetMsMax);
	if (apart.length > 0) {
		const named = apart
			.slice(0, namedMax)
			.map(clock => apartText(clock))
			.join(', ');
		const differsFromAll = apart.length === compared.length && compared.length > 1;
		const order = differsFromAll ? '; this one first, since it differs from all others' : '';
		const more = apart.length > namedMax ? ` and ${apart.length - namedMax} more` : '';
		return bad(
			'clock-offset',
			'apart',
			{
				found:
					`The clock of this machine is ${named}${more}; of ${compared.length} compared, ` +
					`${apart.length} ${apart.length === 1 ? 'is' : 'are'} more than ${timeText(offsetMsMax)} away`,
				remedy: `Let NTP set the clocks of all machines (chrony, systemd-timesyncd)${order}`,
			},
			values,
		);
	}

	const [furthest] = furthestFirst;
	const here = compared.every(({isHere}) => isHere) ? '; all of them run on this machine, with its clock' : '';
	return good(
		'clock-offset',
		`${compared.length} ${compared.length === 1 ? 'clock' : 'clocks'} of nodes compared: ` +
			`at most ${timeText(Math.abs(furthest!.offsetMs))} away (± ${timeText(furthest!.uncertaintyMs)}), ` +
			`that of ${nodeText(furthest!)}${here}`,
		values,
	);
}

export type CompareOptions = {
	/** Addresses of nodes of the cluster. The members that they name are asked, too. */
	readonly addresses: readonly string[];
	/** Addresses of nodes on this machine. */
	readonly local: ReadonlySet<string>;
	/** The identity in the data folder: a member with it is asked first, because its folder may be a copy. */
	readonly self?: string | undefined;
	readonly connect: (address: string, timeoutMs: number) => Promise<Pick<Broker, 'snapshot'> & AsyncDisposable>;
	/** Both in milliseconds. @default the clocks of this machine */
	readonly clock?: {readonly wallMs: () => number; readonly monotonicMs: () => number};
};

type Answer = {readonly address: string} & (
	{readonly snapshot: Snapshot; readonly offset: Offset} | {readonly problem: string}
);

/** Ask up to 8 nodes; never rejects. */
export async function compareClocks({
	addresses,
	local,
	self: examined,
	connect,
	clock = {wallMs: () => Date.now(), monotonicMs: () => performance.now()},
}: CompareOptions): Promise<OffsetFacts> {
	const compared = new Map<string, ComparedClock>();
	const failures: string[] = [];
	const asked = new Set<string>();
	let wanted = [...new Set(addresses)];
	// Two rounds: the known nodes, then the members that they name.
	for (let round = 0; round < 2 && wanted.length > 0; round++) {
		const now = wanted.filter(address => !asked.has(address)).slice(0, nodesMax - asked.size);
		for (const address of now) asked.add(address);
		const answers = await Promise.all(
			now.map(async (address): Promise<Answer> => {
				try {
					return {address, ...(await askTime(address, connect, clock))};
				} catch (error) {
					return {address, problem: errorMessage(error)};
				}
			}),
		);
		wanted = [];
		for (const answer of answers) {
			if ('problem' in answer) {
				failures.push(
					answer.problem.includes(answer.address) ? answer.problem : `${answer.address}: ${answer.problem}`,
				);
				continue;
			}

			const {
				snapshot: {self, members, address: advertised},
				address,
			} = answer;
			compared.set(self, {
				...answer.offset,
				id: self,
				name: members.find(({id}) => id === self)?.name ?? '',
				address,
				advertised,
				isHere: local.has(address),
			});
			wanted.push(
				...members
					.filter(({id, state}) => state !== 'left' && state !== 'down' && !compared.has(id))
					.toSorted((one, other) => Number(other.id === examined) - Number(one.id === examined))
					.map(member => member.address),
			);
		}

		wanted = [...new Set(wanted)];
	}

	return {compared: [...compared.values()], failures};
}

async function askTime(
	address: string,
	connect: CompareOptions['connect'],
	clock: NonNullable<CompareOptions['clock']>,
): Promise<{readonly snapshot: Snapshot; readonly offset: Offset}> {
	await using broker = await connect(address, nodeMsMax);
	const samples: ClockSample[] = [];
	let snapshot: Snapshot | undefined;
	const late = Promise.withResolvers<never>();
	using _timer = runDeadline(systemClock, nodeMsMax, () =>
		late.reject(new Error(`no answer within ${timeText(nodeMsMax)}`)),
	);
	for (let sample = 0; sample < samplesPerNode; sample++) {
		const sentMs = clock.wallMs();
		const startMs = clock.monotonicMs();
		snapshot = await Promise.race([broker.snapshot(), late.promise]);
		// The monotonic clock, because the wall clock may be set meanwhile.
		samples.push({sentMs, receivedMs: sentMs + (clock.monotonicMs() - startMs), nodeMs: snapshot.atMs});
	}

	return {snapshot: snapshot!, offset: offsetOf(samples)};
}

function apartText({offsetMs, uncertaintyMs, ...node}: ComparedClock): string {
	return (
		`${timeText(Math.abs(offsetMs))} (± ${timeText(uncertaintyMs)}) ` +
		`${offsetMs > 0 ? 'behind' : 'ahead of'} that of ${nodeText(node)}`
	);
}

function nodeText({id, name, address}: Pick<ComparedClock, 'id' | 'name' | 'address'>): string {
	return `${printable(name) || shortId(id)} (${printable(address)})`;
}
