/**
The node in a worker thread, so that drawing never delays a heartbeat. This file has both ends: the code of the thread,
and `openWorkerNode` for the console. They use the remote protocol over a MessagePort.
*/
import {fileURLToPath} from 'node:url';
import {isMainThread, MessageChannel, parentPort, Worker, workerData, type MessagePort} from 'node:worker_threads';
import {
	DapssError,
	openBroker,
	portPipe,
	RemoteBroker,
	serveOver,
	type Broker,
	type Config,
	type ErrorCode,
} from '../../core/index.ts';

type Started =
	| {readonly type: 'started'; readonly id: string; readonly port: number}
	| {readonly type: 'failed'; readonly code: ErrorCode; readonly message: string};

const stopMs = 5000;
/** Close the port if it outlives its thread. */
const closeMs = 1000;

/**
Start a node in its own thread. Disposing of the broker stops the node.
@throws the errors of `openBroker`
*/
export async function openWorkerNode(
	config: Config,
	{isReadonly}: {readonly isReadonly: boolean},
): Promise<Broker & {readonly id: string; readonly port: number}> {
	const {port1, port2} = new MessageChannel();
	const worker = new Worker(fileURLToPath(new URL('worker.js', import.meta.url)), {
		workerData: {config, port: port2, isReadonly},
		transferList: [port2],
		stdout: true,
		stderr: true,
	});
	const started = await new Promise<Started>((resolve, reject) => {
		worker.once('message', resolve);
		worker.once('error', reject);
	});
	if (started.type === 'failed') throw new DapssError(started.code, started.message);
	const exited = new Promise<void>(resolve => {
		worker.once('exit', () => {
			// The last answers of the thread arrive before the end of the port, so closing this end now would drop
			// them.
			setTimeout(() => port1.close(), closeMs).unref();
			resolve();
		});
	});
	worker.on('error', () => undefined); // The exit of the thread decides; the port closes with it.
	const remote = new RemoteBroker(portPipe(port1));
	return Object.assign(remote, {
		id: started.id,
		port: started.port,
		async [Symbol.asyncDispose]() {
			worker.postMessage('stop');
			const timer = setTimeout(() => void worker.terminate(), stopMs);
			await exited;
			clearTimeout(timer);
		},
	});
}

async function run({
	config,
	port,
	isReadonly,
}: {
	readonly config: Config;
	readonly port: MessagePort;
	readonly isReadonly: boolean;
}): Promise<void> {
	const tell = (message: Started): void => parentPort!.postMessage(message);
	try {
		const broker = await openBroker(config);
		serveOver(broker, portPipe(port), {isReadonly});
		parentPort!.once('message', () => void broker[Symbol.asyncDispose]());
		void broker.closed.then(() => {
			port.close();
			parentPort!.close();
		});
		tell({type: 'started', id: broker.id, port: broker.port});
	} catch (error) {
		tell({
			type: 'failed',
			code: error instanceof DapssError ? error.code : 'failure',
			message: error instanceof Error ? error.message : String(error),
		});
		port.close();
		parentPort!.close();
	}
}

if (!isMainThread && (workerData as {readonly port?: unknown} | null)?.port)
	await run(workerData as Parameters<typeof run>[0]);
