/**
Stops a program that imports the library in an older Node, with a clear message, before the library fails on a feature
that this Node does not have.
*/
import process from 'node:process';
import {isNewEnough, neededNode} from './node-version.mjs';

if (!isNewEnough(process.versions.node))
	throw new Error(
		`dapss-tui needs ${neededNode}, this is ${process.versions.node}: ` +
			'run the program with a newer one, or npm i node@24 and run it with node_modules/node/bin/node',
	);
