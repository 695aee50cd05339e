/**
The door for who examines a machine before a node is started: what a start asks of folder, disk, files, ports and
network, and how it judges the answers, without the start. Nothing here needs the native module, so that its absence can
be told.
*/
import type {NodeState} from './node-state/node-state.ts';

export {findAddress} from './io/net/advertise.ts';
export type {Beacon} from './io/net/beacon.ts';
export {causeOf, writeProblem} from './io/cause.ts';
export {descriptorsFor, descriptorsMax, descriptorsMin, sharesOf} from './io/descriptors.ts';
export {isMissing, remedyFor} from './io/file-system.ts';
export {folderHolder, ownershipProblem, placeRemedy} from './io/files/data-folder.ts';
export {probeMulticast, type Probed} from './io/net/multicast-probe.ts';
export {listNodes, registryFolder, type RegisteredNode} from './io/files/registry.ts';
export {freeBytesOf, reserveFile, roomOf} from './io/files/reserve.ts';
export {parseKeptTime, resumedTime, type KeptTime} from './topic-log/retention.ts';
export {deriveKeys} from './wire/seal.ts';

/** What the parsed `node.json` says. Its checksum is of the native module. @throws when that is missing */
export async function readNodeState(
	json: unknown,
): Promise<NodeState | {readonly problem: string; readonly newer?: string}> {
	const {stateFromJson} = await import('./node-state/node-state.ts');
	return stateFromJson(json);
}
