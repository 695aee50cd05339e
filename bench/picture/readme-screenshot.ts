/**
The screenshot in the README: the console of one of five nodes while two nodes are cut off and messages flow.

```
npm run build && node_modules/.bin/node bench/picture/readme-screenshot.ts
```
*/
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {NodeId} from '../../core/index.ts';
import {Cluster, freePorts} from '../cluster.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const [columns, rows] = [132, 40];
await using cluster = new Cluster({cli: here('../../dist/cli.js'), topics: ['weather', 'news'], flags: ['--faults']});
await cluster.startAll(4);
const [port] = await freePorts(1);
const out = process.argv[2] ?? here('../screenshot.svg');
const console_ = spawn(
	process.execPath,
	[
		here('screenshot.ts'),
		'--size',
		`${columns}x${rows}`,
		'--out',
		out,
		'--title',
		'dapss-tui',
		'--wait',
		'9000',
		'--',
		process.execPath,
		here('../../dist/cli.js'),
		'--port',
		String(port),
		'--bootstrap',
		String(cluster.nodes[0]!.port),
		'--faults',
		'--topics',
		'weather',
		'--data',
		`${cluster.folder}/console`,
		...cluster.clientFlags,
	],
	// Of the user who founded the cluster, so that the node joins by itself.
	{stdio: 'inherit', env: {...process.env, DAPSS_IDENTITY_FILE: cluster.identityFile}},
);
const ended = new Promise(resolve => {
	console_.once('exit', resolve);
});
const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
await cluster.nodes[0]!.waitFor(
	event => event.type === 'voters' && (event['voters'] as unknown[]).length === 5,
	'five voters',
);
const towns = ['Bern', 'Zürich', 'Genève', 'Lugano', 'Chur', 'Basel'];
const say = async (from: number, count: number): Promise<void> => {
	for (let index = 0; index < count; index++) {
		await brokers[(from + index) % 2]!.publish('weather', [
			Buffer.from(
				`${towns[(from + index) % towns.length]!}: ` +
					`${11 + ((from + index * 7) % 9)} °C, wind ${3 + ((index * 5) % 17)} km/h`,
			),
		]);
	}
};

await say(0, 5);
const ids = cluster.nodes.map(({id}) => id as NodeId);
const {members, self} = await brokers[0]!.snapshot();
const consoleId = members.find(({id}) => id !== self && !ids.includes(id))!.id;
const [near, far] = [
	[ids[0]!, ids[1]!, consoleId],
	[ids[2]!, ids[3]!],
];
const consoleNode = await cluster.clientOf(port!);
await Promise.all([
	...brokers.slice(0, 2).map(broker => broker.fault({type: 'cut', peers: far, direction: 'both', forMs: 60_000})),
	...brokers.slice(2).map(broker => broker.fault({type: 'cut', peers: near, direction: 'both', forMs: 60_000})),
	consoleNode.fault({type: 'cut', peers: far, direction: 'both', forMs: 60_000}),
]);
await cluster.nodes[0]!.waitFor(event => event.type === 'partition' && event['state'] === 'detected', 'the partition');
await say(5, 6);
await ended;
await Promise.all([...brokers, consoleNode].map(broker => broker[Symbol.asyncDispose]()));
