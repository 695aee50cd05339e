/** Unauthenticated peers on both ports get no answer and deliver nothing, and the cluster continues to work. */
import {randomBytes} from 'node:crypto';
import {createSocket} from 'node:dgram';
import {connect, type Socket} from 'node:net';
import {expect, test} from 'vitest';
import {Cluster, untilSeen} from '../../bench/cluster.ts';
import {publishTexts} from './support/brokers.ts';
import {cli} from './support/command.ts';
import {isMessage, waitForAll} from './support/events.ts';

test('1,000 connections and 1,000 datagrams get no answer and do not disturb the cluster', async () => {
	await using cluster = new Cluster({cli, topics: ['news'], messages: true});
	await cluster.startAll(3);
	const [first] = cluster.nodes;
	// Connect before the flood: this process opens all connections, which would delay its own handshake.
	const broker = await cluster.client(cluster.nodes[1]);
	let answeredBytes = 0;
	let answeredDatagrams = 0;
	const sockets: Socket[] = [];
	const ended: Array<Promise<void>> = [];
	for (let index = 0; index < 1000; index++) {
		const socket = connect(first!.port, '127.0.0.1');
		sockets.push(socket);
		socket.on('data', chunk => {
			answeredBytes += chunk.length;
		});
		socket.on('error', () => undefined);
		ended.push(
			new Promise(resolve => {
				socket.once('close', () => resolve());
			}),
		);
		// Every third connection is silent.
		if (index % 3 === 0) socket.write('PUB news 5\r\nhello\r\n');
		else if (index % 3 === 1) socket.write(randomBytes(200));
	}

	const datagrams = createSocket('udp4');
	for (let index = 0; index < 1000; index++)
		datagrams.send(randomBytes(1 + (index % 1200)), first!.port, '127.0.0.1');
	datagrams.on('message', () => {
		answeredDatagrams++;
	});
	// The cluster works during the flood.
	await publishTexts(broker, 'news', ['still here']);
	await waitForAll(cluster.nodes, isMessage('still here'), 'the message');
	await Promise.all(ended); // The handshake timeout ends the silent connections.
	// A TLS server may end the connection of an unauthenticated peer with an alert record (7 bytes), never with bytes
	// of the protocol.
	expect(answeredDatagrams).toBe(0);
	expect(answeredBytes).toBeLessThanOrEqual(1000 * 7);
	for (const node of cluster.nodes) expect(node.events.filter(({type}) => type === 'message')).toHaveLength(1);
	const late = await cluster.client(first);
	// On a busy machine a node may be suspected for a short time.
	await untilSeen(late, ({members}) => members.every(({state}) => state === 'alive'), 'all members alive');
	datagrams.close();
	await broker[Symbol.asyncDispose]();
	await late[Symbol.asyncDispose]();
}, 120_000);
