/**
The functions for examining a machine before a node starts (`dapss-tui doctor`): the checks that a start makes of its
folder, disk, files, ports and network, and its judgement of the results. Nothing here loads the native module, so that
its absence can be reported.
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
export {folderProblem, type FolderProblem} from './io/trusted-folder.ts';
export {freeBytesOf, reserveFile, roomOf} from './io/files/reserve.ts';
export {parseKeptTime, resumedTime, type KeptTime} from './topic-log/retention.ts';
export {deriveKeys} from './wire/seal.ts';

/**
Parses the JSON of `node.json`. Its checksum needs the native module.
@throws when the native module is missing
*/
export async function readNodeState(
	json: unknown,
): Promise<NodeState | {readonly problem: string; readonly newer?: string}> {
	const {stateFromJson} = await import('./node-state/node-state.ts');
	return stateFromJson(json);
}
