/**
The composition root: puts a node together from its configuration, real sockets and real disks. The only importer of
`io/` besides `connect.ts`. Order matters: the folder is locked before anything is read, the incarnation is raised on
disk before anything is sent, logs are read back before a packet comes in.
*/
import {randomBytes} from 'node:crypto';
import {hostname, uptime} from 'node:os';
import {join as joinPath} from 'node:path';
import type {Broker, FaultCommand} from './broker.ts';
import {completeConfig, type BrokerOptions} from './config-schema.ts';
import type {Config} from './config.ts';
import {topicsOf} from './control/desired-subscriptions.ts';
import type {RaftStore} from './control/raft-store.ts';
import {nodeFiles} from './default-files.ts';
import {DapssError, errorMessage} from './errors.ts';
import type {BrokerEvent} from './events.ts';
import {causeOf} from './io/cause.ts';
import {systemClock, systemEntropy} from './io/clock.ts';
import {descriptorsMax, expectDescriptors, sharesOf} from './io/descriptors.ts';
import {realFiles, withRemedy, type Files} from './io/file-system.ts';
import {Folder} from './io/files/data-folder.ts';
import {expectKnownFormats} from './io/files/known-formats.ts';
import {NodeFiles} from './io/files/node-files.ts';
import {moveAside, reserveLeft, reserveQuarantine} from './io/files/quarantine.ts';
import {register, registryFolder} from './io/files/registry.ts';
import {Reserve} from './io/files/reserve.ts';
import {Resignations} from './io/files/resignations.ts';
import {FilePool} from './io/log/file-pool.ts';
import {openLog} from './io/log/log.ts';
import {advertisedAddress, localAddress} from './io/net/advertise.ts';
import type {Channel, LocalHello, RefusedPeer, Transport} from './io/net/channel.ts';
import {Discovery} from './io/net/discovery.ts';
import {Faults} from './io/net/faults.ts';
import {createMesh} from './io/net/mesh.ts';
import {createTransport, transportOptions} from './io/net/transport.ts';
import {openDatagrams} from './io/net/udp.ts';
import {Lamport} from './lamport.ts';
import {parseJoin} from './membership/joining.ts';
import type {NodeId, Topic} from './message.ts';
import {defaultName} from './node-name.ts';
import {replay} from './node-state/force-new-cluster.ts';
import {stateToJson, type KeptState} from './node-state/node-state.ts';
import {openNodeState, type NodeStateIo} from './node-state/open-node-state.ts';
import {Node} from './node/node.ts';
import {messagesText, topicText} from './observe/topic-text.ts';
import {channelPipe} from './remote/channel-pipe.ts';
import type {Pipe} from './remote/pipe.ts';
import {serve, type ServedBroker} from './remote/server.ts';
import {AsyncStack} from './stack.ts';
import {parseKeptTime, RetentionClock} from './topic-log/retention.ts';
import {openTopicLog, type OnHeader, type TopicLog} from './topic-log/topic-log.ts';
import {protocolMax, version} from './version.ts';
import {signBatch, verifyBatch} from './wire/seal.ts';
import {encodeControl} from './wire/wire.ts';

export type OpenBroker = Broker & {readonly id: NodeId; readonly port: number};

const stateFile = 'node.json';
/** The time that ages of messages are judged by, and how often it is written down, milliseconds. */
const clockFile = 'clock.json';
const keepTimeMs = 60_000;
/** Warnings of one process. */
const warningsMax = 1000;
/** A question to another node: until the connection is open, and until the answer is there. */
const dialMs = 3000;
const answerMs = 5000;

/**
Start a node in this process. Resolves when it listens and has read back what it had; whether it is a member yet, its
snapshot says.
@throws `config`, `locked`, `port-in-use`, `storage`
*/
export async function openBroker(options: BrokerOptions = {}): Promise<OpenBroker> {
	const config = completeConfig(options, nodeFiles);
	const resources = new AsyncStack();
	try {
		return await assemble(config, resources);
	} catch (error) {
		await resources.disposeAsync();
		throw error;
	}
}

/** Let a console or client in this process, or another thread of it, use a node over a pipe. @internal */
export function serveOver(broker: Broker, pipe: Pipe): void {
	serve(broker as ServedBroker, pipe, () => undefined);
}

async function assemble(configured: Config, resources: AsyncStack): Promise<OpenBroker> {
	const processMax = descriptorsMax();
	expectDescriptors(processMax);
	const shares = sharesOf(configured.limits, processMax);
	const config = {...configured, limits: {...configured.limits, ...shares}};
	const {path} = resources.use(await Folder.open(config.data));
	// Set once the node has read its logs back; what comes in before is refused.
	const current: {node?: Node} = {};
	/** What happened before the node exists. */
	const early: BrokerEvent[] = [];
	const record = (event: BrokerEvent): void => {
		if (current.node) current.node.journal.record(event);
		else if (early.length < warningsMax) early.push(event);
	};

	const reported = new Set<string>();
	const warn = (text: string): void => {
		if (reported.has(text) || reported.size >= warningsMax) return;
		reported.add(text);
		record({type: 'warning', text});
	};

	const refuse = (refused: RefusedPeer): void => {
		if (!current.node?.leaving.isExpected(refused)) record({type: 'refused', ...refused});
	};

	const {openFiles, connections} = configured.limits;
	if (shares.openFiles < openFiles || shares.connections < connections)
		warn(
			`This process may open ${processMax} files (ulimit -n): ${shares.openFiles} are for logs (limits.open_files ${openFiles}) and ${shares.connections} for connections (limits.connections ${connections})`,
		);
	const files = new FilePool(realFiles, {
		openMax: shares.openFiles,
		onShort() {
			current.node?.journal.bound('open-files');
			warn(
				`No more files can be opened: what needs one waits. Let the process open more than ${processMax} (ulimit -n), or lower limits.connections`,
			);
		},
	});
	const folder = new NodeFiles(files, path, warn);
	const reserve = new Reserve({files, folder: path, report: warn});
	await reserve.tend();
	const address = await advertisedAddress(config);
	const home = await openNodeState(homeOf(folder, files, config), address);
	const {state, quarantined, store: raftStore} = home;
	const {identity} = state;
	const incarnation = state.incarnation + 1;
	const instance = randomBytes(8).toString('hex');
	const name = {
		text: config.name === '' ? defaultName(hostname(), config.port) : config.name,
		isChosen: config.name !== '',
	};
	const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);
	lamport.nextCeiling();
	const save = (kept: KeptState): Promise<void> =>
		folder.writeJson(stateFile, stateToJson({...state, incarnation, ...kept}));
	// Before the first send: numbers of this incarnation are never those of an earlier one.
	await save({...state, lamport: lamport.ceiling});
	lamport.persisted(lamport.ceiling);
	const isFresh = raftStore.isEmpty && state.clusterId === '' && !state.mustJoin;
	const resignations = await Resignations.open(path, identity, warn);
	const knownTopics = await folder.topics({
		known: () => [
			...state.topics,
			...state.since.map(([topic]) => topic),
			...topicsOf(config.topics),
			...agreedTopics(raftStore),
		],
		openLog: at => openLog({folder: at, files, ...logOptions(config)}),
	});
	const retentionClock = await resumeClock(folder, config);
	const keepTime = (): Promise<void> =>
		folder
			.writeJson(clockFile, retentionClock.kept(uptimeMs()))
			.catch((error: unknown) => warn(`Ages of messages are short after the next start: ${errorMessage(error)}`));
	await keepTime();
	if (retentionClock.isLagging)
		warn(
			`The clock of this machine is ahead of the time that it ran: ages of messages count on from ${new Date(retentionClock.nowMs).toISOString()}, so that nothing is deleted early`,
		);
	resources.use(systemClock.every(keepTimeMs, () => void keepTime()));
	const faults = config.faults ? new Faults(systemClock, systemEntropy) : undefined;
	const shared = transportOptions(config, {identity, version, onRefusal: refuse});
	// What is refused for want of room is a limit that was hit, which `check` tells.
	shared.refusals.onAdd = reason => {
		if (reason === 'connections') current.node?.journal.bound('connections');
		else if (reason === 'accept') current.node?.journal.bound('open-files');
	};
	const transport = createTransport(shared);
	const hello = (): Omit<LocalHello, 'via'> => ({
		address,
		clusterId: current.node?.clusterId ?? state.clusterId,
		incarnation,
		instance,
		name: name.text,
		protocolMin: current.node?.control.state.protocol ?? 1,
	});
	const mesh = resources.use(
		await createMesh({
			transport,
			clock: systemClock,
			host: config.host,
			port: config.port,
			id: identity.id,
			outQueueBytes: config.limits.outQueueBytes,
			hello,
			refusals: shared.refusals,
			faults,
			onFrame: (from, frame) => current.node?.onFrame(from, frame),
			onUp: peer => current.node?.onLink(peer, 'up'),
			onDown: peer => current.node?.onLink(peer, 'down'),
			onRefused: peer => current.node?.onLink(peer, 'refused'),
			onRemoved: peer => current.node?.onLink(peer, 'removed'),
			onUnknownPeer: (peer, at) => current.node?.onStranger(peer, at),
			judge: (peer, caller, linked) =>
				current.node?.identity.doubles.judge(peer, caller, linked) ??
				(linked ? {type: 'wait', reason: 'the node is starting'} : {type: 'take'}),
			onDuplicate: (_peer, refusal) => current.node?.identity.onRefused(refusal),
			onRefusal: refuse,
			onClient: channel => serveClient(current.node, channel),
			isStarting: () => current.node === undefined,
			onJoin: channel => serveJoin(current.node, channel),
		}),
	);
	const datagrams = resources.use(
		await openDatagrams({
			host: config.host,
			port: config.port,
			keys: shared.keys,
			id: identity.id,
			incarnation,
			instance,
			instanceOf: peer => mesh.instance(peer),
			encrypt: config.enableEncryption,
			refusals: shared.refusals,
			names: shared.names,
			faults,
			onDatagram: (from, bytes) => current.node?.onDatagram(from, bytes),
		}),
	);
	const discovery = resources.use(
		await Discovery.open({
			config,
			id: identity.id,
			incarnation,
			address,
			keys: shared.keys,
			refusals: shared.refusals,
			former: state.members.filter(([id]) => id !== identity.id).map(([, at]) => at),
			self: () => ({
				clusterId: current.node?.clusterId ?? state.clusterId,
				isMember: current.node?.phase === 'running',
				topics: subscribedBy(current.node),
				name: current.node?.control.state.name(identity.id) ?? '',
			}),
			onForeign: (clusterId, at) => current.node?.identity.sightings.foreign(clusterId, at),
			onDuplicate: at => current.node?.identity.sightings.doubled(identity.id, address, at),
			onProblem: warn,
		}),
	);
	// Also without discovery, which is of the network: commands of this user find the node by it.
	const registration = await register({
		port: config.port,
		address: localAddress(config),
		cluster: config.cluster,
		clusterId: state.clusterId,
		id: identity.id,
		phase: 'starting',
	}).catch((error: unknown) => {
		warn(
			`Commands on this machine find this node only with --server: it cannot be listed in ${registryFolder()} (${withRemedy(causeOf(error, registryFolder()))})`,
		);
		return undefined;
	});
	if (registration) resources.use(registration);

	// Nobody is served before the logs are read back: a topic would be opened twice.
	const running = new Node({
		id: identity.id,
		incarnation,
		lamport,
		config,
		address,
		version,
		protocolMax,
		instance,
		name,
		clusterId: state.clusterId,
		topics: [...new Set([...state.topics, ...topicsOf(config.topics)])],
		former: state,
		founding: isFresh
			? {
					seeds: config.bootstrap,
					expect: config.expect,
					seekMs: config.discovery.enabled ? config.discovery.seekMs : 0,
				}
			: undefined,
		resignations: resignations.former,
		io: {
			clock: systemClock,
			entropy: systemEntropy,
			links: mesh,
			datagrams,
			raftStore,
			knownTopics,
			save,
			room: reserve,
			peers: {
				candidates: () => discovery.candidates(),
				ask: (at, frame) => ask(transport, at, {...hello(), via: 'join'}, frame),
			},
			sign: config.enableMessageSigning ? bytes => signBatch(bytes, shared.keys) : undefined,
			verify: bytes => verifyBatch(bytes, shared.keys, config.enableMessageSigning),
			openTopic: (topic, onHeader) =>
				openTopicIn(
					{folder, files, config, self: identity.id, warn, nowMs: () => retentionClock.nowMs},
					topic,
					onHeader,
				),
			retentionMs: () => retentionClock.nowMs,
			noteAge: ageMs => void (retentionClock.note(ageMs) && keepTime()),
			removeTopic: topic => folder.removeTopic(topic),
			faults: faults && {
				apply: (command: FaultCommand) => faults.apply(command),
				active: label => faults.active(label),
			},
		},
	});
	await running.start();
	current.node = running;
	for (const event of early) running.journal.record(event);
	running.onPhase = () => {
		void registration
			?.update({
				phase: running.phase,
				clusterId: running.clusterId,
				name: running.control.state.name(identity.id),
			})
			.catch(() => undefined);
		if (running.phase === 'running') void resignations.settle().catch(() => undefined);
	};

	const named = resources.use(running.journal.watch());
	named.onNews = () => {
		for (const event of named.take())
			if (event.type === 'named' && event.id === identity.id)
				void registration?.update({name: event.name}).catch(() => undefined);
	};

	void running.closed.then(async () => {
		await keepTime();
		await raftStore[Symbol.asyncDispose]().catch(() => undefined);
		await resources.disposeAsync();
	});
	running.journal.record({type: 'ready', id: identity.id, port: config.port, cluster: config.cluster});
	if (quarantined) {
		const {problem, folder: aside, formerId} = quarantined;
		running.journal.record({
			type: 'quarantined',
			problem,
			folder: joinPath(folder.path, aside),
			formerId,
			id: identity.id,
		});
	}

	if (running.control.isMember) running.run(running.control.state.clusterId || state.clusterId);
	// A node that may found a cluster without waiting for anybody knows within a moment what it does.
	else {
		const entered = running.enter();
		if (isFresh && config.bootstrap.length === 0 && config.expect === 0)
			await Promise.race([entered, running.closed]);
	}

	return Object.assign(running, {port: config.port});
}

/** The topics that the node is subscribed to, as agreed. */
function subscribedBy(node: Node | undefined): readonly Topic[] {
	return node
		? node.control.state
				.topics()
				.filter(({subscribers}) => subscribers.has(node.id))
				.map(({name}) => name)
		: [];
}

/** One question over a connection of its own. */
async function ask(
	transport: Transport,
	at: string,
	hello: LocalHello,
	frame: Buffer,
): Promise<{readonly id: NodeId | undefined; readonly frame: Buffer}> {
	const channel = await transport.dial(at, {hello, timeoutMs: dialMs});
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => channel.destroy('no answer'), answerMs);
		channel.onClose = why => {
			clearTimeout(timer);
			reject(new DapssError('unreachable', `${at}: ${why}`));
		};

		channel.onFrame = payload => {
			resolve({id: channel.remote.id, frame: payload});
			channel.close('answered');
		};

		channel.send([frame]);
	});
}

type TopicHome = {
	readonly folder: NodeFiles;
	readonly files: Files;
	readonly config: Config;
	readonly self: NodeId;
	readonly warn: (text: string) => void;
	readonly nowMs: () => number;
};

async function openTopicIn(
	{folder, files, config, self, warn, nowMs}: TopicHome,
	topic: Topic,
	onHeader: OnHeader,
): Promise<TopicLog> {
	const at = await folder.topicFolder(topic);
	const topicLog = await openLog({folder: at, files, ...logOptions(config)});
	const opened = await openTopicLog(topicLog, onHeader, self, nowMs).catch((error: unknown): never => {
		throw new DapssError(
			'storage',
			`The log ${at} of the topic ${JSON.stringify(topic)} cannot be read: ${errorMessage(error)}`,
			{cause: error},
		);
	});
	// What came back once is reported no more; how much a hole at the end has taken cannot be known.
	if (opened.missing > 0 || topicLog.damaged.some(({position, bytes}) => position + bytes === topicLog.end)) {
		warn(
			`The log of the topic ${topicText(topic)} is damaged: ${topicLog.damaged.map(({file, bytes}) => `${bytes} bytes in ${file}`).join(', ')} are kept aside, ${opened.missing > 0 ? `${messagesText(opened.missing)} ${opened.missing === 1 ? 'is' : 'are'} missing` : 'messages at its end may be missing'} and ${opened.missing === 1 ? 'is' : 'are'} asked of other nodes`,
		);
	}

	return opened;
}

const uptimeMs = (): number => uptime() * 1000;

/** Of a file that cannot be read nothing depends but ages: then the wall clock is believed. */
async function resumeClock(folder: NodeFiles, {storage}: Config): Promise<RetentionClock> {
	const kept = parseKeptTime(await folder.readJson(clockFile).catch(() => undefined));
	return new RetentionClock(
		kept,
		{wallMs: systemClock.wallMs(), uptimeMs: uptimeMs()},
		storage.retainAgeS * 1000,
		() => systemClock.monotonicMs(),
	);
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
		const {incarnation, instance, protocol, version: program} = channel.remote;
		void node
			.onJoin({...request, facts: {incarnation, instance, protocol, version: program}})
			.then(answer => channel.send([encodeControl('joined', answer)]));
	};
}

function homeOf(folder: NodeFiles, files: Files, config: Config): NodeStateIo {
	return {
		expectKnownFormats: () => expectKnownFormats(files, folder.path, stateFile),
		readState: () => folder.readJson(stateFile),
		writeState: json => folder.writeJson(stateFile, json),
		openLog: () => openLog({folder: joinPath(folder.path, 'raft'), files, ...logOptions(config)}),
		blobs: folder.blobs,
		reserve: why => (why === 'left' ? reserveLeft : reserveQuarantine)(files, folder.path, stateFile),
		moveAside: name => moveAside(files, folder.path, name),
	};
}

/** Also what may never be agreed: it serves to recognise names. */
function agreedTopics({recovered}: RaftStore): readonly Topic[] {
	return replay(recovered, {topicsMax: Infinity, membersMax: Infinity})
		.topics.topics()
		.map(({name}) => name);
}

function logOptions({storage: {segmentBytes, writeDeadlineMs}}: Config): {
	readonly segmentBytes: number;
	readonly writeDeadlineMs: number;
} {
	return {segmentBytes, writeDeadlineMs};
}
