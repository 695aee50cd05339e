/** The role that each command needs. The node enforces it; the console does not offer what the node would refuse. */
import type {Role} from '../../core/access.ts';
import type {ConsoleCommand} from '../source/source.ts';
import type {Action} from './keymap.ts';

type Needed = 'observer' | 'client' | 'operator';

const byCommand: Readonly<Record<ConsoleCommand['type'], Needed>> = {
	confirm: 'observer',
	'access-list': 'observer',
	attach: 'observer',
	context: 'observer',
	publish: 'client',
	subscribe: 'operator',
	unsubscribe: 'operator',
	'create-topic': 'operator',
	'delete-topic': 'operator',
	transfer: 'operator',
	remove: 'operator',
	leave: 'operator',
	fault: 'operator',
	'access-change': 'operator',
	'access-revoke': 'operator',
};
const byAction: Readonly<Partial<Record<Action, Needed>>> = {
	publish: 'client',
	'message-publish': 'client',
	'message-load': 'client',
	subscribe: 'operator',
	unsubscribe: 'operator',
	'confirm-leave': 'operator',
};
/** Words of the `:` prompt. */
const byWord: Readonly<Record<string, Needed>> = {
	publish: 'client',
	subscribe: 'operator',
	unsubscribe: 'operator',
	peer: 'operator',
	topic: 'operator',
	fault: 'operator',
	leave: 'operator',
};
const order: readonly Role[] = ['none', 'observer', 'client', 'operator'];

/** @param role `undefined` when the node has not said it: then it decides itself */
function includes(role: Role | undefined, needed: Needed): boolean {
	return role === undefined || order.indexOf(role) >= order.indexOf(needed);
}

export function mayAct(role: Role | undefined, action: Action): boolean {
	return includes(role, byAction[action] ?? 'observer');
}

export function maySay(role: Role | undefined, word: string): boolean {
	return includes(role, byWord[word] ?? 'observer');
}

/** Why the node would refuse the command; `undefined` when it would not. */
export function roleRefusal(role: Role | undefined, type: ConsoleCommand['type']): string | undefined {
	return refusal(role, type.replace('-', ' the '), byCommand[type]);
}

/** Why the action has no effect; `undefined` when it has one. */
export function actionRefusal(role: Role | undefined, action: Action): string | undefined {
	return refusal(role, `\`${action}\``, byAction[action] ?? 'observer');
}

function refusal(role: Role | undefined, what: string, needed: Needed): string | undefined {
	return includes(role, needed)
		? undefined
		: `${what} needs the role ${needed}, and this console has the role ${role}: ask an operator for ` +
				`\`dapss-tui access grant\``;
}
