#!/usr/bin/env node
/**
The entry point of the command `dapss-tui`. An unsupported Node starts the Node of the installation, or says what is
missing.
*/
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {handOver, isNewEnough, neededNode, ownNode} from './node-version.mjs';

// Node would open its debugger on this signal; see `entry.ts`.
process.on('SIGUSR1', () => undefined);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cli = join(root, 'dist', 'cli.js');

if (!existsSync(cli)) {
	process.stderr.write(`dapss-tui: not built yet: run npm run build in ${root}\n`);
	process.exit(1);
}

if (isNewEnough(process.versions.node)) {
	await import(pathToFileURL(cli).href);
} else {
	const node = ownNode(root);
	if (!node) {
		process.stderr.write(
			`dapss-tui: needs ${neededNode}, this is ${process.versions.node}: ` +
				'install one from https://nodejs.org, or npm i node@24 next to dapss-tui\n',
		);
		process.exit(1);
	}

	handOver(node, [cli, ...process.argv.slice(2)]);
}
