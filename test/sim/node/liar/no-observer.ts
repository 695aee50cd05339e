/**
An observer that observes nothing, for runs whose checks are not those of honest nodes.
*/
import type {Observer} from '../observer/observer.ts';

/** A value on which any method can be called; it returns the argument at that place, or nothing. */
const returning = (argument?: number): object =>
	new Proxy(
		{},
		{
			get:
				() =>
				(...given: readonly unknown[]) =>
					argument === undefined ? undefined : given[argument],
		},
	);

/** The wrapped port is returned as it is. */
export function createNoObserver(): Observer {
	const parts: Readonly<Record<string, unknown>> = {
		raft: returning(1),
		links: returning(1),
		reserve: (_host: unknown, reserve: unknown) => reserve,
		topicLogs: {
			opened: (_host: unknown, _topic: unknown, log: unknown) => log,
			onHeader: (_host: unknown, _topic: unknown, onHeader: unknown) => onHeader,
		},
		fullDisks: returning(),
		leaderCauses: returning(),
		membership: returning(),
		booted: () => undefined,
		started: () => undefined,
		ended: () => undefined,
	};
	return parts as unknown as Observer;
}
