/**
Sets up both ends of a channel for tests.
*/
import {defaults, type Config} from '../../../core/config.ts';
import type {
	Channel,
	Listener,
	ListenOptions,
	LocalHello,
	Transport,
	TransportOptions,
} from '../../../core/io/net/channel.ts';
import {transportOptions} from '../../../core/io/net/transport.ts';
import type {KeySet} from '../../../core/wire/key-ring.ts';
import {createIdentity, type Identity} from '../../../core/wire/seal.ts';

export type Settings = Partial<
	Pick<Config, 'cluster' | 'secret' | 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'>
> & {readonly limits?: Partial<Config['limits']>; readonly keys?: KeySet};
export type Side = {
	readonly identity: Identity;
	readonly options: TransportOptions;
	readonly transport: Transport;
	readonly problems: string[];
};

export const secret = Buffer.alloc(32, 7);

export function side(
	make: (options: TransportOptions) => Transport,
	{keys, ...settings}: Settings,
	identity = createIdentity(),
): Side {
	const problems: string[] = [];
	const config = {...defaults, secret, ...settings, limits: {...defaults.limits, ...settings.limits}};
	const options = transportOptions(config, {
		identity,
		version: '1.0.0',
		...(keys && {keys}),
		onRefusal: ({reason}) => problems.push(reason),
	});
	return {identity, options, transport: make(options), problems};
}

export const hello: LocalHello = {
	address: '127.0.0.1:5001',
	clusterId: '',
	incarnation: 1,
	instance: '',
	name: '',
	via: 'peer',
};

/** Listens; `next` returns the channels in the order in which they opened. */
export async function listening(
	{transport}: Side,
	options: Partial<ListenOptions> = {},
): Promise<Listener & {readonly address: string; next(): Promise<Channel>}> {
	const waiting: Array<(channel: Channel) => void> = [];
	const opened: Channel[] = [];
	const listener = await transport.listen({
		host: '127.0.0.1',
		port: 0,
		hello: () => ({...hello, address: '127.0.0.1:5000'}),
		admit: () => undefined,
		onChannel(channel) {
			const take = waiting.shift();
			if (take) take(channel);
			else opened.push(channel);
		},
		...options,
	});
	return {
		get port() {
			return listener.port;
		},
		get connections() {
			return listener.connections;
		},
		get unauthenticated() {
			return listener.unauthenticated;
		},
		address: `127.0.0.1:${listener.port}`,
		[Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
		next: () =>
			new Promise(resolve => {
				const channel = opened.shift();
				if (channel) resolve(channel);
				else waiting.push(resolve);
			}),
	};
}

export const frames = (channel: Channel, count: number): Promise<Buffer[]> =>
	new Promise((resolve, reject) => {
		const got: Buffer[] = [];
		channel.onClose = why => reject(new Error(`closed: ${why}`));
		channel.onFrame = payload => {
			got.push(payload);
			if (got.length === count) resolve(got);
		};
	});
export const closing = (channel: Channel): Promise<string> =>
	new Promise(resolve => {
		channel.onClose = resolve;
	});
