/**
Followers (`subscribe`, `events --watch`, `attach`) outlive their node: they go on at another of the servers that were
named, or that run here or are heard on the network, or at the same one when it is back. Each loss, and what they are
connected to then, is one line for people.
*/
import {canonicalAddress, lostServerLast} from '../../core/address.ts';
import type {FollowedBroker, LinkNews} from '../../core/broker.ts';
import {printable} from '../../core/observe/printable.ts';
import type {Context, Reaching} from '../context.ts';
import {timeText} from '../output/units.ts';
import {listed, reach, type ReachOptions} from './reach.ts';

export type FollowOptions = Pick<ReachOptions, 'topics'> & {
	/** One or several with commas, instead of `--server`. */
	readonly address?: string | undefined;
	/** Say nothing about losses. @default false */
	readonly isSilent?: boolean;
	/** @default `reach` */
	readonly reachOnce?: typeof reach;
};

/** As `reach`, and again whenever the node is lost. The first time it fails as `reach` does. */
export async function reachAlways(
	context: Context,
	{address, topics = [], isSilent = false, reachOnce = reach}: FollowOptions = {},
): Promise<FollowedBroker> {
	const {flags, env, terminal} = context;
	const named = address ?? flags.server ?? (env['DAPSS_SERVER'] || undefined);
	// What is no address, `reach` tells.
	const servers = named === undefined ? undefined : listed(named).map(server => canonicalAddress(server) ?? server);
	const backend = await context.backend();
	// What `reach` has to say it has said the first time, and later the console may be on the screen.
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

/** What is said about a link. While it is tried again and again for the same reason, nothing. */
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
			? `Not reached: ${printable(why)}; it is tried until it works`
			: `Lost ${printable(server)}: ${printable(why)}; trying again in ${timeText(retryMs)}`;
	}
}
