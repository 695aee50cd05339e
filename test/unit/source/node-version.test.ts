import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {expect, test} from 'vitest';
import {isNewEnough} from '../../../source/node-version.mjs';

test('the check at the start agrees with package.json', () => {
	const {engines} = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
		engines: {node: string};
	};
	expect(engines.node).toBe('^22.13.0 || >=23.4.0');
	for (const version of ['22.13.0', '22.13.1', '22.99.0', '23.4.0', '23.11.1', '24.0.0', '26.0.0', '100.0.0'])
		expect(isNewEnough(version), version).toBe(true);
	for (const version of ['18.20.0', '20.19.5', '21.7.3', '22.0.0', '22.12.0', '23.0.0', '23.3.0'])
		expect(isNewEnough(version), version).toBe(false);
});

test('an import of the library in an older Node fails with the needed version, without code of the bundle', () => {
	const library = new URL('../../../source/library.mjs', import.meta.url).href;
	const script =
		"Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.19.5'}}); " +
		`await import(${JSON.stringify(library)});`;
	const {status, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', script], {encoding: 'utf8'});
	expect(status).toBe(1);
	expect(stderr).toContain(
		'Error: dapss-tui needs Node 22.13 or newer (of Node 23: 23.4), this is 20.19.5: ' +
			'run the program with a newer one',
	);
	expect(stderr).not.toContain('dist/');
	expect(stderr.length).toBeLessThan(2000);
});
