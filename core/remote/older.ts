/**
Conversion of snapshots and events of the previous release: missing fields get neutral values, and a `dead` member
becomes unreachable or down. Snapshots of this release pass unchanged.
*/
import type {MemberState, RecordedEvent} from '../events.ts';
import type {Counters, MemberSnapshot, RaftSnapshot, Snapshot} from '../snapshot.ts';

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
	if (snapshot.protocol !== undefined) return received;
	const {raft} = snapshot;
	const majority = raft.reachableVoters * 2 > raft.voters.length;
	return {
		name: '',
		protocol: 1,
		foreign: [],
		duplicates: [],
		cuts: [],
		...snapshot,
		counters: {ignored: {}, ...snapshot.counters},
		raft: {quorum: raft.hasQuorum ? 'held' : majority ? 'electing' : 'lost', ...raft},
		members: snapshot.members.map(member => ({
			name: '',
			version: member.self ? snapshot.version : '',
			protocol: member.self ? 1 : 0,
			reached: member.self || member.state === 'alive',
			cause: '',
			via: undefined,
			...member,
			state: currentState(member.state, member.why),
		})),
		events: snapshot.events.map(event => currentEvent(event)),
	};
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
