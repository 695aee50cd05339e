/**
Whoever imports the library in an older Node is told so, before the rest of it fails on what that Node has not.
*/
import process from 'node:process';
import {isNewEnough, neededNode} from './node-version.mjs';

if (!isNewEnough(process.versions.node))
	throw new Error(
		`dapss-tui needs ${neededNode}, this is ${process.versions.node}: run the program with a newer one, or npm i node@24 and run it with node_modules/node/bin/node`,
	);
