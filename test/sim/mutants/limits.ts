/**
Mutants of the limits that hold for clients and for what a node sends to them. Simulated clients stay within all limits,
so tests catch these.
*/
import type {Edit, Mutant} from './mutant.ts';

const edit = (file: string, find: string, replace: string): Edit => ({file: `core/${file}`, find, replace});

export const limitMutants: readonly Mutant[] = [
	{
		name: 'structure-unchecked',
		pitfall: 'bytes of a peer are decoded whatever types they declare',
		tests: 'test/unit/message-pack.test.ts',
		edits: [edit('codec.ts', '	if (!isOneValue(bytes)) return undefined;\n', '')],
	},
	{
		name: 'any-extension',
		pitfall: 'an extension type of MessagePack is decoded',
		tests: 'test/unit/message-pack.test.ts',
		edits: [edit('message-pack.ts', 'if (bytes[at] !== 0 || bytes[at + 1] !== 0) return false;', '')],
	},
	{
		name: 'any-request-size',
		pitfall: 'a request is decoded whatever its size',
		tests: 'test/unit/remote/request-size.test.ts',
		edits: [edit('remote/protocol.ts', '	if (tooLarge) return tooLarge;\n', '')],
	},
	{
		name: 'positions-uncounted',
		pitfall: 'the positions of a request are bounded for each topic only',
		tests: 'test/unit/remote/request-size.test.ts',
		edits: [edit('remote/protocol.ts', ' && streamsOf(value) <= positionsMax', '')],
	},
	{
		name: 'reads-beyond-credit',
		pitfall: 'all readers of a subscription read for the same credit',
		tests: 'test/unit/remote/read-limits.test.ts',
		edits: [edit('data/read-budget.ts', '				if (!isWithin(queue.used, bytes, room)) continue;\n', '')],
	},
	{
		name: 'reads-beyond-budget',
		pitfall: 'readers that catch up hold any number of bytes',
		tests: 'test/unit/remote/read-limits.test.ts',
		edits: [
			edit(
				'data/read-budget.ts',
				"				if (!isWithin(this.#bytes, charged, this.#options.bytes)) return 'full';\n",
				'',
			),
			edit(
				'data/read-budget.ts',
				'				if (!isWithin(owner.used, charged, this.#options.bytesPerOwner)) break;\n',
				'',
			),
		],
	},
	{
		name: 'no-room-for-members',
		pitfall: 'clients take the connections of members',
		tests: 'test/contract/connection-quotas.test.ts',
		edits: [
			edit(
				'io/net/connection-quotas.ts',
				'Math.max(connections - connectionsReserved, Math.ceil(connections * clientShare))',
				'connections',
			),
		],
	},
	{
		name: 'requests-in-one-turn',
		pitfall: 'the requests of one client stall its node',
		tests: 'test/unit/remote/server.test.ts',
		edits: [
			edit(
				'remote/server.ts',
				'if (this.#isTurnOver || !this.#turns.isSpent) return;',
				'if (this.#turns) return;',
			),
		],
	},
	{
		name: 'topics-in-one-turn',
		pitfall: 'a subscription to many topics stalls its node',
		tests: 'test/unit/node/local-reading.test.ts',
		edits: [edit('node/local-reading.ts', 'if (share.isSpent) await', 'if (isClosed) await')],
	},
	{
		name: 'daily-quota-of-a-connection',
		pitfall: 'a client that connects again gets its daily quota anew',
		tests: 'test/unit/remote/client-quotas.test.ts',
		edits: [edit('remote/client-accounts.ts', '&& this.storedBytes(nowMs) === 0', '')],
	},
	{
		name: 'quota-before-the-proof',
		pitfall: 'calls at the same time pass a quota that is checked before they are counted',
		tests: 'test/contract/connection-quotas.test.ts',
		edits: [edit('io/net/listener.ts', '			if (usedUp) return channel.close(usedUp.reason);\n', '')],
	},
	{
		name: 'rate-starts-anew',
		pitfall: 'a client that connects again has its whole rate at once',
		tests: 'test/unit/remote/client-quotas.test.ts',
		edits: [edit('remote/client-accounts.ts', ' && !former.isIdle(nowMs)', ' && former.isIdle(0)')],
	},
	{
		name: 'unasked-topic-taken',
		pitfall: 'a client takes messages of topics that it did not ask for',
		tests: 'test/unit/remote/lying-node.test.ts',
		edits: [edit('remote/client.ts', '!reading.topics.has(delivery.item.batch.topic)', 'false')],
	},
	{
		name: 'requests-queue-without-end',
		pitfall: 'a client queues requests for a node that takes none',
		tests: 'test/unit/remote/lying-node.test.ts',
		edits: [
			edit(
				'remote/client.ts',
				"		if (this.#outbox.waiting >= openMax) return void this.#violated('it takes no requests');\n",
				'',
			),
		],
	},
	{
		name: 'controls-pass',
		pitfall: 'control characters in texts of a node reach its clients',
		tests: 'test/unit/remote/lying-node.test.ts',
		edits: [
			edit(
				'remote/received.ts',
				'const body = withoutControls(decodeFrame(frame));\n	if (!isObject(body)',
				'const body = decodeFrame(frame);\n	if (!isObject(body)',
			),
		],
	},
];
