import {describe, expect, test} from 'vitest';
import type {Snapshot} from '../../core/snapshot.ts';
import {act, readonlyRefusal, submit, topicAtHand, type Effect, type Situation} from '../../tui/dispatch.ts';
import type {Action} from '../../tui/input/keymap.ts';
import {initialState, reduce, type ConsoleState} from '../../tui/state/state.ts';
import {healthy, hostile, topic} from './support/fixtures.ts';

const situation = (changes: Partial<Situation> = {}): Situation => ({
	snapshot: healthy,
	isReadonly: false,
	isRemote: false,
	isLost: false,
	page: 5,
	overlayLines: 40,
	incident: {keys: [], isOpen: false, hidesFocus: false, hiddenLines: 0, pastMs: undefined},
	...changes,
});
const apply = (state: ConsoleState, effects: readonly Effect[]): ConsoleState =>
	effects.reduce((before, effect) => (effect.type === 'change' ? reduce(before, effect.action) : before), state);
const press = (state: ConsoleState, where: Situation, ...keys: readonly Action[]): ConsoleState =>
	keys.reduce((before, key) => apply(before, act(key, before, where)), state);
const at = (focus: ConsoleState['focus']): ConsoleState => ({...initialState, focus});
const typing = (state: ConsoleState, draft: string): ConsoleState => reduce(state, {type: 'draft', text: draft});

describe('publish', () => {
	test('p proposes the selected topic, then asks for the text', () => {
		let state = press(at('topics'), situation(), 'down', 'publish');
		expect(state.prompt).toMatchObject({kind: 'publish-topic', draft: 'health'});
		state = apply(state, submit('health', state, situation()));
		expect(state.prompt).toMatchObject({kind: 'publish-text', topic: 'health', draft: ''});
		expect(submit('  hello ', typing(state, '  hello '), situation())).toContainEqual({
			type: 'run',
			command: {type: 'publish', topic: 'health', body: '  hello '},
		});
	});

	test('a topic with unprintable characters is not proposed', () => {
		const snapshot: Snapshot = {...hostile, topics: [topic('\u202Eevil')]};
		expect(topicAtHand(at('topics'), snapshot)).toBe('\u202Eevil');
		expect(press(at('topics'), situation({snapshot}), 'publish').prompt?.draft).toBe('');
	});

	test('read-only refuses with one line, by key and by command', () => {
		const where = situation({isReadonly: true});
		for (const key of ['publish', 'subscribe', 'unsubscribe'] as const)
			expect(press(at('topics'), where, key)).toMatchObject({prompt: undefined, notice: {text: readonlyRefusal}});
		const open = press(at('topics'), where, 'command');
		for (const line of [
			'publish weather x',
			'subscribe weather',
			'fault heal',
			'leader transfer',
			'topic create orders',
			'topic delete orders',
			'peer remove 5001',
			'access default none',
		]) {
			const effects = submit(line, open, where);
			expect(effects.some(effect => effect.type === 'run')).toBe(false);
			expect(apply(open, effects).notice?.text).toBe(readonlyRefusal);
		}

		expect(submit('check', open, where)).toContainEqual({type: 'run', command: {type: 'confirm'}});
		expect(submit('doctor', open, where)).toContainEqual({type: 'examine'});
	});
});

test('a dangerous command states what it breaks, and runs only after its name was typed', () => {
	const open = press(at('topics'), situation(), 'command');
	const asked = apply(open, submit('topic delete orders', open, situation()));
	expect(asked.prompt).toMatchObject({kind: 'confirm', draft: ''});
	expect(asked.overlay).toMatchObject({
		type: 'lines',
		title: 'Delete the topic orders',
		lines: expect.arrayContaining([expect.stringContaining('permanently')]) as string[],
	});
	for (const wrong of ['', 'yes', 'order']) {
		const effects = submit(wrong, asked, situation());
		expect(effects.some(({type}) => type === 'run')).toBe(false);
		expect(apply(asked, effects)).toMatchObject({prompt: undefined, overlay: undefined, notice: {tone: 'warning'}});
	}

	expect(submit('orders', asked, situation())).toContainEqual({
		type: 'run',
		command: {type: 'delete-topic', topic: 'orders', force: false},
	});
	expect(press(asked, situation(), 'prompt-cancel')).toMatchObject({prompt: undefined, overlay: undefined});
});

test('a goes to the selected peer, in a console that is attached; read-only too', () => {
	const attached = situation({isRemote: true, isReadonly: true});
	const other = healthy.members.find(({self}) => !self)!;
	const peers = {...at('peers'), lists: {...at('peers').lists, peers: {selected: other.id, filter: ''}}};
	expect(act('attach', peers, attached)).toEqual([{type: 'run', command: {type: 'attach', server: other.address}}]);
	expect(press(at('messages'), attached, 'attach').notice?.text).toContain('Select a node in the list of peers');
	expect(press(peers, situation(), 'attach').notice?.text).toContain('dapss-tui attach');
});

test('the prompts of s, u and p read topics as the `:` line does', () => {
	const snapshot = {...healthy, topics: [topic('my topic')]};
	const open = press(at('topics'), situation({snapshot}), 'unsubscribe');
	expect(open.prompt?.draft).toBe('"my topic"');
	expect(submit('"my topic"', open, situation({snapshot}))).toContainEqual({
		type: 'run',
		command: {type: 'unsubscribe', topics: ['my topic']},
	});
	expect(submit('a, b', open, situation({snapshot}))).toContainEqual({
		type: 'run',
		command: {type: 'unsubscribe', topics: ['a', 'b']},
	});
	expect(submit('my topic', open, situation({snapshot}))).toContainEqual({
		type: 'run',
		command: {type: 'unsubscribe', topics: ['my', 'topic']},
	});
	const asked = press(at('topics'), situation({snapshot}), 'publish');
	expect(asked.prompt?.draft).toBe('"my topic"');
	expect(apply(asked, submit('"my topic"', asked, situation({snapshot}))).prompt).toMatchObject({
		kind: 'publish-text',
		topic: 'my topic',
	});
	// An invalid line stays in the prompt, with the reason.
	for (const [line, reason] of [
		['my topic', 'Expected one topic'],
		['"my topic', 'is not closed'],
	] as const) {
		const state = apply(asked, submit(line, asked, situation({snapshot})));
		expect(state).toMatchObject({
			prompt: {kind: 'publish-topic'},
			notice: {text: expect.stringContaining(reason) as string},
		});
	}
});

test('Enter shows the details of the selected row, as it was', () => {
	const state = press(at('messages'), situation(), 'up', 'inspect');
	expect(state.overlay).toMatchObject({type: 'message', message: {seq: 59}});
	expect(press(at('peers'), situation(), 'last', 'inspect').overlay).toMatchObject({
		type: 'peer',
		key: healthy.members.at(-1)!.id,
	});
	expect(press(at('topics'), situation(), 'inspect').overlay).toMatchObject({type: 'topic', key: 'deploy'});
	expect(press(at('raft'), situation(), 'inspect').overlay).toMatchObject({type: 'report', report: 'leader'});
});

test('keys move over the paused feed', () => {
	const paused = press(at('messages'), situation(), 'pause');
	const later = situation({snapshot: {...healthy, feed: []}});
	expect(press(paused, later, 'up', 'inspect').overlay).toMatchObject({type: 'message', message: {seq: 59}});
});

test('only the console of a node examines the machine, not a console that is attached to a remote node', () => {
	const open = press(at('peers'), situation(), 'command');
	const effects = submit('doctor', open, situation());
	expect(effects).toContainEqual({type: 'examine'});
	const state = apply(
		open,
		effects.filter(({type}) => type !== 'examine'),
	);
	expect(state.overlay).toEqual({type: 'doctor', examination: undefined, scroll: 0});
	// A result does not open the overlay again after it was closed.
	const examination = {problem: 'no program'};
	expect(reduce(state, {type: 'examined', examination}).overlay).toMatchObject({examination});
	expect(reduce({...state, overlay: undefined}, {type: 'examined', examination}).overlay).toBeUndefined();

	const attached = submit('doctor', open, situation({isRemote: true}));
	expect(attached.some(({type}) => type === 'examine')).toBe(false);
	expect(apply(open, attached).notice?.text).toContain("run it on the node's machine");
});

test('an overlay scrolls to its last line', () => {
	const open = press(at('peers'), situation(), 'help');
	expect(press(open, situation(), 'overlay-last').overlay?.scroll).toBe(35);
	expect(press(open, situation(), 'overlay-page-down', 'overlay-page-down', 'overlay-up').overlay?.scroll).toBe(9);
	expect(press(open, situation(), 'overlay-up').overlay?.scroll).toBe(0);
	expect(press(open, situation({overlayLines: 2}), 'overlay-last').overlay?.scroll).toBe(0);
});

test('a mistyped command gets an answer, and its line stays in the history', () => {
	const open = typing(press(at('peers'), situation(), 'command'), 'pears');
	const state = apply(open, submit('pears', open, situation()));
	expect(state).toMatchObject({
		prompt: undefined,
		history: ['pears'],
		notice: {text: 'No command `pears`. Did you mean `:peers`?'},
	});
});

describe('before the first snapshot', () => {
	const where = situation({snapshot: undefined});
	test.each(['up', 'down', 'page-down', 'first', 'last', 'inspect', 'pause', 'prompt-complete'] as const)(
		'%s has no effect',
		key => {
			for (const pane of ['messages', 'topics', 'raft'] as const) expect(act(key, at(pane), where)).toEqual([]);
		},
	);

	test('prompts open empty, and help opens', () => {
		expect(press(at('messages'), where, 'filter').prompt).toMatchObject({kind: 'filter', draft: ''});
		expect(press(at('topics'), where, 'publish').prompt).toMatchObject({kind: 'publish-topic', draft: ''});
		expect(press(at('messages'), where, 'help').overlay).toEqual({type: 'help', scroll: 0});
	});

	test('the node cannot leave, because its cluster is unknown', () => {
		expect(press(at('messages'), where, 'quit', 'confirm-leave').notice?.text).toContain('no snapshot yet');
	});
});
