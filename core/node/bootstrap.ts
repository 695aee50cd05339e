/**
How a node enters a cluster: creates the search for a cluster from the options of the node. It has the node's join
request, and the facts of the first entry when the node founds a cluster.
*/
import {accessProtocol, namesProtocol} from '../cluster-state/cluster-state.ts';
import type {MemberContext} from '../cluster-state/command.ts';
import {Bootstrapping, returningAlone, seekingAlone} from '../membership/bootstrapping.ts';
import {Founding} from '../membership/founding.ts';
import type {Joined} from '../membership/joining.ts';
import type {NodeOptions} from './node-options.ts';

export type EnterHooks = {
	readonly clusterId: () => string;
	readonly waitFor: (text: string) => void;
	readonly refused: (error: Error) => void;
	readonly joined: (answer: Joined) => void;
	/** Found a cluster of this node alone, with these facts. */
	readonly found: (facts: MemberContext & {readonly clusterId: string}) => void;
};

export function createBootstrapping(
	{
		id,
		address,
		incarnation,
		instance,
		name,
		protocolMax,
		founding,
		owner,
		endorsement,
		former,
		resignations = [],
		config,
		io: {peers, clock, entropy},
	}: NodeOptions,
	hooks: EnterHooks,
): Bootstrapping {
	return new Bootstrapping({
		address,
		peers,
		clock,
		isAddressGiven: config.advertise !== '',
		founding: founding && new Founding({self: id, address, ...founding, nowMs: clock.monotonicMs()}),
		aloneAdvice: former?.mustJoin ? returningAlone : seekingAlone,
		request: () => ({
			id,
			address,
			clusterId: hooks.clusterId(),
			name: name.text,
			isNameChosen: name.isChosen,
			...(resignations.length > 0 ? {resignations} : {}),
			...(endorsement && {endorsement}),
			...(config.joinToken !== '' && {token: config.joinToken}),
		}),
		onWaiting: text => hooks.waitFor(text),
		refused: error => hooks.refused(error),
		joined: answer => hooks.joined(answer),
		found() {
			const clusterId = Buffer.from(entropy.bytes(16)).toString('hex');
			const agreed =
				protocolMax < namesProtocol ? {} : {protocol: protocolMax, name: name.text, incarnation, instance};
			const operator = protocolMax >= accessProtocol && owner !== undefined ? {operator: owner} : {};
			hooks.found({clusterId, address, ...agreed, ...operator});
		},
	});
}
