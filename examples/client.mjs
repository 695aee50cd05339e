/**
A program that uses a cluster of other processes. It publishes two messages, reads the topic from its beginning, and
ends.

	node examples/client.mjs ADDRESS[,ADDRESS] [SECRET_FILE [CLUSTER]]
*/
import {connect, errorMessage, exitCodes} from 'dapss-tui';

const [addresses, secretFile, cluster] = process.argv.slice(2);
if (addresses === undefined) {
	process.stderr.write('Expected ADDRESS[,ADDRESS] [SECRET_FILE [CLUSTER]]\n');
	process.exit(2);
}

// `connect(addresses)` is enough for the cluster "dapss", with the secret file of this user.
const broker = await connect({servers: addresses.split(','), secretFile, cluster}).catch(error => {
	// No node answers, or it belongs to another cluster or has another secret.
	process.stderr.write(`${errorMessage(error)}\n`);
	process.exit(exitCodes[error.code] ?? 1);
});
process.stdout.write(`connected to ${broker.server}\n`);

// Resolves when the messages are on the node's disk.
const {count} = await broker.publish('weather', ['rain', 'sun']);

let left = count;
for await (const deliveries of broker.subscribe(['weather'], {from: 'beginning'})) {
	for (const {topic, offset, body} of deliveries) process.stdout.write(`${topic} ${offset}: ${Buffer.from(body)}\n`);
	left -= deliveries.length;
	if (left <= 0) break;
}

await broker[Symbol.asyncDispose]();
