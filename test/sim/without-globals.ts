/**
During a simulated run, access to the machine's time, randomness, timers or process throws. A node must get its clock,
entropy and network from outside, or the run could not be replayed.
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

/** Run the work without access to the machine. @throws what the work throws, and on such access */
export function withoutGlobals<Result>(work: () => Result): Result {
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
