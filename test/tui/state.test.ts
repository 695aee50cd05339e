import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
	indexOfSelected,
	initialState,
	reduce,
	windowStart,
	type ConsoleAction,
	type ConsoleState,
} from '../../tui/state/state.ts';
import {feed} from './support/fixtures.ts';

const after = (...actions: readonly ConsoleAction[]): ConsoleState =>
	actions.reduce<ConsoleState>((state, action) => reduce(state, action), initialState);
const keys = ['k1', 'k2', 'k3', 'k4'];

test('the focus cycles in both directions', () => {
	expect(after({type: 'focus', pane: 'events'}, {type: 'focus-by', by: 1}).focus).toBe('peers');
	expect(after({type: 'focus', pane: 'peers'}, {type: 'focus-by', by: -1}).focus).toBe('events');
});

describe('selection', () => {
	test('a list that follows its end stops following on a move up, and follows again at the end', () => {
		const up = after({type: 'move', pane: 'messages', by: -1, keys});
		expect(up.lists.messages.selected).toBe('k3');
		expect(reduce(up, {type: 'move', pane: 'messages', by: 5, keys}).lists.messages.selected).toBeUndefined();
		expect(reduce(up, {type: 'move-to', pane: 'messages', end: 'first', keys}).lists.messages.selected).toBe('k1');
		expect(
			reduce(up, {type: 'move-to', pane: 'messages', end: 'last', keys}).lists.messages.selected,
		).toBeUndefined();
	});

	test('events follow their top', () => {
		const down = after({type: 'move', pane: 'events', by: 2, keys});
		expect(down.lists.events.selected).toBe('k3');
		expect(reduce(down, {type: 'move', pane: 'events', by: -9, keys}).lists.events.selected).toBeUndefined();
	});

	test('stays on its row while rows are added', () => {
		const {lists} = after({type: 'move', pane: 'messages', by: -1, keys});
		expect(indexOfSelected(['k2', 'k3', 'k4', 'k5', 'k6'], lists.messages.selected, 'messages')).toBe(1);
	});

	test('of a row that is gone stays with that row, and moves from its old end', () => {
		expect(indexOfSelected(['k8', 'k9'], 'k1', 'messages')).toBe(-1);
		const gone = after({type: 'move', pane: 'messages', by: -1, keys: ['k1', 'k2']});
		expect(gone.lists.messages.selected).toBe('k1');
		const later = ['k8', 'k9', 'k10'];
		expect(reduce(gone, {type: 'move', pane: 'messages', by: 1, keys: later}).lists.messages.selected).toBe('k8');
		const event = after({type: 'move', pane: 'events', by: 1, keys: ['k2', 'k1']});
		const newer = ['k10', 'k9', 'k8'];
		expect(reduce(event, {type: 'move', pane: 'events', by: -1, keys: newer}).lists.events.selected).toBe('k8');
	});

	test('of an empty list does not move', () => {
		expect(after({type: 'move', pane: 'peers', by: 1, keys: []}).lists.peers.selected).toBeUndefined();
	});

	test('the selected row is always in the window, and the window always full', () => {
		fc.assert(
			fc.property(fc.nat(300), fc.nat(300), fc.integer({min: 1, max: 60}), (count, at, height) => {
				const selected = Math.min(at, Math.max(0, count - 1));
				const start = windowStart(count, selected, height);
				expect(start).toBeGreaterThanOrEqual(0);
				expect(selected).toBeGreaterThanOrEqual(start);
				expect(selected).toBeLessThan(start + height);
				if (count >= height) expect(start + height).toBeLessThanOrEqual(count);
			}),
		);
	});
});

test('a pause keeps the feed and the counter until it ends', () => {
	const paused = after({type: 'pause', feed, delivered: 100});
	expect(paused.paused).toEqual({feed, delivered: 100});
	expect(reduce(paused, {type: 'pause', feed: [], delivered: 300}).paused).toBeUndefined();
});

describe('prompt', () => {
	test('a filter applies while it is typed, and Escape restores the old one', () => {
		const filtered = after(
			{type: 'filter', pane: 'messages', text: 'old'},
			{type: 'prompt', kind: 'filter', draft: 'old'},
			{type: 'draft', text: 'new'},
		);
		expect(filtered.lists.messages.filter).toBe('new');
		expect(reduce(filtered, {type: 'prompt-cancel'})).toMatchObject({
			prompt: undefined,
			lists: {messages: {filter: 'old'}},
		});
		expect(reduce(filtered, {type: 'prompt-done'})).toMatchObject({
			prompt: undefined,
			lists: {messages: {filter: 'new'}},
		});
	});

	test('history moves in both directions and restores the unfinished line', () => {
		const line = (text: string): readonly ConsoleAction[] => [
			{type: 'prompt', kind: 'command'},
			{type: 'draft', text},
			{type: 'prompt-done'},
		];
		const open = after(
			...line('peers'),
			...line('peers'),
			...line('topics'),
			{type: 'prompt', kind: 'command'},
			{type: 'draft', text: 'unfin'},
		);
		expect(open.history).toEqual(['peers', 'topics']);
		const back = (state: ConsoleState): ConsoleState => reduce(state, {type: 'history', by: 1});
		const forth = (state: ConsoleState): ConsoleState => reduce(state, {type: 'history', by: -1});
		expect(back(open).prompt?.draft).toBe('topics');
		expect(back(back(back(open))).prompt?.draft).toBe('peers');
		expect(forth(forth(back(back(open)))).prompt?.draft).toBe('unfin');
	});

	test('history is bounded', () => {
		const lines = Array.from({length: 150}, (_, index): readonly ConsoleAction[] => [
			{type: 'prompt', kind: 'command'},
			{type: 'draft', text: `c${index}`},
			{type: 'prompt-done'},
		]).flat();
		expect(after(...lines).history).toEqual(Array.from({length: 100}, (_, index) => `c${50 + index}`));
	});

	test('typed text replaces a proposal, and an edit keeps it', () => {
		const open: ConsoleAction = {type: 'prompt', kind: 'subscribe', draft: 'weather'};
		const typing = after(open, {type: 'edit', edit: {type: 'insert', text: 'x'}});
		expect(typing.prompt).toMatchObject({draft: 'x', cursor: 1, isProposal: false});
		expect(after(open, {type: 'edit', edit: {type: 'delete', to: 'left'}}).prompt?.draft).toBe('');
		const moved = after(
			open,
			{type: 'edit', edit: {type: 'move', to: 'start'}},
			{type: 'edit', edit: {type: 'insert', text: 'x'}},
		);
		expect(moved.prompt).toMatchObject({draft: 'xweather', cursor: 1});
	});

	test('a paste goes to the cursor, and says what it cut', () => {
		const state = after(
			{type: 'prompt', kind: 'command'},
			{type: 'edit', edit: {type: 'insert', text: 'ad'}},
			{type: 'edit', edit: {type: 'move', to: 'left'}},
			{type: 'paste', text: 'bc', cut: 0},
		);
		expect(state.prompt).toMatchObject({draft: 'abcd', cursor: 3});
		expect(state.notice).toBeUndefined();
		const full = after({type: 'prompt', kind: 'command'}, {type: 'paste', text: 'x'.repeat(20_000), cut: 1000});
		expect(full.prompt?.draft.length).toBe(16_384);
		expect(full.notice?.text).toContain('Cut: 16,384 of 21,000 characters fit');
	});

	test('a late sequence opens the prompt again that its first byte had closed', () => {
		const open = after({type: 'prompt', kind: 'command'}, {type: 'edit', edit: {type: 'insert', text: 'pub'}});
		const closed = reduce(open, {type: 'prompt-cancel'});
		expect(closed.prompt).toBeUndefined();
		expect(reduce(closed, {type: 'undo-escape', before: open}).prompt).toEqual(open.prompt);
	});
});

test('Escape clears the notice, then the filter, then the zoom, then the selection', () => {
	let state = after(
		{type: 'zoom'},
		{type: 'filter', pane: 'messages', text: 'x'},
		{type: 'move', pane: 'messages', by: -1, keys},
		{type: 'notice', notice: {tone: 'good', text: 'n'}},
	);
	const clear = (): ConsoleState => {
		state = reduce(state, {type: 'clear'});
		return state;
	};

	expect(clear()).toMatchObject({notice: undefined, zoom: true});
	expect(clear().lists.messages.filter).toBe('');
	expect(clear().zoom).toBe(false);
	expect(clear().lists.messages.selected).toBeUndefined();
});

test('no sequence of actions throws or opens two things at once', () => {
	const action = fc.oneof<Array<fc.Arbitrary<ConsoleAction>>>(
		fc.constantFrom<ConsoleAction>(
			{type: 'focus-by', by: 1},
			{type: 'zoom'},
			{type: 'clear'},
			{type: 'prompt-cancel'},
			{type: 'prompt-done'},
			{type: 'overlay-close'},
			{type: 'ask-quit'},
			{type: 'stay'},
			{type: 'history', by: 1},
			{type: 'overlay', overlay: {type: 'help', scroll: 0}},
			{type: 'prompt', kind: 'command'},
			{type: 'prompt', kind: 'filter'},
		),
		fc.string().map(text => ({type: 'draft', text})),
		fc.integer().map(to => ({type: 'scroll', to})),
		fc.record({
			type: fc.constant('move' as const),
			pane: fc.constantFrom('peers' as const, 'messages' as const),
			by: fc.integer({min: -9, max: 9}),
			keys: fc.constant(keys),
		}),
	);
	fc.assert(
		fc.property(fc.array(action, {maxLength: 40}), sequence => {
			const {prompt, overlay, confirmsQuit} = after(...sequence);
			expect(prompt !== undefined && overlay !== undefined).toBe(false);
			expect(confirmsQuit && overlay !== undefined && prompt !== undefined).toBe(false);
		}),
	);
});
