/**
How a client finds a node: first this user's nodes on this machine, then the nodes that are heard on the local network.

A beacon counts only when it proves the cluster's secret. With node authentication or encryption off there is nothing to
prove, and nodes listen on loopback only, so the network is not searched.
*/
import type {Config} from './config.ts';
import {defaults} from './config.ts';
import {DapssError, NoneFoundError} from './errors.ts';
import {listNodes} from './io/files/registry.ts';
import {openNodeSearch, type NodeSearch} from './io/net/node-search.ts';
import {deriveKeys} from './wire/seal.ts';

/** A node that was heard on the local network. */
export type HeardNode = {
	/** `host:port`. */
	readonly address: string;
	/** 16 hexadecimal digits. */
	readonly id: string;
	/** Empty while the node belongs to no cluster. */
	readonly clusterId: string;
	/** Empty when the node has none, or is of an earlier version. */
	readonly name: string;
	readonly isMember: boolean;
	/** Of the topics that were asked for, those that it subscribes to. */
	readonly subscribes: readonly string[];
};

/** How the local network is searched. */
export type FindOptions = {
	/** A node that subscribes to these is preferred. */
	readonly topics?: readonly string[];
	/** Where nodes send their beacons; `enabled: false` searches this machine alone. @default as nodes have it */
	readonly discovery?: Partial<Config['discovery']>;
	/** Ends the search. */
	readonly signal?: AbortSignal;
	/** No node runs here: listening has begun, for at most so many milliseconds. */
	readonly onListening?: (listenMs: number) => void;
	/** A node that was heard cannot be used. The next one is tried. */
	readonly onUnusable?: (node: HeardNode, error: Error) => void;
};
type Secrets = Pick<Config, 'secret'> & Partial<Pick<Config, 'enableNodeAuth' | 'enableEncryption'>>;

/** `name` is empty when the node has none, or is of an earlier version. */
export type FoundNode = {
	readonly address: string;
	readonly cluster: string;
	readonly id: string;
	readonly phase: string;
	readonly name: string;
};
/** The node that was chosen. `clusters` is the number of clusters of that name that were heard. */
export type Chosen = HeardNode & {readonly clusters: number};

/** Nodes that are tried; the others are likely to have the same fault. */
const triesMax = 8;

/**
This user's nodes that run on this machine, of one cluster or of all; members come first. When there is none, and
cluster and secret are given: the nodes that are heard on the local network, the best first. That takes up to 2.5 s.
*/
export async function findNodes(
	options: {readonly cluster?: string} & Partial<Secrets> & FindOptions = {},
): Promise<readonly FoundNode[]> {
	const {cluster, secret} = options;
	const nodes = await listNodes();
	const local = nodes
		.filter(node => cluster === undefined || node.cluster === cluster)
		.map(({address, cluster: of, id, phase, name}) => ({address, cluster: of, id, phase, name}))
		.toSorted((a, b) => Number(b.phase === 'running') - Number(a.phase === 'running'));
	if (local.length > 0 || cluster === undefined || secret === undefined || !isSearched(options)) return local;
	await using search = await searchFor({...options, cluster, secret}, Infinity);
	const found: FoundNode[] = [];
	for (let node = await search.next(); node; node = await search.next())
		found.push({
			address: node.address,
			cluster,
			id: node.id,
			phase: node.isMember ? 'running' : 'joining',
			name: node.name,
		});
	return found;
}

/**
Connect to a node of the cluster: to a node of this machine, else to the best node that is heard on the network. A node
that cannot be used is skipped.
@param connect to one of these addresses
@throws `unreachable` when no node is found, else as the last node answered
@internal
*/
export async function connectToFound<Connection extends object>(
	options: {readonly cluster: string; readonly timeoutMs: number} & Secrets & FindOptions,
	connect: (servers: readonly string[]) => Promise<Connection>,
): Promise<Connection & {readonly chosen?: Chosen}> {
	const {cluster, timeoutMs, onUnusable} = options;
	const local = await findNodes({cluster});
	if (local.length > 0) return connect(local.map(({address}) => address));
	if (!isSearched(options)) throw new NoneFoundError(cluster, '');
	await using search = await searchFor(options, timeoutMs);
	let last: unknown;
	for (let tries = 0; tries < triesMax; tries++) {
		const node = await search.next();
		if (!node) break;
		try {
			const connection = await connect([node.address]);
			return Object.assign(connection, {chosen: {...node, clusters: search.heard.clusterIds.size}});
		} catch (error) {
			if (!(error instanceof DapssError)) throw error;
			last = error;
			onUnusable?.(node, error);
		}
	}

	if (last instanceof DapssError)
		throw new DapssError(
			last.code,
			`No node of cluster ${cluster} runs here, ` +
				`and of ${search.heard.size} heard on the network none can be used: ${last.message}`,
			{cause: last},
		);
	throw new NoneFoundError(cluster, searchedText(search, {...defaults.discovery, ...options.discovery}));
}

function isSearched({
	discovery,
	enableNodeAuth = true,
	enableEncryption = true,
}: FindOptions & Partial<Secrets>): boolean {
	return (discovery?.enabled ?? defaults.discovery.enabled) && enableNodeAuth && enableEncryption;
}

async function searchFor(
	{cluster, secret, discovery, topics = [], signal, onListening}: {readonly cluster: string} & Secrets & FindOptions,
	timeoutMs: number,
): Promise<NodeSearch> {
	const search = await openNodeSearch({
		config: {...defaults.discovery, ...discovery},
		keys: deriveKeys({cluster, secret}),
		topics,
		timeoutMs,
		signal,
	});
	onListening?.(search.listenMs);
	return search;
}

/** What was tried, as a part of a sentence. */
function searchedText(
	{listenMs, problem, isLocal, foreignSources}: NodeSearch,
	{group, port}: Pick<Config['discovery'], 'group' | 'port'>,
): string {
	if (problem !== undefined) return `the network cannot be searched: ${problem}`;
	const others =
		foreignSources.size === 0
			? ''
			: `; beacons of another cluster or another secret came from ${[...foreignSources].join(', ')}`;
	const local = isLocal ? ', which no interface but loopback takes here' : '';
	return `none was heard on the network within ${listenMs} ms (multicast to ${group}:${port}${local})${others}`;
}
