/**
Which Node runs dapss-tui: `node:sqlite`, whose lock guards the data folder, needs no flag from 22.13 on.
*/
import {existsSync} from 'node:fs';
import {join} from 'node:path';

export function isNewEnough(version) {
	const [major, minor] = version.split('.').map(Number);
	return major > 22 || (major === 22 && minor >= 13);
}

/** The Node that npm installed with this project; `undefined` when it did not. */
export function ownNode(root) {
	return [join(root, 'node_modules/node/bin/node'), join(root, '../node/bin/node')].find(path => existsSync(path));
}
