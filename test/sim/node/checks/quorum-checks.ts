/**
Rule: the quorum counts only links that work. A node that reports a reachable majority has had connections to one,
through one relay at most, apart from the time that detection takes.
*/
import type {Host} from '../host/host.ts';

const checkMs = 500;
/** The longest time of detection, over the worst network of a run. */
const detectMs = 5000;

export class QuorumChecks {
	/** Since when a node has reported a majority that it cannot reach. */
	readonly #wrongMs = new Map<Host, number>();
	#checkedMs = 0;

	/** The violation, if a node reports a quorum that it cannot have. */
	check(hosts: readonly Host[]): string | undefined {
		const nowMs = hosts[0]?.options.schedule.nowMs ?? 0;
		if (nowMs - this.#checkedMs < checkMs) return undefined;
		this.#checkedMs = nowMs;
		for (const host of hosts) {
			const view = host.node?.phase === 'running' && !host.isPaused ? host.node.control.quorum() : undefined;
			const {voters = []} = host.node?.control.raft.status().configuration ?? {};
			const reached = voters.filter(voter =>
				hosts.some(other => other.id === voter && isReached(host, other, hosts)),
			).length;
			if (!view || view.voters === 0 || view.state === 'lost' || reached >= view.needed) {
				this.#wrongMs.delete(host);
				continue;
			}

			const sinceMs = this.#wrongMs.get(host) ?? nowMs;
			this.#wrongMs.set(host, sinceMs);
			if (nowMs - sinceMs >= detectMs)
				return `the quorum counts only working links: ${host.id} reports ${view.state} with ${view.reachable} of ${view.voters} reachable; for ${nowMs - sinceMs} ms it could reach at most ${reached}`;
		}

		return undefined;
	}
}

/** Whether nothing prevents a connection between them, directly or through one relay. */
function isReached(one: Host, other: Host, hosts: readonly Host[]): boolean {
	return (
		isOpen(one, other) ||
		hosts.some(relay => relay !== one && relay !== other && isOpen(one, relay) && isOpen(relay, other))
	);
}

function isOpen(one: Host, other: Host): boolean {
	if (one === other) return true;
	const {frames} = one.options.fabric;
	return other.isUp && !other.isPaused && !frames.isCut(one.key, other.key) && !frames.isCut(other.key, one.key);
}
