/**
What a cluster must have agreed on at the end. Once all its members speak the newest protocol, the cluster uses it,
every member has a unique name, and every process holds the claim on its identity. While one member speaks an older
protocol, the cluster must not use a newer one.
*/
import {protocolMax} from '../../../../core/version.ts';
import type {Host} from '../host/host.ts';

/** The problems, as text. @param members the hosts of the members that run @param configured the number of members */
export function protocolProblems(leader: Host, members: readonly Host[], configured: number): readonly string[] {
	const {state: topics} = leader.node!.control;
	const slowest = Math.min(...members.map(({protocol}) => protocol));
	if (topics.protocol > slowest)
		return [`the cluster uses protocol ${topics.protocol}, and a member speaks ${slowest}`];
	if (slowest < protocolMax || members.length < configured) return [];
	if (topics.protocol < protocolMax)
		return [`all members speak protocol ${protocolMax}, and the cluster uses ${topics.protocol}`];
	const names = members.map(({id}) => topics.name(id));
	return [
		...members.filter(({id}) => topics.name(id) === '').map(({id}) => `${id} has no name`),
		...(new Set(names).size < names.length ? [`two members have one name: ${names.join(', ')}`] : []),
		...members
			.filter(({node}) => !node!.identity.claim.isHeld)
			.map(({id}) => `the process of ${id} does not hold the claim on its identity`),
	];
}
