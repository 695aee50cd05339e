/**
Connects a command to a node: a given one, one of this user on this machine, or one that is found on the network.
*/
import type {Broker} from '../../core/broker.ts';
import type {ConnectSettings} from '../../core/connect.ts';
import {DapssError} from '../../core/errors.ts';
import type {FoundNode} from '../../core/find.ts';
import type {Topic} from '../../core/message.ts';
import {parseDuration} from '../arguments/values.ts';
import type {Backend, Context, Reaching} from '../context.ts';
import {interruptible} from '../process/interruptible.ts';
import {addressOf} from '../settings/settings.ts';
import {connectFound, nobodyHere} from './found.ts';

const connectMs = 5000;
/** Other clusters, or nodes, that an error message names. */
const othersMax = 8;

export type ReachOptions = {
	/** On the network, a node that subscribes to these topics is preferred. */
	readonly topics?: readonly Topic[];
	/**
	Search the network when no node runs here. False for commands that change the node, and for drills. @default true
	*/
	readonly isSearching?: boolean;
	/** The command changes the node that it reaches, so it refuses to choose one of several. @default false */
	readonly isForOne?: boolean;
};

/**
Connect to a given node, one of this user, or one that is found on the network.
@throws `usage` when several nodes match a command that is for one, `unreachable`, `not-authenticated`, `refused`
*/
export async function reach(
	context: Reaching,
	address?: string,
	{topics = [], isSearching = true, isForOne = false}: ReachOptions = {},
): Promise<Broker & {readonly server: string}> {
	const {flags, env, settings, terminal} = context;
	const {tunables, secret} = settings();
	const {cluster, enableNodeAuth, enableMessageSigning, enableEncryption, limits, discovery} = tunables;
	const backend = await context.backend();
	const named = address ?? flags.server ?? (env['DAPSS_SERVER'] || undefined); // An empty variable counts as unset.
	const here = named === undefined ? await backend.findNodes({cluster}) : [];
	const servers =
		named === undefined
			? here.map(node => node.address)
			: listed(named).map(one => addressOf(one, flags.server === undefined ? 'DAPSS_SERVER' : '--server'));
	if (isForOne)
		await expectOne(
			servers,
			named === undefined ? undefined : flags.server === undefined ? 'DAPSS_SERVER' : '--server',
			cluster,
			here,
		);
	const isFound = servers.length === 0;
	// Without authentication anybody could answer a search; such nodes are on loopback only.
	if (isFound && !(isSearching && discovery.enabled && enableNodeAuth && enableEncryption))
		throw nobodyHere(cluster, await othersText(backend, cluster), '');
	const timeoutMs = flags.timeout === undefined ? connectMs : parseDuration(flags.timeout, '--timeout');
	const opened = async (): Promise<Uint8Array> => {
		try {
			return secret({create: false}).secret;
		} catch (error) {
			// Beacons are authenticated with the secret. A machine without a secret has no cluster to look for.
			if (
				error instanceof DapssError &&
				isFound &&
				(error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
			)
				throw nobodyHere(
					cluster,
					await othersText(backend, cluster),
					`the network is not searched without the secret (${error.message})`,
					error,
				);
			// The name of the cluster chooses the file of the secret, so a default name may be the wrong one.
			if (!(error instanceof DapssError) || flags.cluster !== undefined || flags.secretFile !== undefined)
				throw error;
			const remedy = `choose another cluster with --cluster${await othersText(backend, cluster)}`;
			const message = `${error.message}. This is the secret of cluster ${cluster}: ${remedy}`;
			throw new DapssError(error.code, message, {cause: error});
		}
	};

	const options = {
		servers,
		cluster,
		secret: await opened(),
		...callerOf(context),
		enableNodeAuth,
		enableMessageSigning,
		enableEncryption,
		limits,
		timeoutMs,
	};
	const broker = await interruptible(
		isFound
			? connectFound(context, backend, {...options, topics, othersText: () => othersText(backend, cluster)})
			: backend.connect(options),
		context.signal,
	);
	if (tunables.enableEncryption && tunables.enableNodeAuth) return broker;
	terminal.say('Warning: this link is not protected; enable_encryption or enable_node_auth is off');
	return broker;
}

/** Without a file for an identity a command connects without one. */
function callerOf({flags, settings}: Reaching): Pick<ConnectSettings, 'identityFile' | 'isReadonly'> {
	const identity = settings().identity();
	return {
		isReadonly: flags.readonly === true,
		...('problem' in identity ? {} : {identityFile: identity.path}),
	};
}

/**
The addresses of a list with commas. An empty list is returned as it is, so that the parser of addresses reports it.
*/
export function listed(named: string): readonly string[] {
	const items = named
		.split(',')
		.map(item => item.trim())
		.filter(item => item !== '');
	return items.length > 0 ? items : [named];
}

/**
@param named the flag or variable with the addresses; `undefined` when they were found here, as `here` says
@throws `usage` for several
*/
async function expectOne(
	servers: readonly string[],
	named: string | undefined,
	cluster: string,
	here: readonly FoundNode[],
): Promise<void> {
	const {size} = new Set(servers);
	if (size <= 1) return;
	if (named !== undefined)
		throw new DapssError(
			'usage',
			`Expected ${named} to name one node, got ${size}: this command changes the node that it reaches`,
		);
	const {printable} = await import('../../core/observe/printable.ts');
	const shown = here
		.slice(0, othersMax)
		.map(({address, name}) => `${address}${name === '' ? '' : ` (${printable(name)})`}`)
		.join(', ');
	throw new DapssError(
		'usage',
		`${size} nodes of cluster ${cluster} run here: ` +
			`${shown}${size > othersMax ? ` and ${size - othersMax} more` : ''}. ` +
			'This command changes the node that it reaches: choose one with --server',
	);
}

/** Other clusters with a node here, as a part of a sentence. */
async function othersText(backend: Backend, cluster: string): Promise<string> {
	const {printable} = await import('../../core/observe/printable.ts');
	const others = [...new Set((await backend.findNodes()).map(node => node.cluster))]
		.filter(name => name !== cluster)
		.toSorted();
	if (others.length === 0) return '';
	return `; here ${others.length === 1 ? 'runs a node' : 'run nodes'} of ${others
		.slice(0, othersMax)
		.map(name => printable(name))
		.join(', ')} (--cluster ${printable(others[0]!)})`;
}

/** Run a function with a connection, and close the connection in any case. */
export async function withNode<Value>(
	context: Context,
	run: (broker: Broker & {readonly server: string}) => Promise<Value>,
	options?: ReachOptions,
): Promise<Value> {
	await using broker = await reach(context, undefined, options);
	return await interruptible(run(broker), context.signal);
}
