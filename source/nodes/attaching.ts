/**
The connection of an attached console. It learns the addresses of the members from the node that it shows, so that it
finds another member when that node is lost, and it knows how to reach the cluster of a named context.
*/
import {canonicalAddress, lostServerLast} from '../../core/address.ts';
import {DapssError} from '../../core/errors.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';
import type {Attached, Target} from '../../tui/attached-source.ts';
import type {NamedContext} from '../../tui/source/source.ts';
import type {Context, Reaching} from '../context.ts';
import type {ClusterContext} from '../settings/contexts.ts';
import {addressOf} from '../settings/settings.ts';
import {reachAlways} from './following.ts';
import {listed, reach} from './reach.ts';

/** The members that may answer come first; one that is down may be back. */
export class MemberAddresses {
	#addresses: readonly string[] = [];

	learn(members: readonly Pick<MemberSnapshot, 'address' | 'state'>[]): void {
		const usable = members.filter(({state}) => state === 'alive' || state === 'degraded');
		const others = members.filter(member => !usable.includes(member) && member.state !== 'left');
		this.#addresses = [...usable, ...others].map(({address}) => address);
	}

	/** Members, then the servers that the user gave; the lost one last. */
	order(given: readonly string[], last: string | undefined): readonly string[] {
		return lostServerLast([...new Set([...this.#addresses, ...given])], last);
	}
}

/**
Connects to one of the servers, and to any member of its cluster afterwards.
@param servers with commas; without them a node is searched
@throws as `reach`
*/
export async function attachTo(
	context: Reaching,
	servers: string | undefined,
	named: NamedContext | undefined,
): Promise<Attached> {
	const members = new MemberAddresses();
	const given = servers === undefined ? [] : listed(servers).map(server => canonicalAddress(server) ?? server);
	let last: string | undefined;
	const broker = await reachAlways(context, {
		address: servers,
		isSilent: true,
		async reachOnce(reaching, address, options) {
			const tried = members.order(given, last);
			if (tried.length === 0) return reach(reaching, address, options);
			try {
				return await reach(reaching, tried.join(','), options);
			} catch (error) {
				// All members may have moved. A search finds those that run here, or announce themselves.
				if (servers !== undefined) throw error;
				return reach(reaching, undefined, options).catch(() => {
					throw error;
				});
			}
		},
	});
	const link = broker.onLink(({state, server}) => {
		last = state === 'lost' ? server : undefined;
	});
	return {
		broker,
		context: named,
		learn: known => members.learn(known),
		tries: () => members.order(given, last),
		async [Symbol.asyncDispose]() {
			link[Symbol.dispose]();
			await broker[Symbol.asyncDispose]();
		},
	};
}

/**
The way to the cluster of a named context. It replaces those flags of the command line that it sets.
@throws `usage` for a name that the preferences do not have
*/
export function contextNamed(
	{flags, reachingWith}: Context,
	name: string,
	contexts: ReadonlyMap<string, ClusterContext>,
	isSilent: boolean,
): {readonly reaching: Reaching; readonly servers: string | undefined; readonly named: NamedContext} {
	const found = contexts.get(name);
	if (!found) {
		const known = [...contexts.keys()];
		throw new DapssError(
			'usage',
			`Expected ${
				known.length === 0 ? 'a context in preferences.json, which has none' : `a context: ${known.join(', ')}`
			}, got ${JSON.stringify(name)}`,
		);
	}

	const {server: servers, colour, ...own} = found;
	return {
		reaching: reachingWith({...flags, server: undefined, ...own}, isSilent),
		servers,
		named: {name, colour},
	};
}

/**
Opens what the user of an attached console asks for, and prints nothing.
*/
export function opener(
	context: Context,
	contexts: ReadonlyMap<string, ClusterContext>,
): (target: Target, from: Attached) => Promise<Attached> {
	return async (target, from) => {
		if ('context' in target) {
			const {reaching, servers, named} = contextNamed(context, target.context, contexts, true);
			return attachTo(reaching, servers, named);
		}

		const reaching = from.context
			? contextNamed(context, from.context.name, contexts, true).reaching
			: context.reachingWith(context.flags, true);
		return attachTo(reaching, addressOf(target.server, 'the node'), from.context);
	};
}
