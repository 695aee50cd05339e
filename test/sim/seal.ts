/**
While a simulated run lasts, whoever asks for the machine's time or chance, for a timer or for the process fails: a node
has its clock, its entropy and its network from outside, or the run could not be repeated.
*/

type Place = {readonly owner: object; readonly name: string};

const places: readonly Place[] = [
	{owner: Date, name: 'now'},
	{owner: Math, name: 'random'},
	{owner: performance, name: 'now'},
	{owner: process, name: 'nextTick'},
	{owner: process, name: 'hrtime'},
	{owner: globalThis.crypto, name: 'getRandomValues'},
	{owner: globalThis.crypto, name: 'randomUUID'},
	{owner: globalThis, name: 'process'},
	...['setTimeout', 'setInterval', 'setImmediate', 'fetch'].map(name => ({owner: globalThis, name})),
];

/** Carry it out in a world without the machine. @throws what it throws; names what was touched */
export function sealed<Result>(work: () => Result): Result {
	const real = places.map(({owner, name}) => ({
		owner,
		name,
		descriptor: Object.getOwnPropertyDescriptor(owner, name),
	}));
	for (const {owner, name} of places) {
		const refuse = (): never => {
			throw new Error(`determinism: a simulated node asked for ${name}`);
		};

		Object.defineProperty(
			owner,
			name,
			name === 'process'
				? {configurable: true, get: refuse}
				: {configurable: true, writable: true, value: refuse},
		);
	}

	try {
		return work();
	} finally {
		for (const {owner, name, descriptor} of real) {
			if (descriptor) Object.defineProperty(owner, name, descriptor);
			else Reflect.deleteProperty(owner, name); // It was inherited.
		}
	}
}
