/**
The replicated state alone, one run from a seed. A log of commands and configurations is applied by a node that reads
all of it, by a node that starts from a snapshot somewhere in it, and by nodes of earlier releases, which know no names
and claims, or no created and deleted topics. The log contains commands from two processes on one copied data folder,
and operators who give two nodes the same name.
*/
import {ClusterState} from '../../core/cluster-state/cluster-state.ts';
import {decodeEnvelope, encodeContext, encodeEnvelope, type Command} from '../../core/cluster-state/command.ts';
import {decode} from '../../core/codec.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {createRandom, type SeededRandom} from './random.ts';

type Entry = {readonly index: number} & (
	{readonly data: Uint8Array} | {readonly nodes: readonly NodeId[]; readonly context: Uint8Array}
);

const ids = Array.from({length: 5}, (_, index) => `${index + 1}`.repeat(16)) as NodeId[];
const names = ['db1', 'DB1', 'db2', 'web-1', 'web-2'];
const entriesMax = 300;
const fresh = (): ClusterState => new ClusterState({topicsMax: 10, membersMax: 10});

/** @throws the violation, with the seed and the entry */
export function simulateState(seed: number): void {
	const random = createRandom(`${seed}/state`);
	const log = drawLog(random);
	const cut = random.below(log.length);
	const whole = fresh();
	let restarted = fresh();
	/** Nodes of earlier releases, by the protocol that they speak. */
	const earlier = new Map([
		[1, fresh()],
		[2, fresh()],
	]);
	/** By node and incarnation: the process that held the identity. */
	const holders = new Map<string, string>();
	for (const entry of log) {
		const fail = (rule: string, what: string): never => {
			throw new Error(`SEED=${seed} (replays it), at 0 ms, event ${entry.index}: ${rule}: ${what}`);
		};

		const incarnations = new Map(ids.map(id => [id, whole.instance(id)?.incarnation ?? -1] as const));
		apply(whole, entry);
		apply(restarted, entry);
		if (entry.index === cut) {
			const snapshot = restarted.save();
			restarted = fresh();
			restarted.load(snapshot);
		}

		for (const [protocol, previous] of earlier) {
			if (whole.protocol > protocol) earlier.delete(protocol);
			else apply(previous, asReadBy(protocol, entry));
		}

		const bytes = Buffer.from(whole.save());
		if (!bytes.equals(restarted.save()))
			fail('the same entries give the same state', 'a node that started from a snapshot has another state');
		for (const [protocol, previous] of earlier) {
			if (!bytes.equals(previous.save()))
				fail(
					'a node of the previous release has the same state',
					`something that protocol ${protocol} does not know has changed it`,
				);
			if (Number((decode(bytes) as {version: unknown}).version) > protocol)
				fail('a node of the previous release can read the state', `a node of protocol ${protocol} cannot`);
		}

		const deletedUntil = whole.deletions().get('news' as Topic) ?? 0;
		for (const [node, since] of whole.subscribers('news' as Topic))
			if (since < deletedUntil)
				fail(
					'nobody subscribes to deleted messages',
					`${node} subscribes to messages after ${since}, and messages up to ${deletedUntil} are deleted`,
				);
		const taken = ids.map(id => whole.name(id).toLowerCase()).filter(name => name !== '');
		if (new Set(taken).size < taken.length) fail('a name belongs to one member', taken.join(', '));
		for (const id of ids) {
			const held = whole.instance(id);
			if (!held) continue;
			if (held.incarnation < incarnations.get(id)!)
				fail('an earlier process does not regain an identity', `${id} went back to ${held.incarnation}`);
			const key = `${id}:${held.incarnation}`;
			const holder = holders.get(key) ?? held.instance;
			holders.set(key, holder);
			if (holder !== held.instance)
				fail('one process uses an identity', `${holder} and ${held.instance} both held ${key}`);
		}
	}
}

function drawLog(random: SeededRandom): Entry[] {
	const [founder] = ids as [NodeId];
	let members: readonly NodeId[] = [founder];
	const log: Entry[] = [
		{
			index: 1,
			nodes: members,
			context: encodeContext({
				clusterId: 'c',
				node: founder,
				address: 'h:1',
				...(random.chance(1, 2) ? {protocol: random.between(2, 3)} : {}),
			}),
		},
	];
	const raisesAt = random.below(entriesMax);
	const seqs = new Map<string, number>();
	const instance = (): string => `${random.between(1, 3)}`.repeat(16);
	for (let index = 2; index <= entriesMax; index++) {
		const node = random.pick(ids);
		if (random.chance(1, 12)) {
			const isNew = !members.includes(node);
			// A removed id never comes back.
			if (!isNew && (node === founder || members.length < 2 || random.chance(2, 3))) continue;
			members = isNew ? [...members, node].toSorted() : members.filter(id => id !== node);
			const context = isNew
				? {
						node,
						address: `h:${random.below(9)}`,
						name: random.pick(names),
						incarnation: index,
						instance: instance(),
					}
				: {};
			log.push({index: log.length + 1, nodes: members, context: encodeContext(context)});
			continue;
		}

		const incarnation = Math.floor(index / 20) + random.below(2);
		const commands: readonly Command[] = [
			{type: 'name', node, name: random.pick(names)},
			{type: 'claim', node, incarnation, instance: instance()},
			{type: 'subscribe', node, topic: 'news' as Topic, since: random.chance(1, 2) ? 0 : index},
			{type: 'address', node, address: `h:${random.below(9)}`},
			{
				type: 'create',
				node,
				topic: 'news' as Topic,
				settings: {retainAgeS: random.between(1, 2)},
				update: random.chance(1, 2),
			},
			{type: 'delete', node, topic: 'news' as Topic, until: index, force: random.chance(1, 2)},
		];
		const command: Command =
			index > raisesAt && random.chance(1, 10)
				? {type: 'protocol', node: founder, protocol: random.between(2, 3)}
				: random.pick(commands);
		const session = `${node}:${incarnation}`;
		// At random, the two processes of a copied folder give a command the same number.
		const seq = (seqs.get(session) ?? 0) + (random.chance(1, 8) ? 0 : 1);
		seqs.set(session, seq);
		log.push({
			index: log.length + 1,
			data: encodeEnvelope({
				node,
				incarnation,
				seq,
				answeredBelow: Math.max(1, seq - 3),
				lamport: index,
				command,
			}),
		});
	}

	return log;
}

function apply(topics: ClusterState, entry: Entry): void {
	if ('data' in entry) topics.apply(entry.index, entry.data);
	else topics.applyConfiguration(entry.index, entry.nodes, entry.context);
}

/**
The entry as an earlier release reads it. A command that the release does not know is no command. It ignores unknown
parts of a context, as this release does before protocol 2.
*/
function asReadBy(protocol: number, entry: Entry): Entry {
	const command = 'data' in entry ? decodeEnvelope(entry.data)?.command : undefined;
	const isNews =
		command?.type === 'create' ||
		command?.type === 'delete' ||
		(protocol < 2 && (command?.type === 'name' || command?.type === 'claim' || command?.type === 'protocol'));
	return isNews ? {index: entry.index, data: new Uint8Array(0)} : entry;
}
