/**
Followers (`subscribe`, `events --watch`, `attach`) outlive their node: they reconnect to another given server, to
another node of this machine or network, or to the same node. Each loss, and each new connection, is one line for
people.
*/
import {canonicalAddress, lostServerLast} from '../../core/address.ts';
import type {FollowedBroker, LinkNews} from '../../core/broker.ts';
import {printable} from '../../core/observe/printable.ts';
import type {Reaching} from '../context.ts';
import {timeText} from '../output/units.ts';
import {listed, reach, type ReachOptions} from './reach.ts';

export type FollowOptions = Pick<ReachOptions, 'topics'> & {
	/** One or several servers with commas, instead of `--server`. */
	readonly address?: string | undefined;
	/** Print nothing about losses. @default false */
	readonly isSilent?: boolean;
	/** @default `reach` */
	readonly reachOnce?: typeof reach;
};

/** Like `reach`, and repeated whenever the node is lost. The first attempt fails as `reach` does. */
export async function reachAlways(
	context: Reaching,
	{address, topics = [], isSilent = false, reachOnce = reach}: FollowOptions = {},
): Promise<FollowedBroker> {
	const {flags, env, terminal} = context;
	const named = address ?? flags.server ?? (env['DAPSS_SERVER'] || undefined);
	// `reach` reports an invalid address.
	const servers = named === undefined ? undefined : listed(named).map(server => canonicalAddress(server) ?? server);
	const backend = await context.backend();
	// Only the first attempt prints: later the console may be on the screen.
	const again: Reaching = {...context, terminal: {say: () => undefined}};
	const broker = await backend.followWith(last =>
		reachOnce(last === undefined ? context : again, servers && lostServerLast(servers, last).join(','), {topics}),
	);
	if (isSilent) return broker;
	const words = new LinkWords();
	broker.onLink(news => {
		const line = words.of(news);
		if (line !== undefined) terminal.say(line);
	});
	return broker;
}

/** The line about a change of the connection. Repeated attempts with the same reason print nothing. */
export class LinkWords {
	#why: string | undefined;

	of(news: LinkNews): string | undefined {
		const wasLost = this.#why !== undefined;
		if (news.state === 'connected') {
			this.#why = undefined;
			return `Connected to ${printable(news.server)}`;
		}

		const {server, why, retryMs} = news;
		if (this.#why === why) return undefined;
		this.#why = why;
		return wasLost
			? `Not reached: ${printable(why)}; retrying until it works`
			: `Lost ${printable(server)}: ${printable(why)}; trying again in ${timeText(retryMs)}`;
	}
}
