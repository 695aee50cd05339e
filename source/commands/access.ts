/**
`access list|add|revoke|default`: identities and their roles. `access admit|token|withdraw`: which nodes may join.
`access identity`: the own identity, without a node.
*/
import {randomBytes} from 'node:crypto';
import {
	hashOfToken,
	isIdentityKey,
	isJoinToken,
	isRole,
	roles,
	usesMax,
	type AccessReport,
	type Grant,
	type IdentityKey,
	type Role,
} from '../../core/access.ts';
import {DapssError} from '../../core/errors.ts';
import {isNodeId} from '../../core/message.ts';
import {nameKey} from '../../core/node-name.ts';
import {shortIdentity} from '../../core/observe/access-text.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import {parseDuration, parseNumber} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {table} from '../output/table.ts';

const actions = {list, add, revoke, default: setDefault, identity, admit, token, withdraw} as const;
const hourMs = 3_600_000;
const expiresMsMax = 365 * 24 * hourMs;
/** Digits of an identity that name a grant. */
const prefixMin = 8;

export async function run(context: Context): Promise<void> {
	const {
		input: [action = 'list'],
	} = context;
	if (!Object.hasOwn(actions, action))
		throw new DapssError(
			'usage',
			`Expected access ${Object.keys(actions).join(', ')}, got ${JSON.stringify(action)}`,
		);
	await actions[action as keyof typeof actions](context);
}

async function list(context: Context): Promise<void> {
	expectInput(context, 0, 1, 'access list');
	const report = await withNode(context, broker => broker.access());
	await context.terminal.line(context.output === 'json' ? jsonText(report) : listText(report));
}

function listText({defaultRole, grants, admitted, tokens, you}: AccessReport): string {
	const rows = grants.map(({identity: key, role, name, topics}) => [
		role,
		key,
		printable(name),
		role === 'client' ? (topics.length === 0 ? 'all' : printable(topics.join(', '))) : '',
	]);
	const everyone = `Everyone else who has the secret: ${roleText(defaultRole)}`;
	const yours =
		you.identity === undefined
			? `You have no identity here, and the role ${you.role}`
			: `You are ${you.identity}, with the role ${you.role}${you.isOwner ? ' (you run this node)' : ''}`;
	const joining = [
		...admitted.map(node => `Node ${node} may join`),
		...tokens.map(
			({hash, uses, untilMs}) =>
				`Join token ${shortIdentity(hash)}: ${nodesText(uses)}, until ${dateText(untilMs)}`,
		),
	];
	return [
		...(rows.length === 0 ? [] : [table(['role', 'identity', 'name', 'topics'], rows)]),
		everyone,
		...joining,
		yours,
	].join('\n');
}

function roleText(role: Role): string {
	return role === 'none' ? 'no access' : `role ${role}`;
}

async function add(context: Context): Promise<void> {
	const {flags, output, terminal} = context;
	expectInput(context, 3, 4, 'access add IDENTITY observer|client|operator [NAME] [--only PATTERN,…]');
	const [, who, role, name] = context.input;
	if (!isRole(role) || role === 'none')
		throw new DapssError('usage', `Expected the role observer, client or operator, got ${JSON.stringify(role)}`);
	const patterns = flags.only?.flatMap(text => text.split(',')).map(text => text.trim().normalize('NFC'));
	const grant = await withNode(context, async broker => {
		const {grants} = await broker.access();
		const before = isIdentityKey(who) ? grants.find(({identity: key}) => key === who) : grantOf(who!, grants);
		const made: Grant = {
			identity: before?.identity ?? (who as IdentityKey),
			role,
			name: name ?? before?.name ?? '',
			// Without --only a client keeps its patterns: a new name must not widen its access.
			topics: patterns ?? (role === 'client' ? (before?.topics ?? []) : []),
		};
		await broker.changeAccess({type: 'grant', ...made});
		return made;
	});
	const only = grant.topics.length === 0 ? '' : ` for the topics ${printable(grant.topics.join(', '))}`;
	await terminal.line(output === 'json' ? jsonText(grant) : `${labelOf(grant)} has the role ${role}${only} now`);
}

async function revoke(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 2, 2, 'access revoke IDENTITY | NAME');
	const {grant, defaultRole} = await withNode(context, async broker => {
		const report = await broker.access();
		const revoked = grantOf(context.input[1]!, report.grants);
		await broker.changeAccess({type: 'revoke', identity: revoked.identity});
		return {grant: revoked, defaultRole: report.defaultRole};
	});
	const rest =
		defaultRole === 'none'
			? 'has no access now'
			: `has only the role of everyone who has the secret now: ${defaultRole}. ` +
				'To shut it out: dapss-tui access default none';
	await terminal.line(
		output === 'json'
			? jsonText({revoked: grant.identity, name: grant.name, defaultRole})
			: `${labelOf(grant)} ${rest}`,
	);
}

async function setDefault(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 2, 2, `access default ${roles.join('|')}`);
	const role = context.input[1];
	if (!isRole(role))
		throw new DapssError('usage', `Expected a role (${roles.join(', ')}), got ${JSON.stringify(role)}`);
	await withNode(context, broker => broker.changeAccess({type: 'default', role}));
	await terminal.line(
		output === 'json'
			? jsonText({defaultRole: role})
			: `Everyone who has the secret and no role of their own: ${roleText(role)}`,
	);
}

async function identity(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 1, 1, 'access identity');
	const own = context.settings().identity();
	if ('problem' in own) throw new DapssError('config', own.problem);
	const {key, path} = own;
	await terminal.line(output === 'json' ? jsonText({identity: key, file: path}) : key);
}

async function admit(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 2, 2, 'access admit NODE_ID');
	const node = context.input[1]!;
	if (!isNodeId(node))
		throw new DapssError(
			'usage',
			`Expected the id of a node (16 hexadecimal digits, as its output shows), got ${JSON.stringify(node)}`,
		);
	await withNode(context, broker => broker.changeAccess({type: 'admit', node}));
	await terminal.line(output === 'json' ? jsonText({admitted: node}) : `Node ${node} may join the cluster`);
}

async function token(context: Context): Promise<void> {
	const {flags, output, terminal} = context;
	expectInput(context, 1, 1, 'access token [--uses N] [--expires TIME]');
	const uses = flags.uses === undefined ? 1 : parseNumber(flags.uses, '--uses', {min: 1, max: usesMax});
	const forMs = flags.expires === undefined ? hourMs : parseDuration(flags.expires, '--expires', expiresMsMax);
	const untilMs = Date.now() + forMs;
	const made = `join-${randomBytes(16).toString('base64url')}`;
	const hash = hashOfToken(made);
	await withNode(context, broker => broker.changeAccess({type: 'token', hash, uses, untilMs}));
	await terminal.line(output === 'json' ? jsonText({token: made, hash, uses, untilMs}) : made);
	if (output !== 'json')
		terminal.say(
			`Admits ${nodesText(uses)} until ${dateText(untilMs)}. ` +
				`Start a node with the secret of the cluster and: --join-token ${made}`,
		);
}

async function withdraw(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 2, 2, 'access withdraw TOKEN | HASH');
	const given = context.input[1]!;
	const wanted = isJoinToken(given) ? hashOfToken(given) : given;
	const hash = await withNode(context, async broker => {
		const found = (await broker.access()).tokens.filter(one => one.hash.startsWith(wanted));
		if (wanted.length < prefixMin || found.length !== 1)
			throw new DapssError(
				'usage',
				`Expected a join token, or at least ${prefixMin} digits of its hash in \`access list\`, ` +
					`got ${JSON.stringify(given)}`,
			);
		await broker.changeAccess({type: 'withdraw', hash: found[0]!.hash});
		return found[0]!.hash;
	});
	await terminal.line(
		output === 'json' ? jsonText({withdrawn: hash}) : `Join token ${shortIdentity(hash)} is withdrawn`,
	);
}

const nodesText = (count: number): string => `${count} ${count === 1 ? 'node' : 'nodes'}`;

/** Date and time (UTC), without seconds. */
function dateText(ms: number): string {
	return new Date(ms).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}

/** The grant with this name, or with an identity that begins with these digits. @throws `usage` */
function grantOf(who: string, grants: readonly Grant[]): Grant {
	const found = grants.filter(
		({identity: key, name}) =>
			nameKey(name) === nameKey(who) ||
			(/^[\da-f]+$/.test(who) && who.length >= prefixMin && key.startsWith(who)),
	);
	if (found.length === 1) return found[0]!;
	throw new DapssError(
		'usage',
		found.length === 0
			? `Expected an identity (64 hexadecimal digits), or the name or at least ${prefixMin} digits of one in ` +
					`\`access list\`, got ${JSON.stringify(who)}`
			: `${JSON.stringify(who)} fits ${found.length} identities: give more digits`,
	);
}

function labelOf({identity: key, name}: Grant): string {
	return name === '' ? `The identity ${shortIdentity(key)}` : `${printable(name)} (${shortIdentity(key)})`;
}
