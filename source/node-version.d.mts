/** Types of `node-version.mjs`, which runs before anything is built. */
export const neededNode: string;
export function isNewEnough(version: string): boolean;
export function handOver(node: string, args: readonly string[]): void;
export function ownNode(root: string): string | undefined;
