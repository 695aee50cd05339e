import {expect, test} from 'vitest';
import {actions, buildKeymap, conflicts, hintsOf, keyNames, keySign, type KeyContext} from '../../tui/input/keymap.ts';
import {words} from '../../tui/input/prompt-commands.ts';
import {hintSpans} from '../../tui/panes/bars.tsx';
import {initialState, reduce, type ConsoleState, type PromptKind} from '../../tui/state/state.ts';
import type {Standing} from '../../tui/view/offered.ts';
import {helpLines} from '../../tui/view/reports.ts';

const keymap = buildKeymap();

test('no key has two actions in one context', () => {
	expect(conflicts(keymap.bindings)).toEqual([]);
});

test('the help lists every key with an action, and every command', () => {
	const help = helpLines(keymap)
		.map(line => line.map(span => span.text).join(''))
		.join('\n');
	for (const {context, keys, help: text} of keymap.bindings.filter(row => row.context !== 'confirm')) {
		expect(help, context).toContain(text);
		for (const key of keys) expect(help).toContain(keySign(key));
	}

	for (const name of Object.keys(words)) expect(help).toContain(`:${name}`);
});

test('a key has its action in its context, and Ctrl-C in every context', () => {
	expect(keymap.find('panes', 'q')).toBe('quit');
	expect(keymap.find('overlay', 'q')).toBe('overlay-close');
	expect(keymap.find('prompt', 'q')).toBeUndefined();
	for (const context of ['panes', 'overlay', 'prompt', 'confirm'] as const)
		expect(keymap.find(context, 'ctrl+c')).toBe('interrupt');
});

test('preferences remap keys; impossible changes are reported and ignored', () => {
	const changed = buildKeymap({publish: 'P', quit: ['Q', 'ctrl+q'], zoom: 's', dance: 'd', command: []});
	expect(changed.find('panes', 'P')).toBe('publish');
	expect(changed.find('panes', 'p')).toBeUndefined();
	expect(changed.find('panes', 'ctrl+q')).toBe('quit');
	expect(changed.find('panes', 's')).toBe('subscribe');
	expect(changed.problems).toEqual([
		'Key `s` cannot be both `zoom` and `subscribe`',
		'Expected the name of an action in the key map, got `dance`',
		'Expected at least one key for `command`',
	]);
	expect(hintsOf(changed, 'panes').find(hint => hint.word === 'publish')?.key).toBe('P');
});

test('a preference cannot remap Ctrl-C in any context', () => {
	expect(buildKeymap({help: 'ctrl+c'}).problems).toEqual(['Key `ctrl+c` cannot be both `help` and `interrupt`']);
});

test('events of Ink become names of keys', () => {
	expect(keyNames('', {upArrow: true})).toEqual(['up']);
	expect(keyNames('', {tab: true, shift: true})).toEqual(['shift+tab']);
	expect(keyNames('c', {ctrl: true})).toEqual(['ctrl+c']);
	expect(keyNames('x', {meta: true})).toEqual(['alt+x']);
	expect(keyNames('G', {shift: true})).toEqual(['G']);
	expect(keyNames('jj \r', {})).toEqual(['j', 'j', 'space', 'enter']);
});

test('hints fit the width, and always contain help and quit', () => {
	for (const width of [60, 80, 100, 160]) {
		const line = hintSpans(keymap, 'panes', initialState, {isReadonly: false, role: undefined}, width)
			.map(span => span.text)
			.join('');
		expect(line.length).toBeLessThanOrEqual(width);
		expect(line).toMatch(/\? help.*q quit/);
	}

	const paused = {...initialState, paused: {feed: [], delivered: 0}};
	expect(hintsIn('panes', paused, {isReadonly: true, role: undefined})).not.toMatch(/publish|subscribe|Space pause/);
});

/** The hints on a wide screen. */
function hintsIn(context: KeyContext, state: ConsoleState, standing: Standing): string {
	return hintSpans(keymap, context, state, standing, 200)
		.map(span => span.text)
		.join('');
}

test('hints promise only what works', () => {
	const all: Standing = {isReadonly: false, role: 'operator'};
	const prompt = (kind: PromptKind): ConsoleState => reduce(initialState, {type: 'prompt', kind});
	expect(hintsIn('prompt', prompt('command'), all)).toMatch(/↑ older.*Tab complete/);
	expect(hintsIn('prompt', prompt('subscribe'), all)).toMatch(/^(?!.*older).*Tab complete/);
	for (const kind of ['filter', 'publish-text', 'save'] as const)
		expect(hintsIn('prompt', prompt(kind), all)).not.toMatch(/older|complete/);
	const help = reduce(initialState, {type: 'overlay', overlay: {type: 'help', scroll: 0}});
	expect(hintsIn('overlay', help, all)).not.toMatch(/copy|write|again|view/);
	const onRaft = reduce(initialState, {type: 'focus', pane: 'raft'});
	expect(hintsIn('panes', onRaft, all)).not.toContain('filter');
});

test('what the role does not allow is not offered', () => {
	const as = (role: Standing['role']): string => hintsIn('panes', initialState, {isReadonly: false, role});
	expect(as('operator')).toMatch(/s subscribe.*p publish/);
	expect(as('client')).toMatch(/^(?!.*subscribe).*p publish/);
	expect(as('observer')).not.toMatch(/subscribe|publish/);
	expect(as(undefined)).toMatch(/s subscribe.*p publish/);
});

test('every action has a name that preferences can use', () => {
	expect(new Set(actions).size).toBe(actions.length);
	for (const action of actions) expect(action).toMatch(/^[a-z][a-z-]*$/);
});
