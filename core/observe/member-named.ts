/**
Which member a person means. One rule for the command line and the console: the exact name first, then the address, then
its port, then the first digits of the id; what matches earlier hides what matches later, so that a node named `5001`
can be called so. Pure.
*/
import type {MemberSnapshot} from '../snapshot.ts';

type Callable = Pick<MemberSnapshot, 'id' | 'name' | 'address'>;

/** Digits of an id that are enough to call it. */
const digitsMin = 4;

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1);

/**
Those that are meant: one, none, or several to choose from.
@param address `called` as an address, when it can be one
*/
export function membersCalled<Member extends Callable>(
	called: string,
	members: readonly Member[],
	address: string = called,
): readonly Member[] {
	const rules: ReadonlyArray<(member: Member) => boolean> = [
		member => member.name !== '' && member.name === called,
		// Names that differ only in case are one name.
		member => member.name !== '' && member.name.toLowerCase() === called.toLowerCase(),
		member => member.address === called || member.address === address,
		// One that listens on this machine says so by number.
		member =>
			/^localhost:\d+$/u.test(address) &&
			[`127.0.0.1:${portOf(address)}`, `[::1]:${portOf(address)}`].includes(member.address),
		member => /^\d{1,5}$/u.test(called) && member.address.endsWith(`:${called}`),
		member => called.length >= digitsMin && member.id.startsWith(called),
	];
	for (const rule of rules) {
		const found = members.filter(member => rule(member));
		if (found.length > 0) return found;
	}

	return [];
}
