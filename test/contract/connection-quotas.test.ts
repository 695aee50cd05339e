/** A listener keeps room for members, and no client or address takes all connections. */
import {expect, test} from 'vitest';
import {identityKeyOf} from '../../core/access.ts';
import {defaults, type Config} from '../../core/config.ts';
import type {Channel, LocalHello} from '../../core/io/net/channel.ts';
import {createTransport, transportOptions} from '../../core/io/net/transport.ts';
import {createIdentity, type Identity} from '../../core/wire/seal.ts';
import {hello, listening, secret, side} from './support/channel-sides.ts';

const newest = [1, 4] as const;
type Used = readonly [quota: string, who: string];

async function open(limits: Partial<Config['limits']>) {
	const server = side(createTransport, {limits});
	const used: Used[] = [];
	const options = {
		...server.options,
		protocols: newest,
		onQuota: (quota: string, who: string) => void used.push([quota, who]),
	};
	const listener = await listening(
		{...server, transport: createTransport(options)},
		{
			onChannel(channel) {
				channel.onFrame = () => {};
			},
		},
	);
	return {listener, used, refusals: options.refusals};
}

/** A call of a member, or of a client with or without a key. */
function dial(
	address: string,
	who: 'member' | Identity | undefined,
	protocols = newest as readonly [number, number],
): Promise<Channel> {
	const isMember = who === 'member';
	const options = transportOptions(
		{...defaults, secret},
		{identity: isMember ? createIdentity() : undefined, version: '1.0.0'},
	);
	const local: LocalHello = isMember ? hello : {...hello, address: '', via: 'client'};
	return createTransport({...options, protocols, ...(!isMember && who && {clientIdentity: who})}).dial(address, {
		hello: local,
		timeoutMs: 5000,
	});
}

const failure = (call: Promise<Channel>): Promise<unknown> =>
	call.then(
		() => undefined,
		(error: unknown) => error,
	);

test('one client may not take all connections; other clients and members come in', async () => {
	const {listener, used, refusals} = await open({connections: 24, connectionsPerClient: 4, connectionsPerAddress: 8});
	await using _listener = listener;
	const {address} = listener;
	const [greedy, other, third] = [createIdentity(), createIdentity(), createIdentity()];
	const channels = await Promise.all(Array.from({length: 4}, () => dial(address, greedy)));
	const name = `identity ${identityKeyOf(greedy.publicKey)}`;
	expect(await failure(dial(address, greedy))).toMatchObject({
		code: 'refused',
		message: expect.stringContaining(
			`Expected at most 4 connections of ${name} (limits.connections_per_client), got one more`,
		),
	});
	expect(used).toEqual([['connections-per-client', name]]);
	expect(refusals.of('limit')).toBe(1);
	channels.push(...(await Promise.all(Array.from({length: 4}, () => dial(address, other)))));
	expect(await failure(dial(address, third))).toMatchObject({
		message: expect.stringContaining('limits.connections_per_address'),
	});
	channels.push(await dial(address, 'member'));
	// The end of a connection makes room.
	channels[0]!.close('done');
	await expect
		.poll(() => failure(dial(address, third).then(channel => (channels.push(channel), channel))), {timeout: 10_000})
		.toBe(undefined);
	for (const channel of channels) channel.close('done');
});

test('members come in when clients have taken all that is theirs', async () => {
	const {listener, used} = await open({connections: 16, connectionsReserved: 4});
	await using _listener = listener;
	const {address} = listener;
	const channels: Channel[] = [];
	for (let count = 0; count < 12; count++) channels.push(await dial(address, createIdentity()));
	expect(await failure(dial(address, createIdentity()))).toMatchObject({
		message: expect.stringContaining('less limits.connections_reserved for members'),
	});
	expect(used.map(([quota]) => quota)).toEqual(['connections']);
	for (let count = 0; count < 4; count++) channels.push(await dial(address, 'member'));
	for (const channel of channels) channel.close('done');
});

test('clients without an identity, and those of earlier releases, count under their address and get the reason', async () => {
	const {listener, used} = await open({connections: 64, connectionsPerClient: 3, connectionsWithoutIdentity: 2});
	await using _listener = listener;
	const {address} = listener;
	const channels = [await dial(address, undefined), await dial(address, undefined, [1, 3])];
	for (const protocols of [newest, [1, 3]] as const)
		expect(await failure(dial(address, undefined, protocols))).toMatchObject({
			code: 'refused',
			message: expect.stringContaining('limits.connections_without_identity'),
		});
	expect(used).toEqual([
		['connections-without-identity', 'address 127.0.0.1'],
		['connections-without-identity', 'address 127.0.0.1'],
	]);
	channels.push(await dial(address, createIdentity()));
	for (const channel of channels) channel.close('done');
});

test('calls at the same time get no more than the quota', async () => {
	const {listener} = await open({connections: 64, connectionsPerClient: 3});
	await using _listener = listener;
	const greedy = createIdentity();
	const calls = await Promise.allSettled(Array.from({length: 12}, () => dial(listener.address, greedy)));
	await expect.poll(() => listener.connections, {timeout: 10_000}).toBe(3);
	for (const call of calls) if (call.status === 'fulfilled') call.value.close('done');
});
