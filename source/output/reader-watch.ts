/**
Notice at once that nobody reads a pipe any more. A write would tell, but a command that waits for messages has nothing
to write. The kernel tells whoever polls the writing end; Node polls it only to write. So the pipe is opened once more,
and read from: that never gives data, and fails when the last reader is gone.

That is for Linux only, where a pipe can be opened once more under /proc. Elsewhere, and where Node gives no such
handle, the next write tells.

A socket (of `sshd`, or of a parent that is a program for Node) cannot be opened again. A write of nothing tells, and
the other end does not see it.
*/
import {constants, fstatSync, openSync, writeSync} from 'node:fs';
import {Socket, type SocketConstructorOpts} from 'node:net';
import {reopensPipes} from '../../core/platform.ts';

/** How often a socket is asked. */
const askMs = 200;

type Handle = {open(fd: number): number};
type Binding = {readonly TCP: new (type: number) => Handle; readonly constants: {readonly SOCKET: number}};

/** @param fd standard output. @param onGone called once at most */
export function watchReader(fd: number, onGone: () => void): void {
	try {
		const stats = fstatSync(fd);
		if (stats.isSocket()) return askSocket(fd, onGone);
		if (!reopensPipes() || !stats.isFIFO()) return;
		const handle = openHandle(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK));
		if (!handle) return;
		const socket = new Socket({handle, readable: true, writable: false} as unknown as SocketConstructorOpts);
		socket.on('error', () => undefined); // EBADF: it is no end to read from.
		socket.once('close', onGone);
		socket.resume();
		socket.unref();
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENXIO') onGone(); // A named pipe without a reader.
	}
}

function askSocket(fd: number, onGone: () => void): void {
	const nothing = new Uint8Array(0);
	const timer = setInterval(() => {
		try {
			writeSync(fd, nothing);
		} catch (error) {
			// What fails otherwise is told by the next write.
			if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return;
			clearInterval(timer);
			onGone();
		}
	}, askMs);
	timer.unref();
}

/** The handle that Node has for pipes refuses to read from a writing end; the one for sockets does not. */
function openHandle(fd: number): Handle | undefined {
	const {
		TCP,
		constants: {SOCKET},
	} = binding();
	const handle = new TCP(SOCKET);
	return handle.open(fd) === 0 ? handle : undefined;
}

/** Deprecated, and the only way to it: that is nothing for the user to read. */
function binding(): Binding {
	const before = process.noDeprecation;
	process.noDeprecation = true;
	try {
		return (process as unknown as {binding(name: string): Binding}).binding('tcp_wrap');
	} finally {
		process.noDeprecation = before as boolean;
	}
}
