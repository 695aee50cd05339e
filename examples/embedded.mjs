/**
A node inside a program. It founds a cluster of its own, and other nodes with the same secret may join it.

	node examples/embedded.mjs [PORT]
*/
import {randomBytes} from 'node:crypto';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {openBroker} from 'dapss-tui';

// A program keeps both: the folder is the node's identity and messages, the secret lets others in.
const data = mkdtempSync(join(tmpdir(), 'dapss-example-'));
const secret = randomBytes(32);

const broker = await openBroker({
	data,
	secret,
	cluster: 'example',
	port: Number(process.argv[2] ?? 5000),
	discovery: {enabled: false},
});
process.stdout.write(`node ${broker.id} listens on port ${broker.port}\n`);

const weather = broker.subscribe(['weather']);
await weather.agreed; // From here on nothing is missed.

const {count} = await broker.publish('weather', [Buffer.from('rain'), Buffer.from('sun')]);
process.stdout.write(`${count} messages stored\n`);

let left = count;
// Messages come in arrays of what was there at once.
for await (const deliveries of weather) {
	for (const {topic, body} of deliveries) process.stdout.write(`${topic}: ${Buffer.from(body)}\n`);
	left -= deliveries.length;
	if (left <= 0) break;
}

await broker[Symbol.asyncDispose]();
rmSync(data, {recursive: true});
