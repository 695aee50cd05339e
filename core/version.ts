/** The version of the program, set by `esbuild` from package.json, and of the protocol. */
declare const dapssVersion: string | undefined;
export const version: string = typeof dapssVersion === 'string' ? dapssVersion : '0.2.0';
/** Oldest and newest version of the protocol between nodes that this program supports. */
export const spokenProtocols: readonly [number, number] = [1, 4];
export const protocolMax = spokenProtocols[1];
