/**
The version of the program, as package.json says it, and of the protocol; `esbuild` puts the first one in.
*/
declare const dapssVersion: string | undefined;
export const version: string = typeof dapssVersion === 'string' ? dapssVersion : '0.2.0';
/** Versions of the protocol between nodes that this program speaks: its own and those before. */
export const spokenProtocols: readonly [number, number] = [1, 3];
export const protocolMax = spokenProtocols[1];
