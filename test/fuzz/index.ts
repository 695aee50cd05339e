/** The targets of the fuzzer. */
import {argvTarget, configTarget} from './targets/command-line.ts';
import {beaconTarget, datagramTarget} from './targets/datagrams.ts';
import {frameTarget, packetTarget} from './targets/frames.ts';
import {clientTarget, listenerTarget, memberTarget} from './targets/nodes.ts';
import {flippedBitTarget, recordTarget, storedLogTarget} from './targets/storage.ts';
import {textTarget, viewTarget} from './targets/rendering.ts';
import {requestTarget} from './targets/requests.ts';
import type {Target} from './target.ts';

export const targets: readonly Target[] = [
	frameTarget,
	packetTarget,
	listenerTarget,
	clientTarget,
	memberTarget,
	beaconTarget,
	datagramTarget,
	requestTarget,
	configTarget,
	argvTarget,
	recordTarget,
	storedLogTarget,
	flippedBitTarget,
	textTarget,
	viewTarget,
];
