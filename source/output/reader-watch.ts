/**
Detects at once that the reader of standard output is gone. A write would fail, but a command that waits for messages
has nothing to write.

On Linux the kernel reports the closed reader to a process that polls the writing end, but Node polls it only for
writes. So the pipe is opened once more through /proc, for reading: that never gives data, and fails when the last
reader is gone.

A socket (of `sshd`, or of a parent process that is a Node program) cannot be opened again. An empty write fails when
the reader is gone, and the reader does not see it.

Elsewhere, and where Node offers no such handle, the next write fails.
*/
import {constants, fstatSync, openSync, writeSync} from 'node:fs';
import {Socket, type SocketConstructorOpts} from 'node:net';
import {reopensPipes} from '../../core/platform.ts';

/** Interval of the empty writes to a socket, milliseconds. */
const probeMs = 200;

type Handle = {open(fd: number): number};
type Binding = {readonly TCP: new (type: number) => Handle; readonly constants: {readonly SOCKET: number}};

/** @param fd standard output. @param onGone called once at most */
export function watchReader(fd: number, onGone: () => void): void {
	try {
		const stats = fstatSync(fd);
		if (stats.isSocket()) return probeSocket(fd, onGone);
		if (!reopensPipes() || !stats.isFIFO()) return;
		const handle = openHandle(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK));
		if (!handle) return;
		const socket = new Socket({handle, readable: true, writable: false} as unknown as SocketConstructorOpts);
		socket.on('error', () => undefined); // EBADF: this end is not open for reading.
		socket.once('close', onGone);
		socket.resume();
		socket.unref();
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENXIO') onGone(); // A named pipe without a reader.
	}
}

function probeSocket(fd: number, onGone: () => void): void {
	const nothing = new Uint8Array(0);
	const timer = setInterval(() => {
		try {
			writeSync(fd, nothing);
		} catch (error) {
			// The next write reports any other failure.
			if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return;
			clearInterval(timer);
			onGone();
		}
	}, probeMs);
	timer.unref();
}

/** Node's pipe handle refuses to read from a writing end; its TCP handle does not. */
function openHandle(fd: number): Handle | undefined {
	const {
		TCP,
		constants: {SOCKET},
	} = binding();
	const handle = new TCP(SOCKET);
	return handle.open(fd) === 0 ? handle : undefined;
}

/** Deprecated, and the only access to the handle: the user need not read the warning. */
function binding(): Binding {
	const before = process.noDeprecation;
	process.noDeprecation = true;
	try {
		return (process as unknown as {binding(name: string): Binding}).binding('tcp_wrap');
	} finally {
		process.noDeprecation = before as boolean;
	}
}
