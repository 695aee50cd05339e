/**
Whether other users of the machine can change what is in a folder: then they choose which files a program finds there,
and where its files end up. Symbolic links are followed, if they belong to this user or root.

What is safe is accepted: folders of root, folders that everybody may read, a sticky parent such as `/tmp`, and folders
that a group may write if the group is this user's own. In a user namespace, folders of users outside of it belong to
`nobody`; they are accepted as parents.
*/
import {lstatSync, realpathSync, statSync, type Stats} from 'node:fs';
import {dirname} from 'node:path';
import {advice, ownerIds, type OwnerIds} from '../platform.ts';

export type FolderProblem = {
	/** `not-yours`: of another user. `open`: others may write there. `no-folder`: something else is there. */
	readonly reason: 'not-yours' | 'open' | 'no-folder';
	/** Continues a sentence that begins with "Expected FOLDER". */
	readonly problem: string;
	readonly remedy: string;
};

const sticky = 0o1000;
/** The owner that Linux reports for users outside of a user namespace. */
const unmapped = 65_534;

/**
Why a folder is not safe from other users; `undefined` when it is, when it does not exist yet, or when the platform
reports no owners.
@param path absolute
@throws the error of the system, when the folder cannot be examined
*/
export function folderProblem(path: string, ids = ownerIds()): FolderProblem | undefined {
	if (!ids) return undefined;
	const link = lstatSync(path, {throwIfNoEntry: false});
	if (!link) return parentProblem(path, ids);
	if (link.isSymbolicLink() && !isOwn(link, ids))
		return {
			reason: 'not-yours',
			problem: `to be yours (user ${ids.uid}), it is a symbolic link of user ${link.uid}`,
			remedy: advice.remove(path),
		};
	const stats = statSync(path, {throwIfNoEntry: false});
	if (!stats?.isDirectory())
		return {reason: 'no-folder', problem: 'to be a folder, it is none', remedy: advice.remove(path)};
	if (!isOwn(stats, ids))
		return {
			reason: 'not-yours',
			problem: `to be yours (user ${ids.uid}), it belongs to user ${stats.uid}`,
			remedy: advice.takeFolder(path, ids.uid),
		};
	if (isOpen(stats, ids)) return openProblem(path, stats);
	return parentProblem(realpathSync(path), ids);
}

/** Whoever may write to a parent may put another folder in its place, unless the parent is sticky. */
function parentProblem(path: string, ids: OwnerIds): FolderProblem | undefined {
	for (let child = path, parent = dirname(path); parent !== child; child = parent, parent = dirname(parent)) {
		const stats = statSync(parent, {throwIfNoEntry: false});
		if (!stats) continue; // It is made with the folder.
		if (!isOwn(stats, ids) && stats.uid !== unmapped)
			return {
				reason: 'not-yours',
				problem: `to be in folders of yours or of root, ${parent} belongs to user ${stats.uid}`,
				remedy: `Choose a place in a folder of yours; or ${advice.takeFolder(parent, ids.uid)}`,
			};
		if (isOpen(stats, ids) && (stats.mode & sticky) === 0) return openProblem(parent, stats);
	}

	return undefined;
}

function openProblem(path: string, {mode}: Stats): FolderProblem {
	return {
		reason: 'open',
		problem: `to be closed to changes by others, the mode of ${path} is 0${(mode & 0o7777).toString(8)}`,
		remedy: advice.closeToWrites(path),
	};
}

function isOwn({uid}: Stats, ids: OwnerIds): boolean {
	return uid === ids.uid || uid === 0;
}

function isOpen({mode, gid}: Stats, ids: OwnerIds): boolean {
	return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== ids.ownGid && gid !== 0);
}
