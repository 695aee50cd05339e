/**
Finds a node on the local network when none was given and none runs here. Standard error says which node was chosen, and
that the search takes longer than a moment. Standard output is for data.
*/
import type {Broker} from '../../core/broker.ts';
import type {ConnectSettings, Reached} from '../../core/connect.ts';
import {DapssError, NoneFoundError} from '../../core/errors.ts';
import type {Topic} from '../../core/message.ts';
import type {Backend, Reaching} from '../context.ts';

/** A shorter search is not mentioned, milliseconds. */
const silentMs = 300;
/** Lines that were printed; a command that tries again does not repeat them. */
const printedLines = new WeakMap<object, Set<string>>();

/**
@param othersText clusters with a node here, as a part of a sentence
@throws as `connect`; `unreachable` with the attempts and a remedy
*/
export async function connectFound(
	{settings, signal, terminal}: Pick<Reaching, 'settings' | 'signal' | 'terminal'>,
	backend: Backend,
	{
		topics,
		othersText,
		...options
	}: ConnectSettings & {readonly topics: readonly Topic[]; readonly othersText: () => Promise<string>},
): Promise<Broker & Reached> {
	const {printable} = await import('../../core/observe/printable.ts');
	const {cluster} = options;
	const {discovery} = settings().tunables;
	const say = (text: string): void => {
		const lines = printedLines.get(terminal) ?? new Set();
		printedLines.set(terminal, lines);
		if (!lines.has(text)) terminal.say(text);
		lines.add(text);
	};

	let waiting: NodeJS.Timeout | undefined;
	try {
		const broker = await backend.connect({
			...options,
			find: {
				topics,
				discovery,
				signal,
				onListening(listenMs) {
					waiting = setTimeout(
						() =>
							say(
								`No node of cluster ${cluster} runs here: ` +
									`listening on the network for up to ${listenMs / 1000} s`,
							),
						silentMs,
					);
				},
				onUnusable: ({address}, error) =>
					say(`${address} was heard on the network and cannot be used: ${printable(error.message)}`),
			},
		});
		const {chosen} = broker;
		if (!chosen) return broker; // The node has just started here.
		// A node of an earlier version advertises some of its topics only, so a missing topic proves nothing.
		const subscribes =
			chosen.subscribes.length === 0
				? `advertises no subscription to ${topics.length === 1 ? printable(topics[0]!) : 'the topics'}`
				: `subscribes to ${chosen.subscribes.map(topic => printable(topic)).join(', ')}`;
		const names = topics.length === 0 ? '' : `; it ${subscribes}`;
		say(
			`No node of cluster ${cluster} runs here: using ` +
				`${chosen.address}${chosen.name === '' ? '' : ` (${chosen.name})`}, found on the network${names}`,
		);
		if (chosen.clusters > 1)
			say(
				`Warning: ${chosen.clusters} clusters of the name ${cluster} were heard; ` +
					'choose a node of the right one with --server host:port',
			);
		return broker;
	} catch (error) {
		if (!(error instanceof NoneFoundError)) throw error;
		throw nobodyHere(cluster, await othersText(), error.searched, error);
	} finally {
		clearTimeout(waiting);
	}
}

/** @param searched the result of the search on the network; empty without a search */
export function nobodyHere(cluster: string, others: string, searched: string, cause?: unknown): DapssError {
	const tried = searched === '' ? '' : `; ${searched}`;
	const remedy =
		searched === ''
			? ''
			: '. A node is found if it has the same secret (--secret-file) and the network passes multicast';
	return new DapssError(
		'unreachable',
		`No node of cluster ${cluster} runs here${others}${tried}: ` +
			`start one with dapss-tui, or give one with --server host:port${remedy}`,
		{cause},
	);
}
