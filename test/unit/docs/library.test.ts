/**
docs/library.md names everything that the library exports, with each error code. (Its programs run in
test/e2e/package.test.ts.)
*/
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {exitCodes} from '../../../core/errors.ts';
import * as library from '../../../core/library.ts';
import {root} from '../../support/imports.ts';

const page = readFileSync(join(root, 'docs/library.md'), 'utf8');
const cells = page
	.split('\n')
	.filter(line => line.startsWith('| `'))
	.map(line => line.slice(0, line.indexOf(' |', 2)));
const firstNames = new Set(cells.flatMap(cell => [...cell.matchAll(/`([\w-]+)/gu)].map(match => match[1]!)));

test('every export has its row', () => {
	expect(Object.keys(library).filter(name => !firstNames.has(name))).toEqual([]);
});

test('every error code has its row', () => {
	expect(Object.keys(exitCodes).filter(code => !firstNames.has(code))).toEqual([]);
});
