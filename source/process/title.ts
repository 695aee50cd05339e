/**
The title of this process in `ps`: its arguments, without messages, which may be private. A node appends its name, port
and cluster. No argument is a secret: secrets are in files. The system keeps as many bytes as the command line had.
*/
import process from 'node:process';
import {shortId} from '../output/units.ts';

let words = 'dapss-tui';

/** @param hidden arguments that are replaced by `...` */
export function titleCommand(argv: readonly string[], hidden: readonly string[]): void {
	// Printable characters only: a terminal shows them.
	words = [
		'dapss-tui',
		...argv.map(word => (hidden.includes(word) ? '...' : word.replaceAll(/[^\x20-\x7E]/g, '?'))),
	].join(' ');
	process.title = words;
}

/** @param name empty before the name is agreed */
export function titleNode({
	id,
	name,
	port,
	cluster,
}: {
	readonly id: string;
	readonly name: string;
	readonly port: number;
	readonly cluster: string;
}): void {
	// Other programs print the title, so it has no characters from the network.
	process.title =
		`${words} (${name.replaceAll(/[^\w.-]/g, '?') || shortId(id)} port ${port} cluster ` +
		`${cluster.replaceAll(/[^\w.-]/g, '?')})`;
}
