import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import process from 'node:process';
import {expect, test} from 'vitest';
import {apiPage} from '../../support/api-page.ts';

const path = join(import.meta.dirname, '../../../docs/api.md');

test('docs/api.md has the docstrings and declarations of all exports (UPDATE=1 writes it)', () => {
	const page = apiPage();
	if (process.env['UPDATE'] === '1') writeFileSync(path, page);
	expect(readFileSync(path, 'utf8')).toBe(page);
});
