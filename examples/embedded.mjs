/**
A node inside a program. It joins the given nodes, or founds a cluster of its own.

	node examples/embedded.mjs [PORT [BOOTSTRAP…]]

It uses the data folder and the secret file of the command line, so `dapss-tui attach PORT --cluster example` shows the
node while it runs.
*/
import {openBroker, untilReady} from 'dapss-tui';

const [port = '5000', ...bootstrap] = process.argv.slice(2);
const broker = await openBroker({cluster: 'example', port: Number(port), bootstrap});
process.stdout.write(`node ${broker.id} listens on port ${broker.port}\n`);

await untilReady(broker); // The nodes that it joins through may start later.
const subscription = broker.subscribe(['weather']);
await subscription.agreed; // From now on no message is missed.

const {count} = await broker.publish('weather', ['rain', 'sun']);
process.stdout.write(`${count} messages stored\n`);

let left = count;
// Messages arrive in arrays.
for await (const deliveries of subscription) {
	for (const {topic, body} of deliveries) process.stdout.write(`${topic}: ${Buffer.from(body)}\n`);
	left -= deliveries.length;
	if (left <= 0) break;
}

await broker[Symbol.asyncDispose]();
