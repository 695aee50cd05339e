/**
Conversion of snapshots and events of the previous release: missing fields get neutral values, and a `dead` member
becomes unreachable or down. Whole snapshots pass unchanged. A node of this release that leaves a field out has a fault,
and gets the same values.
*/
import type {MemberState, RecordedEvent} from '../events.ts';
import type {Counters, MemberSnapshot, RaftSnapshot, Snapshot, TopicSnapshot} from '../snapshot.ts';

type OldState = MemberState | 'dead';
type Older<Now, Since extends keyof Now> = Omit<Now, Since> & Partial<Pick<Now, Since>>;
type OldMember = Omit<Older<MemberSnapshot, 'name' | 'version' | 'protocol' | 'reached' | 'cause' | 'via'>, 'state'> & {
	readonly state: OldState;
};
type OldSnapshot = Omit<
	Older<Snapshot, 'name' | 'protocol' | 'foreign' | 'duplicates' | 'cuts'>,
	'members' | 'raft' | 'counters'
> & {
	readonly counters: Older<Counters, 'ignored'>;
	readonly members: readonly OldMember[];
	readonly raft: Older<RaftSnapshot, 'quorum'>;
};

const refused = 'connection refused';

export function currentSnapshot(received: Snapshot): Snapshot {
	const snapshot = received as OldSnapshot;
	if (isWhole(snapshot)) return received;
	const {raft} = snapshot;
	const majority = raft.reachableVoters * 2 > raft.voters.length;
	return {
		name: '',
		protocol: 1,
		foreign: [],
		duplicates: [],
		cuts: [],
		...present(snapshot),
		counters: {ignored: {}, ...present(snapshot.counters)},
		raft: {quorum: raft.hasQuorum ? 'held' : majority ? 'electing' : 'lost', ...present(raft)},
		members: snapshot.members.map(member => ({
			name: '',
			version: member.self ? snapshot.version : '',
			protocol: member.self ? 1 : 0,
			reached: member.self || member.state === 'alive',
			cause: '',
			via: undefined,
			...present(member),
			state: currentState(member.state, member.why),
		})),
		topics: snapshot.topics.map(topic => ({...topic, missing: (topic as Partial<TopicSnapshot>).missing ?? 0})),
		events: snapshot.events.map(event => currentEvent(event)),
	};
}

/** The fields without those that are `undefined`, which would replace a neutral value. */
function present<Fields extends object>(fields: Fields): Fields {
	return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined)) as Fields;
}

/** Whether no field is missing that a node of protocol 1 does not have. */
function isWhole({protocol, name, foreign, duplicates, cuts, counters, raft, members, topics}: OldSnapshot): boolean {
	return (
		[protocol, name, foreign, duplicates, cuts, counters.ignored, raft.quorum].every(
			field => field !== undefined,
		) &&
		members.every(member =>
			[member.name, member.version, member.protocol, member.reached, member.cause].every(
				field => field !== undefined,
			),
		) &&
		topics.every(({missing}: Partial<TopicSnapshot>) => missing !== undefined)
	);
}

export function currentEvent(event: RecordedEvent): RecordedEvent {
	return event.type === 'member' && (event.state as OldState) === 'dead'
		? {...event, state: currentState('dead', event.why ?? '')}
		: event;
}

function currentState(state: OldState, why: string): MemberState {
	if (state !== 'dead') return state;
	return why === refused ? 'down' : 'unreachable';
}
