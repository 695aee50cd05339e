/**
Protocol 4: batches have signatures of their origins. Batches from before have MACs, which every member can make, so the
state says which origins and incarnations may have them.
*/
import {describe, expect, test} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command, type MemberContext} from '../../../core/cluster-state/command.ts';
import type {NodeId} from '../../../core/message.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const c = 'cccccccccccccccc' as NodeId;
const instance = '0000000000000001';
const bounds = {topicsMax: 100, membersMax: 10};

class Cluster {
	readonly state = new ClusterState(bounds);
	#index = 0;
	#seq = 0;

	add(nodes: readonly NodeId[], context: MemberContext): void {
		this.state.applyConfiguration(++this.#index, nodes, encodeContext(context));
	}

	/** @returns whether the command was accepted */
	apply(command: Command): boolean | undefined {
		const seq = ++this.#seq;
		const envelope = {node: a, incarnation: 1, seq, answeredBelow: 1, lamport: 1, command};
		return this.state.apply(++this.#index, encodeEnvelope(envelope)).result?.ok;
	}
}

/** Two members under an earlier protocol; their processes have incarnations 3 and 5. */
function upgraded(): Cluster {
	const cluster = new Cluster();
	cluster.add([a], {clusterId: 'c1', node: a, address: 'h:1', protocol: 3, incarnation: 3, instance});
	cluster.add([a, b], {node: b, address: 'h:2', incarnation: 5, instance});
	return cluster;
}

describe('MACs instead of signatures', () => {
	test('are for nobody in a cluster that was founded with protocol 4', () => {
		const cluster = new Cluster();
		cluster.add([a], {clusterId: 'c1', node: a, address: 'h:1', protocol: 4, incarnation: 3, instance});
		cluster.add([a, b], {node: b, address: 'h:2', incarnation: 1, instance});
		for (const origin of [a, b, c]) expect(cluster.state.hasMacs(origin, 1)).toBe(false);
	});

	test('are for all before protocol 4 is agreed', () => {
		const {state} = upgraded();
		for (const origin of [a, b, c]) expect(state.hasMacs(origin, 1000)).toBe(true);
	});

	test('are for the processes of that time and earlier ones once it is agreed, and for removed nodes', () => {
		const cluster = upgraded();
		expect(cluster.apply({type: 'protocol', node: a, protocol: 4})).toBe(true);
		const {state} = cluster;
		expect([state.hasMacs(a, 3), state.hasMacs(a, 4)]).toEqual([true, false]);
		expect([state.hasMacs(b, 5), state.hasMacs(b, 6)]).toEqual([true, false]);
		// Removed before, maybe: its messages may still be repaired.
		expect(state.hasMacs(c, 1)).toBe(true);
		cluster.add([a, b, c], {node: c, address: 'h:3', incarnation: 1, instance});
		expect(state.hasMacs(c, 1)).toBe(false);
		cluster.add([a, c], {});
		expect([state.hasMacs(b, 5), state.hasMacs(b, 6)]).toEqual([true, false]);
	});

	test('are for the first claimed process of a member whose incarnation was not agreed', () => {
		const cluster = new Cluster();
		cluster.add([a], {clusterId: 'c1', node: a, address: 'h:1'});
		cluster.add([a, b], {node: b, address: 'h:2'});
		expect(cluster.apply({type: 'protocol', node: a, protocol: 4})).toBe(true);
		expect(cluster.state.hasMacs(b, 1000)).toBe(true);
		cluster.apply({type: 'claim', node: b, incarnation: 7, instance});
		cluster.apply({type: 'claim', node: b, incarnation: 9, instance});
		expect([cluster.state.hasMacs(b, 7), cluster.state.hasMacs(b, 8)]).toEqual([true, false]);
	});

	test('are the same after the state was saved and loaded', () => {
		const cluster = upgraded();
		expect(cluster.apply({type: 'protocol', node: a, protocol: 4})).toBe(true);
		const copy = new ClusterState(bounds);
		copy.load(cluster.state.save());
		expect([copy.hasMacs(b, 5), copy.hasMacs(b, 6), copy.hasMacs(c, 1)]).toEqual([true, false, true]);
		expect(copy.save()).toEqual(cluster.state.save());
	});
});
