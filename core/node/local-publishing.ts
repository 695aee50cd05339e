/**
Publishing on this node: only while its disk has room, and only while the cluster confirms that no other process uses
the identity of the node.
*/
import type {Published} from '../broker.ts';
import type {Data} from '../data/data.ts';
import {DapssError} from '../errors.ts';
import type {Topic} from '../message.ts';
import type {Journal} from '../observe/journal.ts';
import {messagesText, topicText} from '../observe/topic-text.ts';
import type {NodeIo} from './node-options.ts';
import type {OwnIdentity} from './own-identity.ts';

export type PublishingNode = {
	readonly identity: Pick<OwnIdentity, 'gate'>;
	readonly data: Pick<Data, 'publish'>;
	readonly journal: Pick<Journal, 'bound'>;
	readonly room: NodeIo['room'];
};

/**
Publish messages. Resolves once they are stored.
@throws `refused` when the disk is full or at a limit, `no-quorum` without a confirmed identity, `timeout` when the
identity was lost meanwhile
*/
export async function publishHere(
	{identity: {gate}, data, journal, room}: PublishingNode,
	topic: Topic,
	bodies: readonly Uint8Array[],
): Promise<Published> {
	if (room?.isFull) {
		journal.bound('disk');
		throw new DapssError('refused', room.reason);
	}

	const allowed = gate.wait();
	if (allowed) await allowed;
	const published = await data.publish(topic, bodies);
	// This process may have been paused meanwhile, and another process may have taken its place.
	const confirmed = gate.wait();
	if (!confirmed) return published;
	try {
		await confirmed;
	} catch (error) {
		throw new DapssError(
			'timeout',
			`${messagesText(bodies.length)} of ${topicText(topic)} ${bodies.length === 1 ? 'is' : 'are'} stored ` +
				'on this node, but may not reach the cluster: ' +
				'this process was paused, and the cluster has not confirmed its identity since',
			{cause: error},
		);
	}

	return published;
}
