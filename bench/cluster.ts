/**
The cluster of benchmarks and end-to-end tests: the one that `dapss-tui demo` starts.
*/
export * from '../source/nodes/cluster.ts';
