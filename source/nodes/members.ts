/**
Finds members by the words of a user.
*/
import {canonicalAddress} from '../../core/address.ts';
import {DapssError} from '../../core/errors.ts';
import {membersCalled} from '../../core/observe/member-named.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';

/** A member by its name, its address, its port, or the first digits of its id. @throws `usage` */
export function memberOf(name: string, members: readonly MemberSnapshot[]): MemberSnapshot {
	const found = membersCalled(name, members, canonicalAddress(name));
	if (found.length === 1) return found[0]!;
	const label = labelsOf(members);
	const candidates = (found.length === 0 ? members : found)
		.map(({id, address}) => `${label(id)} (${printable(address)})`)
		.join(', ');
	throw new DapssError(
		'usage',
		`Expected ${JSON.stringify(name)} to be ` +
			`${found.length === 0 ? 'a member' : 'one member, but it is several'}: ${candidates}`,
	);
}
