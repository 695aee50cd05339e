/**
Starts a node on the given port or, without one, on the first free port from the default on.
*/
import {resolve} from 'node:path';
import type {Broker} from '../../core/broker.ts';
import type {Config} from '../../core/config.ts';
import {DapssError} from '../../core/errors.ts';
import {advice, isGuarded} from '../../core/platform.ts';
import type {Context} from '../context.ts';
import {shortId} from '../output/units.ts';
import {interruptible} from '../process/interruptible.ts';
import {unusedText} from '../settings/layers.ts';
import {nodeConfig} from '../settings/settings.ts';
import {nextFreePort, portConflict, portHolder, type Protocol} from './port.ts';

/** Ports after the default one that a node may use. */
const triesMax = 64;

export type StartedNode = Broker & {readonly id: string; readonly port: number};

/** @throws `port-in-use`, `locked`, `config`, and the errors of `openBroker` */
export async function startNode(
	context: Context,
	open: (config: Config) => Promise<StartedNode>,
): Promise<StartedNode> {
	const {terminal} = context;
	const settings = context.settings();
	const {host, port: wanted} = settings.tunables;
	if (settings.unusedConfig?.isMeant) terminal.say(`Warning: ${unusedText(settings.unusedConfig)}`);
	const hasOwnData = settings.data(1) === settings.data(2);
	const insecure = (['enableNodeAuth', 'enableMessageSigning', 'enableEncryption'] as const).filter(
		name => !settings.tunables[name],
	);
	if (insecure.length > 0)
		terminal.say(
			'WARNING: this node is not secure: ' +
				`${insecure.map(name => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)).join(', ')} ` +
				'is off',
		);

	const startOn = async (port: number): Promise<StartedNode> => {
		const conflict = await portConflict(host, port);
		if (conflict !== undefined) {
			const next = settings.isPortExplicit ? undefined : await nextFreePort(host, port + 1);
			if (next === undefined) throw await portError(context, port, conflict);
			return startOn(next);
		}

		const {config, secretPath, secretCreated, identityProblem} = nodeConfig(settings, port);
		if (secretCreated)
			terminal.say(
				`Created the secret of cluster ${config.cluster}: ${secretPath} (nodes on other machines need a copy)`,
			);
		if (identityProblem !== undefined)
			terminal.say(`Warning: ${identityProblem}. Without it you are no operator of the cluster`);
		try {
			const node = await interruptible(open(config), context.signal);
			if (port !== wanted)
				terminal.say(
					`${await usedText(context, wanted, (await portConflict(host, wanted)) ?? 'TCP')}: ` +
						`this node is on ${port}`,
				);
			for (const [what, path, remedy] of [
				['secret', secretPath, advice.closeFile(secretPath)],
				['data folder', config.data, advice.closeFolder(config.data)],
			] as const) {
				if (!isGuarded(resolve(path)))
					terminal.say(
						`Warning: the ${what} ${path} is outside of your profile. On Windows it is not checked ` +
							`whether other users can read it. Deny them access: ${remedy}`,
					);
			}

			return node;
		} catch (error) {
			if (!(error instanceof DapssError)) throw error;
			const isTaken = error.code === 'port-in-use' || (error.code === 'locked' && !hasOwnData);
			// Another node took the port in the meantime.
			if (isTaken && !settings.isPortExplicit && port < wanted + triesMax) return startOn(port + 1);
			throw error.code === 'port-in-use'
				? await portError(context, port, (await portConflict(host, port)) ?? 'TCP')
				: error;
		}
	};

	return startOn(wanted);
}

async function portError(context: Context, port: number, protocol: Protocol): Promise<DapssError> {
	const next = await nextFreePort(context.settings().tunables.host, port + 1);
	return new DapssError(
		'port-in-use',
		`${await usedText(context, port, protocol)}${next === undefined ? '' : `: try --port ${next}`}`,
	);
}

async function usedText(context: Context, port: number, protocol: Protocol): Promise<string> {
	return `${protocol === 'UDP' ? 'UDP port' : 'Port'} ${port} is in use (${await holderOf(context, port, protocol)})`;
}

async function holderOf(context: Context, port: number, protocol: Protocol): Promise<string> {
	const unknown = 'a process that this user may not see';
	const {cluster, host} = context.settings().tunables;
	// A node uses its port in both protocols; a program that uses only UDP is not a node.
	if (protocol === 'UDP') return portHolder(host, port, 'UDP') ?? unknown;
	const nodes = await (await context.backend()).findNodes({cluster});
	const node = nodes.find(({address}) => address.endsWith(`:${port}`));
	return node ? `node ${shortId(node.id)} of cluster ${cluster}` : (portHolder(host, port, 'TCP') ?? unknown);
}
