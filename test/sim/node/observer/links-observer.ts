/**
Observes the frames that a node sends to its peers: relayed frames, and Raft packets with the order of their writes.
*/
import type {Links} from '../../../../core/ports.ts';
import type {NodeId} from '../../../../core/message.ts';
import {parseRaftPacket} from '../../../../core/raft/packet.ts';
import {decodeRelay, isRelayKind} from '../../../../core/wire/relay-frame.ts';
import {decodeControl, kinds} from '../../../../core/wire/wire.ts';
import type {Violations} from '../../violations.ts';
import {relayViolation} from '../checks/relay-checks.ts';
import type {Host} from '../host/host.ts';
import type {RaftObserver} from './raft-observer.ts';

export class LinksObserver {
	readonly #raft: RaftObserver;
	readonly #violations: Violations;

	constructor(raft: RaftObserver, violations: Violations) {
		this.#raft = raft;
		this.#violations = violations;
	}

	/** Wraps the links of a node. */
	wrap(host: Host, links: Links): Links {
		return {
			...links,
			send: (to, pieces) => {
				this.#violations.check(relayViolation(host.id, to, pieces));
				return this.#isLost(host, links, to, pieces) || links.send(to, pieces);
			},
		};
	}

	/** Checks a Raft packet. Returns whether it is lost on its way. */
	#isLost(host: Host, links: Links, to: NodeId, pieces: readonly Uint8Array[]): boolean {
		// A node's own frame may go through a relay. Relayed frames of other nodes were checked at those nodes.
		const relayed = isRelayKind(pieces[0]?.[0]) ? decodeRelay(Buffer.concat(pieces)) : undefined;
		if (relayed && relayed.from !== host.id) return false;
		const [frame, receiver] = relayed ? [relayed.inner, relayed.to] : [pieces[0], to];
		if (frame?.[0] !== kinds.raft) return false;
		const packet = parseRaftPacket(decodeControl(frame));
		if (!packet) throw this.#violations.record('codec: a packet that a node sends cannot be parsed');
		return this.#raft.sent(host, receiver, packet, () => links.state(to).state === 'up');
	}
}
