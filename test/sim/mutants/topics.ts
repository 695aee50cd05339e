/**
Mutants of topics that are created and deleted.
*/
import type {Mutant} from './mutant.ts';

export const topicMutants: readonly Mutant[] = [
	{
		name: 'deleted-is-wanted',
		pitfall: 'a subscription of after a deletion wants what was deleted, and gets it from who has it still',
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
		pitfall: 'a node that starts from a snapshot knows of no deletion',
		by: 'state',
		edits: [
			{file: 'core/cluster-state/cluster-state.ts', find: 'deleted: [...this.#deleted]', replace: 'deleted: []'},
		],
	},
	{
		name: 'deletion-not-witnessed',
		pitfall: 'who has heard of a deletion stamps earlier than it',
		by: 'nodes',
		edits: [
			{
				file: 'core/control/control.ts',
				find: 'this.#options.lamport.witness(envelope.command.until);',
				replace: '',
			},
		],
	},
	{
		name: 'deleted-is-read',
		pitfall: 'readers are given what was deleted as long as it is on the disk',
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
		pitfall: 'what was published after a deletion goes with it, where a node heard of it late',
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
		pitfall: 'a node that hears of a deletion keeps the messages',
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
		pitfall: 'a node tells in an event what is lost, and who reads through it is not told',
		by: 'nodes',
		edits: [
			{
				file: 'core/data/data.ts',
				find: 'if (isAwaited) this.topics',
				replace: 'if (isAwaited && messages < 0) this.topics',
			},
		],
	},
];
