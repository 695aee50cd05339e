/** Events about access and requests, as sentences. Pure. */
import type {BrokerEvent} from '../events.ts';
import type {Label} from './node-label.ts';
import {printable} from './printable.ts';
import {requestText} from './request-text.ts';

/** The first digits of an identity, enough to tell identities apart. */
export function shortIdentity(identity: string): string {
	return printable(identity.slice(0, 12));
}

/** The agreed change of access. @param label the label of the node that proposed it */
export function accessText(event: Extract<BrokerEvent, {readonly type: 'access'}>, label: Label): string {
	const {change, identity = '', name = '', role, topics = [], candidate = '', hash = '', node, by} = event;
	const who = `${shortIdentity(identity)}${name === '' ? '' : ` (${printable(name)})`}`;
	const author = by === undefined ? '' : ` by ${shortIdentity(by)}`;
	const place = `${author} at ${label(node)}`;
	if (change === 'default') return `Identities without a grant have the role ${role ?? 'none'} now${place}`;
	if (change === 'node-admitted') return `Node ${printable(candidate)} may join${place}`;
	if (change === 'token-made') return `Join token ${shortIdentity(hash)} made${place}`;
	if (change === 'token-withdrawn') return `Join token ${shortIdentity(hash)} withdrawn${place}`;
	if (change === 'revoked') return `Access of ${who} revoked${place}`;
	const patterns = topics.length === 0 ? '' : ` for ${printable(topics.join(', '))}`;
	return `${who} has the role ${role ?? 'none'}${patterns} now${place}`;
}

/** The agreed change of the keys. @param label the label of the node that proposed it */
export function keysText(event: Extract<BrokerEvent, {readonly type: 'keys'}>, label: Label): string {
	const {change, key, node, by} = event;
	const place = `${by === undefined ? '' : ` by ${shortIdentity(by)}`} at ${label(node)}`;
	if (change === 'added') return `Key ${printable(key)} is valid too${place}`;
	return change === 'used' ? `Key ${printable(key)} is in use now${place}` : `Key ${printable(key)} removed${place}`;
}

/** A request that changes something, and its outcome. */
export function auditText(event: Extract<BrokerEvent, {readonly type: 'audit'}>): string {
	const {action, target, by, address, outcome, reason = '', count = 1} = event;
	const what = printable(`${requestText(action)}${target === '' ? '' : ` (${target})`}`);
	const who = address === '' ? 'Others' : `${by === '' ? 'No identity' : shortIdentity(by)} (${printable(address)})`;
	if (outcome === 'done') return `${who} requested: ${what}`;
	return `${who} requested: ${what}; failed${count > 1 ? ` ${count} times` : ''}: ${printable(reason)}`;
}
