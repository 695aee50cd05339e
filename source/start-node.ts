/**
Start a node on the port that was asked for, or, when none was, on the first free one from the default on.
*/
import type {Broker} from '../core/api.ts';
import type {Config} from '../core/config.ts';
import {DapssError} from '../core/errors.ts';
import {interruptible, type Context} from './context.ts';
import {isPortFree, nextFreePort, portHolder} from './port.ts';
import {nodeConfig} from './settings.ts';
import {shortId} from './words.ts';

export type StartedNode = Broker & {readonly id: string; readonly port: number};

/** @throws `port-in-use`, `locked`, `config`, and what `open` throws */
export async function startNode(context: Context, open: (config: Config) => Promise<StartedNode>): Promise<StartedNode> {
	const {terminal} = context;
	const settings = context.settings();
	const {host, port: wanted} = settings.tunables;
	const hasOwnData = settings.data(1) === settings.data(2);
	const insecure = (['enableNodeAuth', 'enableMessageSigning', 'enableEncryption'] as const).filter(name => !settings.tunables[name]);
	if (insecure.length > 0) terminal.say(`WARNING: this node is not secure: ${insecure.map(name => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)).join(', ')} is off`);

	let port = wanted;
	for (;;) {
		// oxlint-disable-next-line no-await-in-loop -- one port after the other
		if (!await isPortFree(host, port)) {
			if (settings.isPortExplicit) throw await portError(context, port);
			// oxlint-disable-next-line no-await-in-loop
			const next = await nextFreePort(host, port + 1);
			if (next === undefined) throw await portError(context, port);
			port = next;
		}

		const {config, secretPath, secretCreated} = nodeConfig(settings, port);
		if (secretCreated) terminal.say(`Made the secret of cluster ${config.cluster}: ${secretPath} (nodes on other machines need a copy)`);
		try {
			// oxlint-disable-next-line no-await-in-loop
			const node = await interruptible(open(config), context.signal);
			// oxlint-disable-next-line no-await-in-loop
			if (port !== wanted) terminal.say(`Port ${wanted} is in use (${await holderOf(context, wanted)}): this node is on ${port}`);
			return node;
		} catch (error) {
			const isTaken = error instanceof DapssError && (error.code === 'port-in-use' || (error.code === 'locked' && !hasOwnData));
			if (!isTaken || port >= 65_535) throw error;
			if (settings.isPortExplicit) throw error.code === 'port-in-use' ? await portError(context, port) : error;
			port++; // Another node that starts now was faster.
		}
	}
}

async function portError(context: Context, port: number): Promise<DapssError> {
	const next = await nextFreePort(context.settings().tunables.host, port + 1);
	return new DapssError('port-in-use', `Port ${port} is in use (${await holderOf(context, port)})${next === undefined ? '' : `: try --port ${next}`}`);
}

async function holderOf(context: Context, port: number): Promise<string> {
	const {cluster} = context.settings().tunables;
	const nodes = await (await context.backend()).findNodes({cluster});
	const node = nodes.find(({address}) => address.endsWith(`:${port}`));
	return node ? `node ${shortId(node.id)} of cluster ${cluster}` : portHolder(port) ?? 'a process that this user may not see';
}
