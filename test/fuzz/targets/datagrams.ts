/** Beacons and datagrams: also those that are sealed correctly, as a member with a fault sends them. */
import fc from 'fast-check';
import {decode} from '../../../core/codec.ts';
import {defaults} from '../../../core/config.ts';
import {decodeBeacon, encodeBeacon, type Beacon} from '../../../core/io/net/beacon.ts';
import {decodeSearch, encodeSearch, isSearch} from '../../../core/io/net/beacon-search.ts';
import {Seal} from '../../../core/io/net/udp.ts';
import type {NodeId} from '../../../core/message.ts';
import {parseSwimPacket} from '../../../core/swim/packet.ts';
import {createSwim} from '../../../core/swim/swim.ts';
import {deriveKeys, macOf} from '../../../core/wire/seal.ts';
import {createRandom} from '../../sim/random.ts';
import {idOf} from '../../sim/swim-cluster.ts';
import {altered, bytes, changed, damaged, packed} from '../arbitraries.ts';
import {swimPackets} from '../packets.ts';
import {must, target} from '../target.ts';
import {fixedKeys} from '../../../core/wire/key-ring.ts';

const keys = deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'dapss'});
const beacon: Beacon = {
	id: '1111111111111111' as NodeId,
	incarnation: 3,
	clusterId: 'c1',
	address: '127.0.0.1:5000',
	phase: 'member',
	topics: ['news', 'täglich'],
	name: 'alpha',
};
const mark = {counter: 7, challenge: 'AAAAAAAAAAA', answers: ['BBBBBBBBBBB']};
const fields = [
	beacon.id,
	3,
	mark.counter,
	'c1',
	beacon.address,
	'member',
	beacon.topics,
	'alpha',
	mark.challenge,
	mark.answers,
];

/** A body under a correct MAC. */
const authentic = (body: Buffer): Buffer => Buffer.concat([macOf(keys.beacon, body), body]);

export const beaconTarget = target('beacons', 3000, () => ({
	inputs: fc.oneof(
		bytes(600),
		damaged(encodeBeacon(beacon, mark, keys)),
		damaged(encodeSearch(['news'], keys)),
		altered(fields).map(content => authentic(Buffer.concat([Buffer.of(1), packed(content)]))),
	),
	check(datagram) {
		const got = decodeBeacon(datagram, keys);
		must(typeof got === 'string' || datagram.length <= 512, 'no beacon over 512 bytes');
		if (isSearch(datagram)) decodeSearch(datagram, keys);
	},
}));

const order = Array.from({length: 5}, (_, index) => idOf(`n${index + 1}`));
/** Packets about members of the cluster. */
const packets = swimPackets.map(packet => ({
	...packet,
	updates: packet.updates.map(([, ...rest]) => [order[2], ...rest]),
	rows: packet.rows.map(([, ...rest]) => [order[1], ...rest]),
}));

/** Datagrams reach a machine of SWIM in a cluster of five, which must go on. */
export const datagramTarget = target('datagrams', 3000, () => {
	const seal = (id: NodeId): Seal =>
		new Seal({keys: fixedKeys(keys), id, incarnation: 1, instance: '0'.repeat(16), encrypt: true});
	const [self, peer] = [order[0]!, order[1]!];
	const receiver = seal(self);
	const sender = seal(peer);
	const swim = createSwim({
		id: self,
		incarnation: 1,
		random: createRandom('fuzz'),
		tickMs: 25,
		config: defaults.swim,
	});
	swim.setMembers(order);
	let nowMs = 1000;
	return {
		inputs: fc.tuple(
			fc.boolean(),
			fc.oneof(bytes(300), changed(packets).map(packed), damaged(packed(packets[1]))),
			fc.oneof(bytes(1500), damaged(seal(peer).seal(packed(packets[0])))),
		),
		check([isSealed, content, raw]) {
			const opened = receiver.open(isSealed ? sender.seal(content) : raw);
			nowMs += 25;
			if (typeof opened !== 'string') {
				const parsed = parseSwimPacket(decode(opened.bytes));
				if (parsed) swim.step(opened.from, parsed, nowMs);
			}

			swim.tick();
			for (let ready = swim.ready(nowMs); ready; ready = swim.ready(nowMs))
				must(ready.packets.length < 100, 'few packets for one datagram');
		},
	};
});
