import {readFileSync} from 'node:fs';
import {expect, test} from 'vitest';
import {isNewEnough} from '../../source/node-version.mjs';

test('the check at the start takes what package.json tells npm (case 44)', () => {
	const {engines} = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {engines: {node: string}};
	expect(engines.node).toBe('^22.13.0 || >=23.4.0');
	for (const version of ['22.13.0', '22.13.1', '22.99.0', '23.4.0', '23.11.1', '24.0.0', '26.0.0', '100.0.0']) expect(isNewEnough(version), version).toBe(true);
	for (const version of ['18.20.0', '20.19.5', '21.7.3', '22.0.0', '22.12.0', '23.0.0', '23.3.0']) expect(isNewEnough(version), version).toBe(false);
});
