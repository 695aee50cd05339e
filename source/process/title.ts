/**
What `ps` shows of this process, so that nodes and commands can be told apart: its arguments, but never a message, which
may be anything, and of a node its name, port and cluster behind them. No argument is a secret: those lie in files. The
system keeps as many bytes as the command line had.
*/
import process from 'node:process';
import {shortId} from '../output/units.ts';

let words = 'dapss-tui';

/** @param hidden words that are not to be shown */
export function titleCommand(argv: readonly string[], hidden: readonly string[]): void {
	// Printable characters only: a terminal shows them.
	words = [
		'dapss-tui',
		...argv.map(word => (hidden.includes(word) ? '...' : word.replaceAll(/[^\x20-\x7E]/g, '?'))),
	].join(' ');
	process.title = words;
}

/** @param name empty before it is agreed */
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
	// What other programs print must not come from the network.
	process.title = `${words} (${name.replaceAll(/[^\w.-]/g, '?') || shortId(id)} port ${port} cluster ${cluster.replaceAll(/[^\w.-]/g, '?')})`;
}
