/**
The door for the console and the command line: the library, and what a node in a worker thread, the recovery of a
stopped node, and recordings need.
*/
export * from './library.ts';
export {serveOver} from './open.ts';
export {openSurvivor, type SurvivorReport, type Survivor} from './recover.ts';
export {RemoteBroker} from './remote/client.ts';
export {portPipe} from './remote/pipe.ts';
export {snapshotOf} from './remote/received.ts';
