/**
What `ps` shows of this process, so that nodes and commands can be told apart. Arguments are not shown: a message may be among them. The system
keeps as many bytes as the command line had.
*/
import process from 'node:process';
import {shortId} from './units.ts';

export function titleCommand(name: string): void {
	process.title = name === '' ? 'dapss-tui' : `dapss-tui ${name}`;
}

/** @param name empty before it is agreed */
export function titleNode({id, name, port, cluster}: {readonly id: string; readonly name: string; readonly port: number; readonly cluster: string}): void {
	// Printable characters only: what other programs print must not come from the network.
	process.title = `dapss-tui ${name.replaceAll(/[^\w.-]/g, '?') || shortId(id)} port ${port} cluster ${cluster}`;
}
