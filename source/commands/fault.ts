/**
`fault cut | isolate | delay | drop | heal`: nodes that were started with `--faults` lose or delay traffic, for drills
and tests.
*/
import type {Broker, FaultCommand} from '../../core/broker.ts';
import {DapssError, errorMessage} from '../../core/errors.ts';
import type {NodeId} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import {expectInput} from '../arguments/input.ts';
import {parseDuration, parseNumber} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {memberOf} from '../nodes/members.ts';
import {reach, withNode} from '../nodes/reach.ts';
import {interruptible} from '../process/interruptible.ts';

const kinds = ['cut', 'isolate', 'delay', 'drop', 'heal'] as const;
const forMsDefault = 10_000;

export async function run(context: Context): Promise<void> {
	const {input, flags} = context;
	expectInput(context, 1, 3, `fault ${kinds.join(', ')}`);
	const [kind, ...rest] = input;
	if (kind === 'heal' && rest.length > 0)
		throw new DapssError(
			'usage',
			`Expected fault heal without arguments, got ${JSON.stringify(rest[0])}: it ends the faults of all members`,
		);
	const forMs = flags.for === undefined ? forMsDefault : parseDuration(flags.for, '--for');
	// Every fault ends by itself: nobody may be there to end it.
	if (forMs === 0)
		throw new DapssError('usage', `Expected --for to be longer than nothing, such as 10s, got ${flags.for!}`);
	switch (kind) {
		case 'cut':
			return cut(context, rest, forMs);
		case 'isolate':
			return isolate(context, rest, forMs);
		case 'delay':
			return here(context, {
				type: 'delay',
				ms: parseDuration(only(rest, 'fault delay TIME'), 'the delay', 60_000),
				forMs,
			});
		case 'drop':
			return here(context, {
				type: 'drop',
				percent: parseNumber(only(rest, 'fault drop PERCENT'), 'the share to drop', {
					min: 0,
					max: 100,
					isWhole: false,
				}),
				forMs,
			});
		case 'heal':
			return heal(context);
		default:
			throw new DapssError('usage', `Expected fault ${kinds.join(', ')}, got ${JSON.stringify(kind)}`);
	}
}

async function cut(context: Context, groups: readonly string[], forMs: number): Promise<void> {
	if (groups.length === 0) throw new DapssError('usage', 'Expected fault cut A,B C, or fault cut C');
	const direction = context.flags.oneWay ? 'out' : 'both';
	await withNode(
		context,
		async broker => {
			const snapshot = await broker.snapshot();
			const [near, far] =
				groups.length === 1
					? [[snapshot.members.find(({self}) => self)!], membersOf(groups[0]!, snapshot)]
					: [membersOf(groups[0]!, snapshot), membersOf(groups[1]!, snapshot)];
			const both = near.find(member => far.includes(member));
			if (both)
				throw new DapssError(
					'usage',
					`Expected two groups without a member in common, ${labelOf(both.id, both.name)} is in both`,
				);
			const command: FaultCommand = {type: 'cut', peers: far.map(({id}) => id), direction, forMs};
			await Promise.all(near.map(member => applyTo(context, broker, snapshot.self, member, command)));
			await printDone(context, command, near);
		},
		{isSearching: false, isForOne: groups.length === 1},
	); // One group is cut off from the asked node.
}

/** Cut one node off from all others, both ways. */
async function isolate(context: Context, rest: readonly string[], forMs: number): Promise<void> {
	if (rest.length > 1) throw new DapssError('usage', 'Expected fault isolate [NODE]');
	await withNode(
		context,
		async broker => {
			const {self, members} = await broker.snapshot();
			const node = rest[0] === undefined ? members.find(member => member.self)! : memberOf(rest[0], members);
			const peers = members.filter(({id}) => id !== node.id).map(({id}) => id);
			if (peers.length === 0)
				throw new DapssError('usage', `Expected other members than ${labelOf(node.id, node.name)}, got none`);
			const command: FaultCommand = {type: 'cut', peers, direction: 'both', forMs};
			await applyTo(context, broker, self, node, command);
			await printDone(context, command, [node]);
		},
		{isSearching: false, isForOne: rest.length === 0},
	);
}

async function here(context: Context, command: FaultCommand): Promise<void> {
	await withNode(
		context,
		async broker => {
			await broker.fault(command);
			const {members} = await broker.snapshot();
			await printDone(
				context,
				command,
				members.filter(({self}) => self),
			);
		},
		{isSearching: false, isForOne: true},
	);
}

/** Heal all members that are reachable, and name the others. */
async function heal(context: Context): Promise<void> {
	await withNode(
		context,
		async broker => {
			const {self, members} = await broker.snapshot();
			const reached: MemberSnapshot[] = [];
			await Promise.all(
				members
					.filter(({state}) => state !== 'left')
					.map(async member => {
						try {
							await applyTo(context, broker, self, member, {type: 'heal'});
							reached.push(member);
						} catch (error) {
							if (member.id === self) throw error;
							context.terminal.say(
								`${labelOf(member.id, member.name)} (${printable(member.address)}): ` +
									errorMessage(error),
							);
						}
					}),
			);
			await printDone(context, {type: 'heal'}, reached);
		},
		{isSearching: false},
	);
}

async function applyTo(
	context: Context,
	broker: Broker,
	self: NodeId,
	member: MemberSnapshot,
	command: FaultCommand,
): Promise<void> {
	if (member.id === self) return broker.fault(command);
	await using other = await reach(context, member.address);
	await interruptible(other.fault(command), context.signal);
}

function membersOf(names: string, {members}: Snapshot): MemberSnapshot[] {
	return names
		.split(',')
		.filter(name => name !== '')
		.map(name => memberOf(name, members));
}

function only(rest: readonly string[], usage: string): string {
	if (rest.length !== 1) throw new DapssError('usage', `Expected ${usage}`);
	return rest[0]!;
}

async function printDone(
	{terminal, output}: Context,
	command: FaultCommand,
	reached: readonly MemberSnapshot[],
): Promise<void> {
	const nodes = reached.map(({id}) => id);
	await terminal.line(
		output === 'json'
			? jsonText({...command, nodes})
			: `${command.type}: done by ${reached.map(({id, name}) => labelOf(id, name)).join(', ')}`,
	);
}
