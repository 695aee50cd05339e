/**
Mutants of what keeps out programs without the secret: discovery, the room for unauthenticated connections, the name of
the key, and calls without protection. Test files check them, because the simulator has neither datagrams of strangers
nor sockets.
*/
import type {Edit, Mutant} from './mutant.ts';

const receiver = (find: string, replace: string): Edit => ({file: 'core/io/net/beacon-receiver.ts', find, replace});
const pending = (find: string, replace: string): Edit => ({file: 'core/io/net/pending-connections.ts', find, replace});

export const outsiderMutants: readonly Mutant[] = [
	{
		name: 'junk-counts-as-beacons',
		pitfall: 'a flood of junk uses up the limit of beacons, so a new node does not hear its cluster',
		tests: 'test/unit/io/net/beacon-receiver.test.ts',
		edits: [
			receiver(
				'if (isLocal && !isLoopback(source)) return refusals.add(',
				"if (this.#isOverRate()) return refusals.add('beacon-rate');\n		if (isLocal && !isLoopback(source)) return refusals.add(",
			),
		],
	},
	{
		name: 'replay-counts-as-proof',
		pitfall: 'a recorded beacon shows that a member runs',
		tests: 'test/unit/io/net/beacon-receiver.test.ts',
		edits: [
			receiver(
				"return this.#options.own.isMetBy(answers) ? 'proved' : 'unproved';",
				"return answers.length > 0 ? 'proved' : 'unproved';",
			),
		],
	},
	{
		name: 'challenge-without-end',
		pitfall: 'an answered challenge proves for ever that its sender runs',
		tests: 'test/unit/io/net/beacon-receiver.test.ts',
		edits: [
			{
				file: 'core/io/net/challenges.ts',
				find: 'const sinceMs = this.#clock.monotonicMs() - validMs;',
				replace: 'const sinceMs = this.#clock.monotonicMs() - 1000 * validMs;',
			},
		],
	},
	{
		name: 'reports-keep-from-founding',
		pitfall: 'replayed beacons of an earlier release keep a first node from founding for ever',
		tests: 'test/unit/membership/reported-members.test.ts',
		edits: [
			{
				file: 'core/membership/founding.ts',
				find: 'this.#reportedMs ??= nowMs;',
				replace: 'this.#reportedMs = nowMs;',
			},
		],
	},
	{
		name: 'oldest-is-dropped',
		pitfall: 'a flood of connections drops each honest caller before its handshake has finished',
		tests: 'test/unit/io/net/pending-connections.test.ts',
		edits: [
			pending(
				'return this.#elements[random.below(this.#elements.length)]!;',
				'return this.#elements[Math.min(0, random.below(1))]!;',
			),
		],
	},
	{
		name: 'answered-among-the-silent',
		pitfall: 'junk displaces callers that have shown the secret',
		tests: 'test/unit/io/net/pending-connections.test.ts',
		edits: [
			pending(
				'if (!hasAnswer(connection)) return false;',
				'if (!hasAnswer(connection) || random.below(1) === 0) return false;',
			),
		],
	},
	{
		name: 'members-without-room',
		pitfall: 'a flood from elsewhere displaces the calls of members',
		tests: 'test/unit/io/net/pending-connections.test.ts',
		edits: [
			pending('isMember(host) ? this.#members : this.#general', 'isMember(host) ? this.#general : this.#general'),
		],
	},
	{
		name: 'flight-answered-again',
		pitfall: 'a recorded first flight is answered as often as it is sent',
		tests: 'test/contract/flooded-listener.test.ts',
		edits: [
			{
				file: 'core/io/net/seen-hellos.ts',
				find: 'if (this.#pending.has(random) || this.#answered.has(random)) return undefined;',
				replace: 'if (this.#pending.has(random)) return undefined;',
			},
		],
	},
	{
		name: 'former-name-when-refused',
		pitfall: 'somebody on the path makes a member show the name of its cluster',
		tests: 'test/contract/key-names.test.ts',
		edits: [
			{
				file: 'core/io/net/dial.ts',
				find: 'transport.flags.encrypt && mayUseFormerName(protocolMin)',
				replace: "transport.flags.encrypt && (mayUseFormerName(protocolMin) || address !== '')",
			},
		],
	},
	{
		name: 'unprotected-beyond-loopback',
		pitfall: 'without encryption messages are sent to other machines in plain text',
		tests: 'test/contract/unprotected-calls.test.ts',
		edits: [
			{
				file: 'core/io/net/dial.ts',
				find: 'if ((flags.encrypt && flags.auth) || isLoopback(host)) return;',
				replace: "if ((flags.encrypt && flags.auth) || isLoopback(host) || host !== '') return;",
			},
		],
	},
	{
		name: 'folder-of-others',
		pitfall: 'a folder that other users can change decides which nodes a command finds',
		tests: 'test/unit/io/files/registry.test.ts',
		edits: [
			{
				file: 'core/io/trusted-folder.ts',
				find: '(mode & 0o002) !== 0 ||',
				replace: '(mode & 0o002) > 0o777 ||',
			},
		],
	},
];
