/**
The `:access` command: identities and their roles. Pure. The node checks what is given, and knows names.
*/
import type {AccessChange, Grant, Role} from '../../core/access.ts';
import type {NodeId} from '../../core/message.ts';
import {wordsOf} from './line.ts';
import type {PromptRequest} from './prompt-request.ts';

const problem = (text: string): PromptRequest => ({type: 'problem', text});
const usage =
	'Expected `:access list`, `add IDENTITY observer|client|operator [NAME]`, `revoke NAME`, `default ROLE` or ' +
	'`admit NODE_ID`';
const roles: ReadonlySet<string> = new Set<Role>(['none', 'observer', 'client', 'operator']);

export function parseAccess(rest: string): PromptRequest {
	const parsed = wordsOf(rest);
	if ('problem' in parsed) return problem(parsed.problem);
	const [action = 'list', first, second, third, ...more] = parsed.words.map(({text}) => text);
	if (more.length > 0) return problem(usage);
	if (action === 'list' && first === undefined) return {type: 'run', command: {type: 'access-list'}};
	if (first === undefined) return problem(usage);
	if (action === 'add' && second !== undefined && second !== 'none' && roles.has(second)) {
		if (!/^[\da-f]{64}$/u.test(first))
			return problem('Expected an identity: 64 digits, as `dapss-tui access identity` prints them');
		const grant = {identity: first, role: second, name: third ?? '', topics: []} as unknown as Grant;
		return change({type: 'grant', ...grant});
	}

	if (second !== undefined) return problem(usage);
	if (action === 'revoke')
		return {
			type: 'confirm',
			command: {type: 'access-revoke', name: first},
			name: first,
			title: 'Revoke access',
			lines: [
				'The identity loses its role, and its connections are closed.',
				'If it has the secret, it keeps the default role (`:access list`).',
			],
		};
	if (action === 'default' && roles.has(first)) {
		const role = first as Role;
		return {
			type: 'confirm',
			command: {type: 'access-change', change: {type: 'default', role}},
			name: role,
			title: 'Change the role of everyone else',
			lines: [
				`Everyone who has the secret and no role of their own gets the role ${role}.`,
				'Connections whose access changes are closed. Operators keep theirs.',
			],
		};
	}

	return action === 'admit' ? change({type: 'admit', node: first as NodeId}) : problem(usage);
}

function change(made: AccessChange): PromptRequest {
	return {type: 'run', command: {type: 'access-change', change: made}};
}
