/**
Raft as a transcript: commands in, events out. After each command the cluster settles: packets arrive in the order in
which they were sent, and writes reach the disk at once, unless a link is held or a disk stalls. `2/5` is the entry of
term 2 at index 5.

```
cluster n1 n2 n3 learners n4                a cluster with these voters and learners, and empty logs
empty n5                                    a node without a configuration
node n1 log 1 1 4 commit 2 term 5 vote n2   restart n1 with entries of these terms, and this hard state
tick n1 10                                  ten ticks of n1; `tick all` for all nodes
campaign n1                                 campaign without a pre-vote
down n2 n1                                  n2 has evidence that the process of n1 is gone
why n2                                      the cause of the last change of leader, at n2
propose n1 text | change n1 remove n2 | read n1 r1 | transfer n1 n2 | compact n1 5 [bytes]
hold n1>n2 | release n1>n2                  keep packets back; deliver them
again n1>n2                                 deliver the last packet once more
cut n1>n2 | isolate n1 | heal               lose packets
stall n1 | sync n1                          the disk stops writing; writes
crash n1 | restart n1                       a crash loses what is not on disk
packet n2>n1 {"type": "vote-reply", …}      deliver this packet to n1 as one of n2
status n1 | disk n1                         print the state; print the disk
beats on                                    print heartbeats too
quietly …                                   any command, without its events
```
*/
import {decode, encode} from '../../core/codec.ts';
import type {NodeId} from '../../core/message.ts';
import {decodeConfigurationData, type Change, type Configuration} from '../../core/raft/configuration.ts';
import {parseRaftPacket, type Entry, type RaftPacket} from '../../core/raft/packet.ts';
import {createRaft, type HardState, type Raft, type RaftReady} from '../../core/raft/raft.ts';
import type {Snapshot} from '../../core/raft/snapshot.ts';

type Node = {
	readonly name: string;
	raft: Raft | undefined;
	disk: {hardState: HardState; snapshot: Snapshot | undefined; entries: readonly Entry[]};
	out: RaftReady | undefined;
	isStalled: boolean;
	seen: string;
};
type Flight = {readonly from: string; readonly to: string; readonly packet: RaftPacket};

const electionTicks = 10;
const heartbeatTicks = 3;

export class RaftScript {
	readonly #nodes = new Map<string, Node>();
	readonly #held = new Map<string, Flight[]>();
	readonly #last = new Map<string, Flight>();
	readonly #cut = new Set<string>();
	#flights: Flight[] = [];
	#lines: string[] = [];
	#showsBeats = false;

	/** Run one command. Returns its events, one per line. */
	run(line: string): string[] {
		if (line.startsWith('quietly ')) {
			this.run(line.slice(8));
			return [];
		}

		this.#lines = [];
		const [command, ...words] = line.split(' ');
		const [first = '', second = ''] = words;
		switch (command) {
			case 'cluster': {
				const at = words.indexOf('learners');
				const voters = words.slice(0, at === -1 ? words.length : at);
				const learners = at === -1 ? [] : words.slice(at + 1);
				const configuration = {voters: voters.map(idOf), learners: learners.map(idOf)};
				for (const name of [...voters, ...learners]) this.#add(name, configuration);
				break;
			}

			case 'empty':
				this.#add(first, {voters: [], learners: []});
				break;
			case 'node':
				this.#redefine(first, words.slice(1));
				break;
			case 'tick': {
				const chosen = first === 'all' ? [...this.#nodes.keys()] : [first];
				for (let count = Number(second || 1); count > 0; count--) {
					for (const name of chosen) this.#raft(name)?.tick();
					this.#settle();
				}

				break;
			}

			case 'down':
				this.#raft(first)?.leaderDown(idOf(second));
				break;
			case 'why':
				this.#why(first);
				break;
			case 'campaign':
				this.#raft(first)?.campaign();
				break;
			case 'propose':
				this.#answer(first, this.#raft(first)?.propose(Buffer.from(words.slice(1).join(' '))), 'accepted');
				break;
			case 'change':
				this.#answer(
					first,
					this.#raft(first)?.proposeChange(
						{type: second as Change['type'], node: idOf(words[2]!)},
						Buffer.from('context'),
					),
					'accepted',
				);
				break;
			case 'read':
				this.#answer(first, this.#raft(first)?.readIndex(second), 'accepted');
				break;
			case 'transfer':
				this.#raft(first)?.transferLeadership(idOf(second));
				break;
			case 'compact':
				this.#compact(first, Number(second), Number(words[2] ?? 0));
				break;
			case 'hold':
				this.#held.set(first, []);
				break;
			case 'release': {
				this.#flights.push(...(this.#held.get(first) ?? []));
				this.#held.delete(first);
				break;
			}

			case 'again': {
				const flight = this.#last.get(first);
				if (flight) this.#flights.push(flight);
				break;
			}

			case 'cut':
				this.#cut.add(first);
				break;
			case 'isolate': {
				for (const other of this.#nodes.keys()) this.#cut.add(`${first}>${other}`).add(`${other}>${first}`);
				break;
			}

			case 'heal':
				this.#cut.clear();
				break;
			case 'stall':
				this.#node(first).isStalled = true;
				break;
			case 'sync':
				this.#node(first).isStalled = false;
				break;
			case 'crash': {
				const node = this.#node(first);
				node.raft = undefined;
				node.out = undefined;
				break;
			}

			case 'restart':
				this.#boot(this.#node(first));
				break;
			case 'packet': {
				const [from = '', to = ''] = first.split('>');
				const packet = parseRaftPacket({group: 0, ...(JSON.parse(words.slice(1).join(' '), revive) as object)});
				if (packet) this.#flights.push({from, to, packet});
				else this.#lines.push('malformed');
				break;
			}

			case 'status':
				this.#status(this.#node(first));
				break;
			case 'disk': {
				const {
					disk: {
						hardState: {term, vote},
						snapshot,
						entries,
					},
				} = this.#node(first);
				this.#lines.push(
					`${first} disk: term ${term}, vote ${vote ? nameOf(vote) : 'none'}, ` +
						(snapshot && snapshot.index > 0 ? `snapshot ${mark(snapshot)}, ` : '') +
						`log ${entries.map(mark).join(' ') || 'empty'}`,
				);
				break;
			}

			case 'beats':
				this.#showsBeats = first === 'on';
				break;
			default:
				throw new Error(`Expected a command, got ${line}`);
		}

		this.#settle();
		return this.#lines;
	}

	#add(name: string, configuration: Configuration): void {
		const snapshot = {index: 0, term: 0, configuration, data: new Uint8Array(0)};
		const node: Node = {
			name,
			raft: undefined,
			disk: {hardState: {term: 0, vote: undefined, commit: 0}, snapshot, entries: []},
			out: undefined,
			isStalled: false,
			seen: '',
		};
		this.#nodes.set(name, node);
		this.#boot(node);
	}

	#redefine(name: string, words: readonly string[]): void {
		const node = this.#node(name);
		const numbers = (key: string): number[] => {
			const at = words.indexOf(key);
			const end = at === -1 ? -1 : words.findIndex((word, index) => index > at && !/^\d+$/.test(word));
			return at === -1 ? [] : words.slice(at + 1, end === -1 ? words.length : end).map(Number);
		};

		const terms = numbers('log');
		const voteAt = words.indexOf('vote');
		node.disk = {
			hardState: {
				term: numbers('term')[0] ?? terms.at(-1) ?? 0,
				vote: voteAt === -1 ? undefined : idOf(words[voteAt + 1]!),
				commit: numbers('commit')[0] ?? 0,
			},
			snapshot: node.disk.snapshot,
			entries: terms.map((term, at) => ({term, index: at + 1, kind: 'command', data: Buffer.from(`of ${term}`)})),
		};
		this.#boot(node);
	}

	#boot(node: Node): void {
		const number = Number(node.name.slice(1));
		// The election timeout of n1 is the shortest: 10 ticks, n2's is 11, and so on.
		node.raft = createRaft({
			id: idOf(node.name),
			group: 0,
			electionTicks,
			heartbeatTicks,
			random: {below: limit => Math.min(limit - 1, number - 1)},
			recovered: node.disk,
			limits: {tailEntries: 2, uncommittedBytesMax: 400},
		});
		node.out = undefined;
		node.seen = this.#role(node);
	}

	#compact(name: string, index: number, bytes: number): void {
		const node = this.#node(name);
		const snapshot = node.raft!.compact(index, Buffer.alloc(bytes, 1));
		if (!snapshot) return void this.#lines.push(`${name} may not compact at ${index}`);
		node.disk = {...node.disk, snapshot, entries: node.disk.entries.filter(entry => entry.index > index)};
	}

	#settle(): void {
		for (let steps = 0; ; steps++) {
			if (steps > 10_000) throw new Error('Expected the cluster to settle, it goes on and on');
			let isIdle = true;
			for (const node of this.#nodes.values()) if (this.#pump(node)) isIdle = false;
			const flight = this.#flights.shift();
			if (!flight && isIdle) return;
			if (!flight) continue;
			const to = this.#nodes.get(flight.to);
			if (!to?.raft) continue;
			this.#last.set(`${flight.from}>${flight.to}`, flight);
			const packet = parseRaftPacket(decode(encode(flight.packet)));
			if (!packet) throw new Error(`Expected a packet that can be read, got ${JSON.stringify(flight.packet)}`);
			to.raft.step(idOf(flight.from), packet);
			this.#noteRole(to);
		}
	}

	#pump(node: Node): boolean {
		if (!node.raft) return false;
		this.#noteRole(node);
		if (!node.out) {
			node.out = node.raft.ready();
			if (!node.out) return false;
			this.#send(node, node.out.packetsBeforePersist);
		}

		const {out} = node;
		const {hardState, snapshot, entries} = out;
		if (node.isStalled && (hardState || snapshot || entries.length > 0)) return false;
		node.out = undefined;
		const base = snapshot ? [] : node.disk.entries;
		const before = base.filter(entry => entry.index < (entries[0]?.index ?? Infinity));
		node.disk = {
			hardState: hardState ?? node.disk.hardState,
			snapshot: snapshot ?? node.disk.snapshot,
			entries: [...before, ...entries],
		};
		this.#send(node, out.packets);
		if (snapshot)
			this.#lines.push(
				`${node.name} restores snapshot ${mark(snapshot)}, ${snapshot.data.length} bytes, ` +
					`voters ${names(snapshot.configuration.voters)}`,
			);
		for (const entry of out.committed) this.#lines.push(`${node.name} applies ${describe(entry)}`);
		for (const {context, index} of out.reads) this.#lines.push(`${node.name} serves ${context} at ${index}`);
		node.raft.advance(out);
		this.#noteRole(node);
		return true;
	}

	#send(node: Node, packets: RaftReady['packets']): void {
		for (const {to, packet} of packets) {
			const flight = {from: node.name, to: nameOf(to), packet};
			const link = `${flight.from}>${flight.to}`;
			const held = this.#held.get(link);
			const isCut = this.#cut.has(link);
			if (this.#showsBeats || (packet.type !== 'heartbeat' && packet.type !== 'heartbeat-reply'))
				this.#lines.push(`${link} ${say(packet)}${isCut ? ' (lost)' : held ? ' (held)' : ''}`);
			if (isCut) continue;
			if (held) held.push(flight);
			else this.#flights.push(flight);
		}
	}

	#noteRole(node: Node): void {
		const role = this.#role(node);
		if (role !== node.seen) this.#lines.push(`${node.name} ${role}`);
		node.seen = role;
	}

	#role({raft}: Node): string {
		const {role, term, leader} = raft!.status();
		return role === 'leader'
			? `is leader in term ${term}`
			: `is ${role} in term ${term}${leader ? `, leader ${nameOf(leader)}` : ''}`;
	}

	#status(node: Node): void {
		const {
			commit,
			lastIndex,
			snapshotIndex,
			configuration: {voters, learners},
			vote,
			votes,
			progress,
			bounds,
		} = node.raft!.status();
		this.#lines.push(
			`${node.name} ${this.#role(node)}: commit ${commit}, last ${lastIndex}, snapshot ${snapshotIndex}, ` +
				`voters ${names(voters)}, learners ${names(learners)}, vote ${vote ? nameOf(vote) : 'none'}, ` +
				`votes ${names(votes)}`,
		);
		for (const {id, match, next, state, recentlyActive} of progress)
			this.#lines.push(
				`  ${nameOf(id)}: ${state}, match ${match}, next ${next}${recentlyActive ? '' : ', silent'}`,
			);
		for (const [name, count] of Object.entries(bounds)) this.#lines.push(`  counted ${name}: ${count}`);
	}

	#why(name: string): void {
		const {
			leader,
			leaderChange: {cause, previous, silentTicks, withoutLeaderTicks},
		} = this.#raft(name)!;
		const former = previous === undefined ? 'without a former leader' : `after ${nameOf(previous)}`;
		this.#lines.push(
			`${name}: ${leader === undefined ? 'no leader' : nameOf(leader)} ${former}, ` +
				`${cause}${silentTicks === undefined ? '' : `, silent for ${silentTicks}`}, ` +
				`${withoutLeaderTicks} ticks without a leader`,
		);
	}

	#answer(name: string, answer: string | undefined, expected: string): void {
		if (answer !== expected) this.#lines.push(`${name} answers ${answer ?? 'nothing'}`);
	}

	#node(name: string): Node {
		const node = this.#nodes.get(name);
		if (!node) throw new Error(`Expected a node, got ${name}`);
		return node;
	}

	#raft(name: string): Raft | undefined {
		return this.#node(name).raft;
	}
}

function say(packet: RaftPacket): string {
	const {type, term} = packet;
	switch (type) {
		case 'pre-vote':
			return `pre-vote request for term ${term}, last ${packet.lastTerm}/${packet.lastIndex}`;
		case 'vote':
			return (
				`vote request for term ${term}, last ` +
				`${packet.lastTerm}/${packet.lastIndex}${packet.isTransfer ? ', transfer' : ''}`
			);
		case 'pre-vote-reply':
			return packet.granted ? `grants pre-vote for term ${term}` : `rejects pre-vote, term ${term}`;
		case 'vote-reply':
			return packet.granted ? `grants vote in term ${term}` : `rejects vote in term ${term}`;
		case 'append':
			return (
				`append after ${packet.prevTerm}/${packet.prevIndex}: ` +
				`${packet.entries.map(mark).join(' ') || 'nothing'}, commit ${packet.commit}`
			);
		case 'append-reply':
			return packet.ok
				? `matches up to ${packet.index}`
				: packet.rejected === 0
					? `rejects older term, term ${term}`
					: `rejects append after index ${packet.rejected}, try ${packet.hintTerm}/${packet.index}`;
		case 'heartbeat':
			return `heartbeat, round ${packet.round}, commit ${packet.commit}`;
		case 'heartbeat-reply':
			return `heartbeat reply, round ${packet.round}`;
		case 'snapshot':
			return (
				`snapshot ${packet.snapshotTerm}/${packet.index}, bytes from ${packet.offset}: ` +
				`${packet.data.length} of ${packet.size}`
			);
		case 'snapshot-reply':
			return `has ${packet.received} bytes of snapshot ${packet.index}`;
		case 'timeout-now':
			return 'timeout now';
		case 'propose':
			return `propose ${text(packet.data)}`;
		case 'read':
			return `read ${packet.context}`;
		case 'read-reply':
			return `read ${packet.context} at index ${packet.index}`;
		default:
			return packet satisfies never;
	}
}

/** Ids are written as names, bytes as text. */
function revive(key: string, value: unknown): unknown {
	if (key === 'data') return Buffer.from(String(value));
	return typeof value === 'string' && /^n\d$/.test(value) ? idOf(value) : value;
}

function describe(entry: Entry): string {
	const configuration =
		entry.kind === 'configuration' ? decodeConfigurationData(entry.data)?.configuration : undefined;
	const what = configuration
		? `voters ${names(configuration.voters)}, learners ${names(configuration.learners)}`
		: entry.kind === 'noop'
			? 'noop'
			: text(entry.data);
	return `${mark(entry)} ${what}`;
}

function mark({term, index}: {readonly term: number; readonly index: number}): string {
	return `${term}/${index}`;
}

function names(ids: readonly NodeId[]): string {
	return ids.map(nameOf).join(' ') || 'none';
}

function text(bytes: Uint8Array): string {
	const said = Buffer.from(bytes).toString();
	return said.length > 40 ? `${said.slice(0, 10)}… (${said.length})` : said;
}

function idOf(name: string): NodeId {
	return name.slice(1).padStart(16, '0') as NodeId;
}

function nameOf(id: NodeId): string {
	return `n${id.replace(/^0+/, '')}`;
}
