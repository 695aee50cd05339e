/**
Sets damaged Raft files and the identity of a node aside, unchanged, in a folder `quarantine-1`, `quarantine-2`, …
beside them. Nothing is deleted, so that an operator can inspect or restore the files. The number of folders is bounded,
so that a failing disk does not fill up.

The files of a node that left its cluster are moved in the same way, into one folder `left`. They are no longer needed,
so each move replaces the former one.

A crash can interrupt a move of several files at any point. The old `node.json` is copied first. Then the new one
replaces it and names the folder, which is the commit point. Then the other files are moved; the next start completes
that if necessary.
*/
import {rm} from 'node:fs/promises';
import {join} from 'node:path';
import {DapssError} from '../../errors.ts';
import {readFully, replaceFile, type Files} from '../file-system.ts';

const foldersMax = 8;

/**
Makes the next folder, and copies `stateFile` into it if it exists. Resolves with the name of the folder.
@throws `storage` when there are too many
*/
export async function reserveQuarantine(files: Files, folder: string, stateFile: string): Promise<string> {
	const names = await files.list(folder);
	for (let number = 1; number <= foldersMax; number++) {
		const name = `quarantine-${number}`;
		if (
			names.includes(name) &&
			(await files.list(join(folder, name))).some(file => file !== stateFile && file !== `${stateFile}.new`)
		)
			continue;
		await files.makeFolder(join(folder, name));
		if (names.includes(stateFile)) await copy(files, join(folder, stateFile), join(folder, name), stateFile);
		return name;
	}

	throw new DapssError(
		'storage',
		`Expected at most ${foldersMax} quarantines in ${folder}, all are in use: this disk damages its files. ` +
			'Put the data folder on another disk, or move the quarantine folders away',
	);
}

/** The same for a node that left: deletes the former content of the folder. */
export async function reserveLeft(files: Files, folder: string, stateFile: string): Promise<string> {
	const name = 'left';
	await rm(join(folder, name), {recursive: true, force: true});
	await files.makeFolder(join(folder, name));
	await copy(files, join(folder, stateFile), join(folder, name), stateFile);
	return name;
}

/** Moves Raft's log and snapshots into the folder, as far as they are not there yet. */
export async function moveAside(files: Files, folder: string, name: string): Promise<void> {
	const there = join(folder, name);
	await files.makeFolder(there);
	const moved = new Set(await files.list(there));
	const names = (await files.list(folder)).filter(
		file => (file === 'raft' || file.startsWith('snapshot-')) && !moved.has(file),
	);
	for (const file of names) {
		await files.rename(join(folder, file), join(there, file));
	}

	await files.syncFolder(there);
	await files.syncFolder(folder);
}

async function copy(files: Files, from: string, to: string, name: string): Promise<void> {
	const file = await files.open(from, 'read');
	try {
		await replaceFile(files, to, name, await readFully(file, Buffer.alloc(file.size), 0));
	} finally {
		await file.close();
	}
}
