/**
The sockets of a node: links and client connections over TCP, datagrams over UDP, both through injected faults when the
node was started with `--faults`.
*/
import {identityKeyOf} from '../access.ts';
import type {Config} from '../config.ts';
import {DapssError} from '../errors.ts';
import {systemClock, systemEntropy} from '../io/clock.ts';
import type {Channel, Hello, LocalHello, Refusal, Transport, TransportOptions} from '../io/net/channel.ts';
import {DatagramKeys} from '../io/net/datagram-keys.ts';
import {Faults} from '../io/net/faults.ts';
import {clientKeysProtocol} from '../io/net/handshake.ts';
import {createMesh, type Mesh} from '../io/net/mesh.ts';
import {secretFileAt, secretProblem} from '../io/files/secret.ts';
import {createTransport, transportOptions} from '../io/net/transport.ts';
import {openDatagrams, type OpenDatagrams} from '../io/net/udp.ts';
import {parseJoin} from '../membership/joining.ts';
import type {NodeId} from '../message.ts';
import {KeyKeeper} from '../node/key-keeper.ts';
import type {Node} from '../node/node.ts';
import {channelPipe} from '../remote/channel-pipe.ts';
import type {Caller} from '../remote/permissions.ts';
import {serve} from '../remote/server.ts';
import {runDeadline} from '../run-deadline.ts';
import type {AsyncStack} from '../stack.ts';
import {version} from '../version.ts';
import {KeyRing} from '../wire/key-ring.ts';
import {encodeControl} from '../wire/wire.ts';
import type {NodeSlot} from './node-slot.ts';
import type {RecoveredState} from './recovered-state.ts';

/** Deadlines for a question to another node: until the connection is open, and from then until the answer. */
const dialMs = 3000;
const answerMs = 5000;

export type NetworkOptions = {
	readonly config: Config;
	readonly recovered: Pick<RecoveredState, 'state' | 'incarnation' | 'keys'>;
	/** Drawn by this process at its start. */
	readonly instance: string;
	readonly name: string;
	/** Where other nodes reach this node. */
	readonly address: string;
	readonly slot: NodeSlot;
};

export type Network = {
	/** The keys of the cluster, as far as this process has them. */
	readonly ring: KeyRing;
	readonly keys: KeyKeeper;
	/** Keys, counters and budgets of all connections. */
	readonly shared: TransportOptions;
	readonly mesh: Mesh;
	readonly datagrams: OpenDatagrams;
	readonly faults: Faults | undefined;
	/** One question over a connection of its own. @throws as a dial does */
	readonly ask: (at: string, frame: Buffer) => Promise<{readonly id: NodeId | undefined; readonly frame: Buffer}>;
};

/** @throws `port-in-use`, `config` */
export async function openNetwork(options: NetworkOptions, resources: AsyncStack): Promise<Network> {
	const {
		config,
		recovered: {state, incarnation},
		instance,
		slot,
	} = options;
	const {id} = state.identity;
	const {ring, keys} = openKeys(options);
	const faults = config.faults ? new Faults(systemClock, systemEntropy) : undefined;
	if (faults) faults.onExpired = () => slot.node?.faultsEnded();
	const shared = transportOptions(config, {
		identity: state.identity,
		version,
		keys: ring,
		onWrongKey: (key, from) => keys.noteWrong(key, from),
		onRefusal: refused => slot.refused(refused),
		onQuota: (quota, who) => slot.bound(quota, who),
	});
	// A refusal for want of room is a limit that was hit, which `check` reports.
	shared.refusals.onAdd = reason => {
		if (reason === 'connections') slot.bound('connections');
		else if (reason === 'accept') slot.bound('open-files');
		else if (reason === 'beacon-rate') slot.bound('beacons');
		else if (reason.startsWith('unauthenticated')) slot.bound('unauthenticated');
	};
	const transport = createTransport(shared);
	const datagramKeys = new DatagramKeys();
	const hello = (): Omit<LocalHello, 'via'> => ({
		address: options.address,
		clusterId: slot.node?.clusterId ?? state.clusterId,
		incarnation,
		instance,
		name: options.name,
		datagramKey: datagramKeys.publicKey,
		protocolMin: slot.node?.control.state.protocol ?? 1,
	});
	const mesh = resources.use(await openMesh(options, {transport, shared, faults, hello}));
	keys.connect(mesh);
	const datagrams = resources.use(
		await openDatagrams({
			host: config.host,
			port: config.port,
			keys: ring,
			id,
			incarnation,
			instance,
			instanceOf: peer => mesh.instance(peer),
			secretOf(peer) {
				const theirs = mesh.datagramKey(peer);
				return theirs && datagramKeys.secret(peer, theirs);
			},
			encrypt: config.enableEncryption,
			refusals: shared.refusals,
			names: shared.names,
			faults,
			onDatagram: (from, bytes) => slot.node?.onDatagram(from, bytes),
		}),
	);
	return {
		ring,
		keys,
		shared,
		mesh,
		datagrams,
		faults,
		ask: (at, frame) => ask(transport, at, {...hello(), via: 'join'}, frame),
	};
}

function openKeys({config, recovered, slot}: NetworkOptions): Pick<Network, 'ring' | 'keys'> {
	const ring = new KeyRing(config);
	const keys = new KeyKeeper({
		ring,
		isProtecting: config.enableNodeAuth,
		file: config.secretPath === undefined ? undefined : secretFileAt(config.secretPath),
		stored: recovered.keys,
		problemOf: secretProblem,
		bytes: systemEntropy.bytes,
		nowMs: systemClock.monotonicMs,
		warn: text => slot.warn(text),
	});
	return {ring, keys};
}

function openMesh(
	{config, recovered: {state}, slot}: NetworkOptions,
	{
		transport,
		shared,
		faults,
		hello,
	}: {
		readonly transport: Transport;
		readonly shared: TransportOptions;
		readonly faults: Faults | undefined;
		readonly hello: () => Omit<LocalHello, 'via'>;
	},
): Promise<Mesh> {
	return createMesh({
		transport,
		clock: systemClock,
		host: config.host,
		port: config.port,
		id: state.identity.id,
		keys: shared.keys,
		outQueueBytes: config.limits.outQueueBytes,
		hello,
		refusals: shared.refusals,
		faults,
		onFrame: (from, frame) => slot.node?.onFrame(from, frame),
		onUp: peer => slot.node?.onLink(peer, 'up'),
		onDown: peer => slot.node?.onLink(peer, 'down'),
		onRefused: peer => slot.node?.onLink(peer, 'refused'),
		onRemoved: peer => slot.node?.onLink(peer, 'removed'),
		onUnknownPeer: (peer, at) => slot.node?.onUnknownPeer(peer, at),
		judge: (peer, caller, linked) =>
			slot.node?.identity.duplicates.judge(peer, caller, linked) ??
			(linked ? {type: 'wait', reason: 'the node is starting'} : {type: 'take'}),
		onDuplicate: (_peer, refusal) => slot.node?.identity.onRefused(refusal),
		onRefusal: refused => slot.refused(refused),
		onClient: channel => serveClient(slot.node, channel),
		isStarting: () => slot.node === undefined,
		admitClient: remote => slot.node && clientRefusal(slot.node, remote),
		onJoin: channel => serveJoin(slot.node, channel),
	});
}

async function ask(
	transport: Transport,
	at: string,
	hello: LocalHello,
	frame: Buffer,
): Promise<{readonly id: NodeId | undefined; readonly frame: Buffer}> {
	const channel = await transport.dial(at, {hello, timeoutMs: dialMs});
	return new Promise((resolve, reject) => {
		const timer = runDeadline(systemClock, answerMs, () => channel.destroy('no answer'));
		channel.onClose = why => {
			timer[Symbol.dispose]();
			reject(new DapssError('unreachable', `${at}: ${why}`));
		};

		channel.onFrame = payload => {
			resolve({id: channel.remote.id, frame: payload});
			channel.close('answered');
		};

		channel.send([frame]);
	});
}

function serveClient(node: Node | undefined, channel: Channel): void {
	if (!node) return channel.close('the node is starting');
	const {remote, remoteAddress} = channel;
	serve(node, channelPipe(channel), callerOf(remote, remoteAddress), () =>
		node.journal.reject(remoteAddress, 'malformed'),
	);
	void node.closed.then(why => channel.close(why));
}

function callerOf({clientKey, isReadonly = false}: Hello, address: string): Caller {
	return {identity: clientKey && identityKeyOf(clientKey), isLocal: false, isReadonly, address};
}

/** The refusal of a client without access; `undefined` to admit it. */
function clientRefusal(node: Node, remote: Hello): Refusal | undefined {
	const caller = callerOf(remote, '');
	if (node.guard.accessOf(caller).role !== 'none') return undefined;
	const {identity} = caller;
	return {
		// A client of an earlier release does not know the first code.
		code: remote.protocol >= clientKeysProtocol ? 'no-access' : 'identity',
		reason:
			identity === undefined
				? 'a client without an identity has no access to this cluster: name an identity file (identity_file)'
				: `the identity ${identity} has no access to this cluster: ` +
					`ask an operator to run: dapss-tui access add ${identity} client`,
	};
}

function serveJoin(node: Node | undefined, channel: Channel): void {
	channel.onFrame = frame => {
		const request = parseJoin(frame);
		if (!node || !request || request.id !== channel.remote.id) return channel.close('malformed request');
		const {incarnation, instance, protocol, version: program} = channel.remote;
		void node
			.onJoin({...request, facts: {incarnation, instance, protocol, version: program}})
			.then(answer => channel.send([encodeControl('joined', answer)]));
	};
}
