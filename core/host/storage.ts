/**
The disk of a node: its locked data folder, the pool of open files, and the reserve for a full disk.
*/
import type {Config} from '../config.ts';
import {descriptorsMax, expectDescriptors, sharesOf} from '../io/descriptors.ts';
import {realFiles, type Files} from '../io/file-system.ts';
import {Folder} from '../io/files/data-folder.ts';
import {NodeFiles} from '../io/files/node-files.ts';
import {Reserve} from '../io/files/reserve.ts';
import {reservingFiles} from '../io/files/reserving-files.ts';
import {timedFiles} from '../io/files/timed-files.ts';
import {FilePool} from '../io/log/file-pool.ts';
import type {AsyncStack} from '../stack.ts';
import type {NodeSlot} from './node-slot.ts';

export type Storage = {
	/** The configuration, with limits that the file descriptors of this process allow. */
	readonly config: Config;
	/** The data folder. */
	readonly path: string;
	readonly files: Files;
	readonly folder: NodeFiles;
	readonly reserve: Reserve;
};

/**
Lock the data folder, before anything in it is read.
@param onSync called with the time of each fsync, in seconds
@throws `config`, `locked`, `storage`
*/
export async function openStorage(
	configured: Config,
	slot: NodeSlot,
	resources: AsyncStack,
	onSync?: (seconds: number) => void,
): Promise<Storage> {
	const processMax = descriptorsMax();
	expectDescriptors(processMax);
	const shares = sharesOf(configured.limits, processMax);
	const config = {...configured, limits: {...configured.limits, ...shares}};
	const {path} = resources.use(await Folder.open(config.data));
	const warn = (text: string): void => slot.warn(text);
	const {openFiles, connections} = configured.limits;
	if (shares.openFiles < openFiles || shares.connections < connections)
		warn(
			`This process may open ${processMax} files (ulimit -n): ` +
				`${shares.openFiles} are for logs (limits.open_files ${openFiles}) ` +
				`and ${shares.connections} for connections (limits.connections ${connections})`,
		);
	const files = new FilePool(
		reservingFiles(onSync ? timedFiles(realFiles, onSync) : realFiles, () => reserve),
		{
			openMax: shares.openFiles,
			onShort() {
				slot.bound('open-files');
				warn(
					'No more files can be opened: operations that need a file wait. ' +
						`Let the process open more than ${processMax} (ulimit -n), or lower limits.connections`,
				);
			},
		},
	);
	const folder = new NodeFiles(files, path, warn);
	const reserve: Reserve = new Reserve({files, folder: path, report: warn});
	await reserve.maintain();
	return {config, path, files, folder, reserve};
}
