import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {makeFolders, makeFoldersNow} from '../../core/io/make-folder.ts';

test('folders with common missing parents can be made at the same time', async () => {
	for (let round = 0; round < 50; round++) {
		const root = mkdtempSync(join(tmpdir(), 'dapss-folders-'));
		try {
			const folders = Array.from({length: 8}, (_, index) => join(root, 'a', 'b', 'c', `${index % 4}`));
			const made = await Promise.all(folders.map(folder => makeFolders(folder)));
			for (const folder of folders) expect(statSync(folder).isDirectory()).toBe(true);
			// Each call that made something returns a folder on its own path.
			for (const [index, top] of made.entries())
				if (top !== undefined) expect(folders[index]!.startsWith(top)).toBe(true);
			expect(await makeFolders(folders[0]!)).toBeUndefined();
			makeFoldersNow(join(root, 'd', 'e'));
			expect(statSync(join(root, 'd', 'e')).mode & 0o777).toBe(0o700);
		} finally {
			rmSync(root, {recursive: true});
		}
	}
});
