/**
The composition root: puts a node together from its configuration, real sockets and real disks. The only importer of `io/` besides
`connect.ts`. Order matters: the folder is locked before anything is read, the incarnation is raised on disk before anything is
sent, logs are read back before a packet comes in.
*/
import {randomBytes} from 'node:crypto';
import {join as joinPath} from 'node:path';
import type {Broker, FaultCommand} from './api.ts';
import {Node} from './broker.ts';
import type {Config} from './config.ts';
import {completeConfig, type GivenConfig} from './config-schema.ts';
import {DapssError, errorMessage} from './errors.ts';
import {formatAddress} from './address.ts';
import {openBeacon, type Beacon} from './io/beacon.ts';
import type {Channel, RefusedPeer} from './io/channel.ts';
import {systemClock, systemEntropy} from './io/clock.ts';
import {Faults} from './io/faults.ts';
import {realFiles} from './io/files.ts';
import {Folder} from './io/folder.ts';
import {openLog} from './io/log.ts';
import {createMesh} from './io/mesh.ts';
import {NodeFiles} from './io/node-files.ts';
import {moveAside, reserveLeft, reserveQuarantine} from './io/quarantine.ts';
import {formLock, listNodes, register, type Registration} from './io/registry.ts';
import {createTransport, transportOptions} from './io/transport.ts';
import {openDatagrams} from './io/udp.ts';
import {openHome, type HomeIo} from './home.ts';
import {topicsOf} from './interests.ts';
import {join, parseJoin} from './joining.ts';
import {Lamport} from './lamport.ts';
import type {NodeId, Topic} from './message.ts';
import {stateToJson, type KeptState} from './node-state.ts';
import type {BrokerEvent} from './observe/events.ts';
import type {Links} from './ports.ts';
import {encodeConfigurationData} from './raft/configuration.ts';
import type {RaftStore} from './raft-store.ts';
import {replay} from './refound.ts';
import {channelPipe} from './remote/channel-pipe.ts';
import type {Pipe} from './remote/pipe.ts';
import {serve, type ServedBroker} from './remote/server.ts';
import {signBatch, verifyBatch} from './seal.ts';
import {openTopicLog} from './topic-log.ts';
import {encodeContext} from './topics/command.ts';
import {version} from './version.ts';
import {encodeControl} from './wire.ts';

export type OpenBroker = Broker & {readonly id: NodeId; readonly port: number};

const stateFile = 'node.json';
const aloneAdvice = 'a member of the cluster that this node left, or that it belonged to before its files were damaged: name one with --bootstrap; if this node was the only one, nothing but a backup of its data folder brings the cluster back';
/** Members that were heard and may be asked to take this node in. */
const heardMax = 1024;

/**
Start a node in this process. Resolves when it listens and has read back what it had; whether it is a member yet, its snapshot says.
@throws `config`, `locked`, `port-in-use`, `storage`
*/
export async function openBroker(given: GivenConfig): Promise<OpenBroker> {
	const config = completeConfig(given);
	const resources = new AsyncDisposableStack();
	try {
		return await assemble(config, resources);
	} catch (error) {
		await resources.disposeAsync();
		throw error;
	}
}

/** Let a console or client in this process, or another thread of it, use a node over a pipe. */
export function serveOver(broker: Broker, pipe: Pipe): void {
	serve(broker as ServedBroker, pipe, () => undefined);
}

async function assemble(config: Config, resources: AsyncDisposableStack): Promise<OpenBroker> {
	const {path} = resources.use(await Folder.open(config.data));
	let node: Node | undefined;
	const said = new Set<string>();
	/** What was said before there was a node to say it; no more than was said. */
	const early: BrokerEvent[] = [];
	const record = (event: BrokerEvent): void => {
		if (node) node.journal.record(event);
		else if (early.length < 1000) early.push(event);
	};

	const refuse = (refused: RefusedPeer): void => record({type: 'refused', ...refused});
	const warn = (text: string): void => {
		if (said.has(text) || said.size > 1000) return;
		said.add(text);
		record({type: 'warning', text});
	};

	const folder = new NodeFiles(realFiles, path, warn);
	const host = config.advertise === '' ? config.host : config.advertise;
	const address = formatAddress(host, config.port);
	const home = await openHome(homeOf(folder, config), address);
	const {state, quarantined} = home;
	let raftStore = home.store;
	const {identity} = state;
	const incarnation = state.incarnation + 1;
	const instance = randomBytes(8).toString('hex');
	const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);
	lamport.nextCeiling();
	const save = (kept: KeptState): Promise<void> => folder.writeJson(stateFile, stateToJson({...state, incarnation, ...kept}));
	// Before the first send: numbers of this life are never those of an earlier one.
	await save({...state, lamport: lamport.ceiling});
	lamport.kept(lamport.ceiling);
	const knownTopics = await folder.topics({
		known: () => [...state.topics, ...state.since.map(([topic]) => topic), ...topicsOf(config.topics), ...agreedTopics(raftStore)],
		openLog: at => openLog({folder: at, ...logOptions(config)}),
	});
	const mayFound = raftStore.isEmpty && state.clusterId === '' && !state.mustJoin && config.bootstrap.length === 0;
	const faults = config.faults ? new Faults(systemClock, systemEntropy) : undefined;

	const shared = transportOptions(config, {identity, version, onRefusal: refuse});
	const transport = createTransport(shared);
	const mesh = resources.use(await createMesh({
		transport, clock: systemClock, host: config.host, port: config.port, id: identity.id, outQueueBytes: config.limits.outQueueBytes,
		hello: () => ({address, clusterId: node?.clusterId ?? state.clusterId, incarnation, instance, name: ''}),
		refusals: shared.refusals, faults,
		onFrame: (from, frame) => node?.onFrame(from, frame),
		onUp: peer => node?.onLink(peer, 'up'),
		onDown: peer => node?.onLink(peer, 'down'),
		onRefused: peer => node?.onLink(peer, 'refused'),
		onRemoved: peer => node?.onLink(peer, 'removed'),
		onStranger: (peer, at) => node?.onStranger(peer, at),
		onRefusal: refuse,
		onClient: channel => serveClient(node, channel),
		onJoin: channel => serveJoin(node, channel),
	}));
	const datagrams = resources.use(await openDatagrams({
		host: config.host, port: config.port, keys: shared.keys, id: identity.id, incarnation,
		encrypt: config.enableEncryption, refusals: shared.refusals, faults,
		onDatagram: (from, bytes) => node?.onDatagram(from, bytes),
	}));

	const heard = new Map<string, {readonly address: string; readonly clusterId: string}>();
	/** Other clusters of this name that were told of. */
	const foreign = new Set<string>();
	const beacon = config.discovery.enabled ? resources.use(await openBeacon({
		config: config.discovery, host: config.host, keys: shared.keys, id: identity.id, incarnation, refusals: shared.refusals,
		say: () => ({address, clusterId: node?.clusterId ?? state.clusterId, phase: node?.phase === 'running' ? 'member' : 'seeking', topics: [...node?.data.topics.keys() ?? []]}),
		onBeacon: other => onBeacon(other),
		onProblem: warn,
	})) : undefined;

	function onBeacon(other: Beacon): void {
		if (other.phase !== 'member') return;
		if (heard.size < heardMax || heard.has(other.id)) heard.set(other.id, other);
		if (!node || node.phase !== 'running' || other.clusterId === node.clusterId || foreign.has(other.clusterId)) return;
		foreign.add(other.clusterId);
		node.journal.record({type: 'discovered', cluster: config.cluster, clusterId: other.clusterId, address: other.address, foreign: true});
		warn(`Two clusters of the name "${config.cluster}" meet here: ${node.clusterId.slice(0, 8)} (this node) and ${other.clusterId.slice(0, 8)} (${other.address}). They are not merged: stop one side and start its nodes with empty data folders, or give it another --cluster`);
	}

	/** Members that may take this node in. */
	const candidates = async (): Promise<readonly string[]> => {
		// A node that was a member once is refused by any other cluster of the name.
		const isOurs = (other: {readonly clusterId: string}): boolean => !state.mustJoin || state.clusterId === '' || other.clusterId === state.clusterId;
		const former = state.members.filter(([id]) => id !== identity.id).map(([, at]) => at);
		const local = config.discovery.enabled ? (await listNodes()).filter(other => other.cluster === config.cluster && other.phase === 'running' && other.id !== identity.id && isOurs(other)) : [];
		return [...new Set([...config.bootstrap, ...local.map(other => other.address), ...[...heard.values()].filter(other => isOurs(other)).map(other => other.address), ...former])];
	};

	let isFounding = false;
	const registration = config.discovery.enabled ? resources.use(await register({port: config.port, address, cluster: config.cluster, clusterId: state.clusterId, id: identity.id, phase: 'starting'})) : undefined;
	const lock = mayFound && config.discovery.enabled ? await formLock(config.cluster) : undefined;
	try {
		if (mayFound && !await isSomebodyThere()) {
			isFounding = true;
			const clusterId = randomBytes(16).toString('hex');
			raftStore = await raftStore.found({
				term: 1, index: 1, kind: 'configuration',
				data: encodeConfigurationData({voters: [identity.id], learners: []}, encodeContext({clusterId, node: identity.id, address})),
			}, identity.id);
		}

		// Nobody is served before the logs are read back: a topic would be opened twice.
		const starting = createNode();
		await starting.start();
		node = starting;
		for (const event of early.splice(0)) node.journal.record(event);
		if (isFounding || node.control.isMember) node.run(node.control.topics.clusterId || state.clusterId);
		else node.phase = 'joining';
		await registration?.update({phase: node.phase, clusterId: node.clusterId});
	} finally {
		await lock?.[Symbol.asyncDispose]();
	}

	async function isSomebodyThere(): Promise<boolean> {
		if ((await candidates()).length > 0) return true;
		if (!beacon) return false;
		beacon.announce();
		const untilMs = systemClock.monotonicMs() + config.discovery.seekMs;
		while (heard.size === 0 && systemClock.monotonicMs() < untilMs) await wait(50); // oxlint-disable-line no-await-in-loop -- until one is heard
		return heard.size > 0;
	}

	function createNode(): Node {
		const links: Links = mesh;
		return new Node({
			id: identity.id, incarnation, lamport, config, address, version,
			clusterId: state.clusterId,
			topics: [...new Set([...state.topics, ...topicsOf(config.topics)])],
			former: state,
			io: {
				clock: systemClock, entropy: systemEntropy, links, datagrams, raftStore, knownTopics, save,
				sign: config.enableMessageSigning ? bytes => signBatch(bytes, shared.keys) : undefined,
				verify: bytes => verifyBatch(bytes, shared.keys, config.enableMessageSigning),
				async openTopic(topic, onHeader) {
					const at = await folder.topicFolder(topic);
					const topicLog = await openLog({folder: at, ...logOptions(config)});
					const opened = await openTopicLog(topicLog, onHeader, identity.id).catch((error: unknown): never => {
						throw new DapssError('storage', `The log ${at} of the topic ${JSON.stringify(topic)} cannot be read: ${errorMessage(error)}`, {cause: error});
					});
					// What came back once is told of no more; how much a hole at the end has taken cannot be known.
					if (opened.missing > 0 || topicLog.damaged.some(({position, bytes}) => position + bytes === topicLog.end)) {
						warn(`The log of the topic ${topic} is damaged: ${topicLog.damaged.map(({file, bytes}) => `${bytes} bytes in ${file}`).join(', ')} are kept aside, ${opened.missing > 0 ? `${opened.missing} messages are missing` : 'messages at its end may be missing'} and are asked of other nodes`);
					}

					return opened;
				},
				faults: faults && {apply: (command: FaultCommand) => faults.apply(command), active: label => faults.active(label)},
			},
		});
	}

	const running = node;
	void becomeMember(running, registration);
	void running.closed.then(async () => {
		await raftStore[Symbol.asyncDispose]().catch(() => undefined);
		await resources.disposeAsync();
	});
	running.journal.record({type: 'ready', id: identity.id, port: config.port, cluster: config.cluster});
	if (quarantined) {
		const {problem, folder: aside, formerId} = quarantined;
		running.journal.record({type: 'quarantined', problem, folder: joinPath(folder.path, aside), formerId, id: identity.id});
	}

	return Object.assign(running, {port: config.port});

	/** Ask until the cluster has taken this node in. */
	async function becomeMember(joining: Node, entry: Registration | undefined): Promise<void> {
		if (joining.phase !== 'joining') return;
		let known: readonly string[] = await candidates();
		try {
			const joined = await join({
				id: identity.id, address, clusterId: joining.clusterId,
				candidates: () => known,
				ask: (at, frame) => askOnce(at, frame),
				tell(detail) {
					joining.waitFor(detail);
				},
				async wait(ms) {
					if (known.length === 0) joining.waitFor(state.mustJoin ? aloneAdvice : 'a member of the cluster to be heard: none is known yet');
					await wait(ms);
					known = await candidates();
				},
				isStopped: () => joining.phase !== 'joining',
			});
			if (joined) joining.setJoined(joined.clusterId, joined.members);
			await entry?.update({phase: joining.phase, clusterId: joining.clusterId});
		} catch (error) {
			await joining.stop(errorMessage(error));
		}
	}

	async function askOnce(at: string, frame: Buffer): Promise<Buffer> {
		const channel = await transport.dial(at, {hello: {address, clusterId: running.clusterId, incarnation, instance, name: '', via: 'join'}, timeoutMs: 3000});
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => channel.destroy('no answer'), 5000);
			channel.onClose = why => {
				clearTimeout(timer);
				reject(new DapssError('unreachable', `${at}: ${why}`));
			};

			channel.onFrame = payload => {
				resolve(payload);
				channel.close('answered');
			};

			channel.send([frame]);
		});
	}
}

function serveClient(node: Node | undefined, channel: Channel): void {
	if (!node) return channel.close('the node is starting');
	serve(node, channelPipe(channel), () => node.journal.reject(channel.remoteAddress, 'malformed'));
	void node.closed.then(why => channel.close(why));
}

function serveJoin(node: Node | undefined, channel: Channel): void {
	channel.onFrame = frame => {
		const request = parseJoin(frame);
		if (!node || !request || request.id !== channel.remote.id) return channel.close('malformed request');
		void node.onJoin(request.id, request.address, request.clusterId).then(answer => channel.send([encodeControl('joined', answer)]));
	};
}

function homeOf(folder: NodeFiles, config: Config): HomeIo {
	return {
		readState: () => folder.readJson(stateFile),
		writeState: json => folder.writeJson(stateFile, json),
		openLog: () => openLog({folder: joinPath(folder.path, 'raft'), ...logOptions(config)}),
		blobs: folder.blobs,
		reserve: why => (why === 'left' ? reserveLeft : reserveQuarantine)(realFiles, folder.path, stateFile),
		moveAside: name => moveAside(realFiles, folder.path, name),
	};
}

/** Also what may never be agreed: it serves to recognise names. */
function agreedTopics({recovered}: RaftStore): readonly Topic[] {
	return replay(recovered, {topicsMax: Infinity, membersMax: Infinity}).topics.topics().map(({name}) => name);
}

function logOptions({storage: {segmentBytes, writeDeadlineMs}}: Config): {readonly segmentBytes: number; readonly writeDeadlineMs: number} {
	return {segmentBytes, writeDeadlineMs};
}

function wait(ms: number): Promise<void> {
	return new Promise(resolve => {
		setTimeout(resolve, ms);
	});
}
