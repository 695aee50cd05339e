/**
Members as people name them.
*/
import {canonicalAddress} from '../core/address.ts';
import {DapssError} from '../core/errors.ts';
import {printable} from '../core/observe/printable.ts';
import type {MemberSnapshot} from '../core/observe/snapshot.ts';
import {shortId} from './units.ts';

/** A member by its address, its port, or the first digits of its id. @throws `usage` */
export function memberOf(name: string, members: readonly MemberSnapshot[]): MemberSnapshot {
	const address = canonicalAddress(name);
	const found = members.filter(member => member.address === address || (/^\d{1,5}$/.test(name) && member.address.endsWith(`:${name}`)) || (/^[0-9a-f]{4,16}$/.test(name) && member.id.startsWith(name)));
	if (found.length === 1) return found[0]!;
	const names = members.map(member => `${shortId(member.id)} (${printable(member.address)})`).join(', ');
	throw new DapssError('usage', `Expected ${JSON.stringify(name)} to be ${found.length === 0 ? 'a member' : 'one member, it is several'}: ${names}`);
}
