/**
Mutants of topics that are created and deleted.
*/
import type {Mutant} from './mutant.ts';

export const topicMutants: readonly Mutant[] = [
	{
		name: 'deleted-is-wanted',
		pitfall:
			'a subscription made after a deletion wants deleted messages, and gets them from nodes that still have them',
		by: 'state',
		edits: [
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: 'subscribers.set(node, Math.max(since, this.#deleted.get(topic) ?? 0));',
				replace: 'subscribers.set(node, since);',
			},
		],
	},
	{
		name: 'deletion-outside-the-snapshot',
		pitfall: 'a node that starts from a snapshot does not know of deletions',
		by: 'state',
		edits: [
			{file: 'core/cluster-state/cluster-state.ts', find: 'deleted: [...this.#deleted]', replace: 'deleted: []'},
		],
	},
	{
		name: 'deletion-not-witnessed',
		pitfall: 'a node that knows of a deletion stamps messages earlier than it',
		by: 'nodes',
		edits: [
			{
				file: 'core/control/control.ts',
				find: 'this.#options.lamport.witness(envelope.command.until, envelope.node);',
				replace: 'void 0;',
			},
		],
	},
	{
		name: 'deleted-is-read',
		pitfall: 'readers get deleted messages while they are still on the disk',
		by: 'nodes',
		edits: [
			{
				file: 'core/topic-log/topic-log.ts',
				find: '				if (this.#hidden.has(batch)) {\n',
				replace: '				if (batch.lamport < 0) {\n',
			},
		],
	},
	{
		name: 'deletion-takes-what-is-later',
		pitfall: 'a node that learns of a deletion late also deletes messages published after it',
		by: 'nodes',
		edits: [
			{
				file: 'core/topic-log/topic-hidden.ts',
				find: '(this.#stamps.get(first)?.latest ?? (',
				replace: '(this.#stamps.get(first)?.earliest ?? (',
			},
		],
	},
	{
		name: 'deletion-not-carried-out',
		pitfall: 'a node that learns of a deletion keeps the messages',
		by: 'nodes',
		edits: [
			{
				file: 'core/data/data.ts',
				find: 'if (live?.hide(until)) this.#retain(',
				replace: 'if (live && until < 0) this.#retain(',
			},
		],
	},
	{
		name: 'readers-not-told-of-losses',
		pitfall: 'a node reports lost messages in an event, but not to its readers',
		tests: 'test/unit/data/data.test.ts',
		edits: [
			{
				file: 'core/data/data.ts',
				find: 'if (isAwaited) this.topics',
				replace: 'if (isAwaited && messages < 0) this.topics',
			},
		],
	},
];
