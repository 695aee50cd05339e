/**
Finds the member that a person refers to. The command line and the console use the same rules, in this order: the exact
name, the address, its port, the first digits of the id. A match of an earlier rule hides matches of later ones, so that
a node named `5001` can be referred to by its name. Pure.
*/
import type {MemberSnapshot} from '../snapshot.ts';

type Callable = Pick<MemberSnapshot, 'id' | 'name' | 'address'>;

/** The least number of digits of an id that may stand for it. */
const digitsMin = 4;

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1);

/**
The members that `called` may refer to: one, none, or several to choose from.
@param address `called` as an address, if it can be one
*/
export function membersCalled<Member extends Callable>(
	called: string,
	members: readonly Member[],
	address: string = called,
): readonly Member[] {
	const rules: ReadonlyArray<(member: Member) => boolean> = [
		member => member.name !== '' && member.name === called,
		// Names that differ only in case count as the same name.
		member => member.name !== '' && member.name.toLowerCase() === called.toLowerCase(),
		member => member.address === called || member.address === address,
		// A member that listens on the loopback interface announces it as a number.
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
