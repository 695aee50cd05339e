/** What a start writes to the data folder before the node sends anything. */
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {defaults} from '../../core/config.ts';
import {NodeSlot} from '../../core/host/node-slot.ts';
import {recoverState} from '../../core/host/recovered-state.ts';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import {Reserve} from '../../core/io/files/reserve.ts';

let path: string;
beforeEach(() => {
	path = mkdtempSync(join(tmpdir(), 'dapss-recovered-'));
});
afterEach(() => rmSync(path, {recursive: true, force: true}));

/** A start on a data folder, whose files are used as given by `files`. */
async function start(files: Files = realFiles, folder = path) {
	const reserve = new Reserve({files, folder, report: () => undefined});
	const config = {...defaults, data: folder, secret: Buffer.alloc(32)};
	const storage = {
		config,
		path: folder,
		files,
		folder: new NodeFiles(files, folder, () => undefined),
		reserve,
	};
	const recovered = await recoverState(storage, '127.0.0.1:5000', new NodeSlot());
	await recovered.raftStore[Symbol.asyncDispose]();
	return recovered;
}

const stored = (): {readonly incarnation: number; readonly lamport: number} =>
	JSON.parse(readFileSync(join(path, 'node.json'), 'utf8')) as ReturnType<typeof stored>;

test('each start has a higher incarnation than all before, on disk before the node runs', async () => {
	for (const incarnation of [1, 2, 3]) {
		expect((await start()).incarnation).toBe(incarnation);
		expect(stored().incarnation).toBe(incarnation);
	}
});

test('a start waits until its incarnation and the ceiling of its Lamport times are synced', async () => {
	const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	const files: Files = {
		...realFiles,
		async open(name, mode) {
			const file = await realFiles.open(name, mode);
			const isState = name.includes('node.json');
			return {
				size: file.size,
				read: (buffer, position) => file.read(buffer, position),
				write: (buffers, position) => file.write(buffers, position),
				truncate: size => file.truncate(size),
				close: () => file.close(),
				async datasync() {
					if (isState) {
						reached.resolve();
						await released.promise;
					}

					return file.datasync();
				},
			};
		},
	};
	let hasStarted = false;
	const starting = start(files).then(({lamport}) => {
		hasStarted = true;
		return lamport;
	});
	await reached.promise;
	// Whole starts of other nodes take longer than what is left of this one.
	for (const name of ['one', 'two', 'three']) {
		mkdirSync(join(path, name));
		await start(realFiles, join(path, name));
	}

	expect(hasStarted).toBe(false);
	released.resolve();
	const lamport = await starting;
	expect(lamport.isPersisted).toBe(true);
	expect(stored()).toMatchObject({incarnation: 1, lamport: lamport.ceiling});
});
