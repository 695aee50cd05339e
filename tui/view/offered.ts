/** Which actions have an effect now: only those are promised by hints. Pure. */
import type {Role} from '../../core/access.ts';
import type {Action} from '../input/keymap.ts';
import {mayAct} from '../input/roles.ts';
import {isListPane, type ConsoleState, type PromptKind} from '../state/state.ts';

export type Standing = {
	readonly isReadonly: boolean;
	/** Of this console at its node; `undefined` when unknown. */
	readonly role: Role | undefined;
};

/** Prompts that complete a command, a topic or a node. */
export const completing: ReadonlySet<PromptKind> = new Set([
	'command',
	'subscribe',
	'unsubscribe',
	'publish-topic',
	'publish-again',
]);

/** Actions that a read-only console refuses. */
const changing: ReadonlySet<Action> = new Set(['subscribe', 'unsubscribe', 'publish', 'message-publish']);

export function isOffered(
	action: Action,
	{prompt, overlay, focus}: ConsoleState,
	{isReadonly, role}: Standing,
): boolean {
	if ((isReadonly && changing.has(action)) || !mayAct(role, action)) return false;
	if (action === 'prompt-older' || action === 'prompt-newer') return prompt?.kind === 'command';
	if (action === 'prompt-complete') return prompt !== undefined && completing.has(prompt.kind);
	if (action.startsWith('message-')) return overlay?.type === 'message';
	return action !== 'filter' || isListPane(focus);
}
