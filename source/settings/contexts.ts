/**
Named contexts in the preferences: clusters that an attached console can show, each with the settings to reach it.

```json
{"contexts": {"prod": {"server": "10.0.0.1:5000,10.0.0.2:5000", "cluster": "orders", "colour": "red"}}}
```
*/
import {dirname, isAbsolute, join} from 'node:path';
import {isGroup} from './names.ts';

export type ClusterContext = {
	/** One or several addresses with commas. Without it a node is searched. */
	readonly server?: string;
	readonly cluster?: string;
	readonly secretFile?: string;
	readonly identityFile?: string;
	readonly colour?: string;
};

/** The keys of a context in the file. */
const keys: Readonly<Record<string, keyof ClusterContext>> = {
	server: 'server',
	cluster: 'cluster',
	secret_file: 'secretFile',
	identity_file: 'identityFile',
	colour: 'colour',
};
const paths: ReadonlySet<string> = new Set(['secretFile', 'identityFile']);
export const colours = ['red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white', 'gray'] as const;

/**
The contexts that can be used, and the problems of the others, for people.
@param path of the preferences; paths of files are relative to its folder
*/
export function readContexts(
	group: Readonly<Record<string, unknown>>,
	path: string,
): {readonly contexts: ReadonlyMap<string, ClusterContext>; readonly problems: readonly string[]} {
	const contexts = new Map<string, ClusterContext>();
	const problems: string[] = [];
	for (const [name, value] of Object.entries(group)) {
		const found = isGroup(value)
			? problemsOf(value as Readonly<Record<string, unknown>>)
			: ['to be an object such as {"server": "10.0.0.1:5000", "cluster": "orders"}'];
		problems.push(...found.map(problem => `Expected contexts.${name} ${problem}`));
		if (found.length > 0) continue;
		contexts.set(
			name,
			Object.fromEntries(
				Object.entries(value as Readonly<Record<string, string>>).map(([key, text]) => [
					keys[key]!,
					paths.has(keys[key]!) && !isAbsolute(text) ? join(dirname(path), text) : text,
				]),
			),
		);
	}

	return {contexts, problems};
}

function problemsOf(context: Readonly<Record<string, unknown>>): readonly string[] {
	return Object.entries(context).flatMap(([key, value]) => {
		if (!Object.hasOwn(keys, key)) return [`to have ${Object.keys(keys).join(', ')}, got \`${key}\``];
		if (typeof value !== 'string' || value === '') return [`to have a text for ${key}`];
		return key === 'colour' && !(colours as readonly string[]).includes(value)
			? [`to have one of the colours ${colours.join(', ')}, got \`${value}\``]
			: [];
	});
}
