/**
A program that uses a cluster which runs elsewhere. It publishes two messages, then reads the topic from its beginning
and ends.

node examples/client.mjs ADDRESS[,ADDRESS] SECRET_FILE [CLUSTER]
*/
import {readFileSync} from 'node:fs';
import {connect, defaults, errorMessage, exitCodes} from 'dapss-tui';

const [addresses, secretFile, cluster = defaults.cluster] = process.argv.slice(2);
if (addresses === undefined || secretFile === undefined) {
	process.stderr.write('Expected ADDRESS[,ADDRESS] SECRET_FILE [CLUSTER]\n');
	process.exit(2);
}

// The secret is the text of the file without white space around it.
const secret = Buffer.from(readFileSync(secretFile, 'utf8').trim());
const broker = await connect({...defaults, cluster, secret, servers: addresses.split(',')}).catch(error => {
	// No node answers, or it is one of another cluster or with another secret.
	process.stderr.write(`${errorMessage(error)}\n`);
	process.exit(exitCodes[error.code] ?? 1);
});
process.stdout.write(`connected to ${broker.server}\n`);

// Resolves when the messages are on the node's disk.
const {count} = await broker.publish('weather', [Buffer.from('rain'), Buffer.from('sun')]);

let left = count;
for await (const deliveries of broker.subscribe(['weather'], {from: 'beginning'})) {
	for (const {topic, offset, body} of deliveries) process.stdout.write(`${topic} ${offset}: ${Buffer.from(body)}\n`);
	left -= deliveries.length;
	if (left <= 0) break;
}

await broker[Symbol.asyncDispose]();
