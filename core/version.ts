/** The version of the program, as package.json says it; `esbuild` puts it in. */
declare const dapssVersion: string | undefined;
export const version: string = typeof dapssVersion === 'string' ? dapssVersion : '0.1.0';
