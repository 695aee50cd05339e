/**
A test of an application with a cluster of its own: three nodes in the process of the test, on free ports, with all
files in a temporary folder.

	node --test examples/in-process-cluster.test.mjs
*/
import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {mkdtemp, rm} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {openBroker, untilReady} from 'dapss-tui';

/** A port that is free now. */
async function freePort() {
	const server = createServer();
	await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address();
	await new Promise(resolve => server.close(resolve));
	return port;
}

let folder;
const brokers = [];

before(async () => {
	folder = await mkdtemp(join(tmpdir(), 'my-application-'));
	process.env.XDG_STATE_HOME = folder; // Nodes list themselves here, so that commands find them.
	const shared = {cluster: 'my-application', secret: randomBytes(32), discovery: {enabled: false}};
	let bootstrap = []; // The first node founds the cluster, the others join through it.
	for (const name of ['a', 'b', 'c']) {
		const broker = await openBroker({...shared, bootstrap, port: await freePort(), data: join(folder, name)});
		bootstrap = [`127.0.0.1:${brokers[0]?.port ?? broker.port}`];
		brokers.push(broker);
	}

	await Promise.all(brokers.map(broker => untilReady(broker)));
});

after(async () => {
	await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	await rm(folder, {recursive: true, force: true});
});

/** The next messages of a subscription, as texts. */
async function read(subscription, count) {
	const texts = [];
	for await (const deliveries of subscription) {
		for (const {body} of deliveries) texts.push(Buffer.from(body).toString());
		if (texts.length >= count) break;
	}

	return texts;
}

test('every node delivers the messages of one node, in the order of publication', async () => {
	const subscriptions = brokers.map(broker => broker.subscribe(['orders']));
	await Promise.all(subscriptions.map(({agreed}) => agreed));
	await brokers[0].publish('orders', ['first', 'second']);
	for (const subscription of subscriptions) assert.deepEqual(await read(subscription, 2), ['first', 'second']);
});

test('a later subscriber reads the topic from the beginning', async () => {
	await brokers[1].publish('prices', ['7']);
	assert.deepEqual(await read(brokers[2].subscribe(['prices'], {from: 'beginning'}), 1), ['7']);
});
