/**
A small HTTP server for pages that are made on request, such as metrics. Many or slow readers cost a bounded number of
connections, and of time: a request and its answer have deadlines, and a body is never read.
*/
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import {DapssError} from '../../errors.ts';
import {isLoopback} from '../../address.ts';

export type Page = {readonly status: number; readonly type: string; readonly body: string};
export type PagesOptions = {
	readonly host: string;
	readonly port: number;
	/** Pages by path. They never reject. */
	readonly pages: Readonly<Record<string, () => Promise<Page>>>;
	/** A connection beyond the limit was closed. */
	readonly onRefused: () => void;
};
export type Pages = AsyncDisposable & {readonly port: number};

/** Connections at once. */
export const connectionsMax = 32;
const headersMs = 2000;
const requestMs = 5000;
/** From the request until the last byte of the answer was taken. */
const answerMs = 10_000;
const headerBytesMax = 8192;

/** @throws `config` when the address cannot be used */
export async function servePages({host, port, pages, onRefused}: PagesOptions): Promise<Pages> {
	const server = createServer({
		maxHeaderSize: headerBytesMax,
		headersTimeout: headersMs,
		requestTimeout: requestMs,
		keepAliveTimeout: requestMs,
		connectionsCheckingInterval: 500,
	});
	server.maxConnections = connectionsMax;
	server.setTimeout(answerMs);
	server.on('drop', onRefused);
	server.on('request', (request, response) => void answer(request, response, pages, isLoopback(host)));
	server.on('clientError', (_, socket) => socket.destroy());
	await listen(server, host, port);
	server.unref();
	return {
		port: (server.address() as {readonly port: number}).port,
		async [Symbol.asyncDispose]() {
			const closed = new Promise<void>(resolve => {
				server.close(() => resolve());
			});
			server.closeAllConnections();
			await closed;
		},
	};
}

async function answer(
	request: IncomingMessage,
	response: ServerResponse,
	pages: PagesOptions['pages'],
	isLocal: boolean,
): Promise<void> {
	const deadline = setTimeout(() => request.socket.destroy(), answerMs);
	response.on('close', () => clearTimeout(deadline));
	response.on('error', () => undefined);
	const {method = '', url = ''} = request;
	const path = url.split('?', 1)[0]!;
	const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
	const {status, type, body} =
		method !== 'GET' && method !== 'HEAD'
			? plain(405, 'Only GET and HEAD are answered')
			: isLocal && !isOwnName(request.headers.host)
				? plain(403, 'The name of the host is not one of this machine')
				: page === undefined
					? plain(404, `There is no such page; there are ${Object.keys(pages).join(', ')}`)
					: await page();
	const bytes = Buffer.from(body);
	response.writeHead(status, {
		'content-type': type,
		'content-length': bytes.length,
		'cache-control': 'no-store',
		'x-content-type-options': 'nosniff',
		// A body that was announced is not read, so the connection cannot be used again.
		...(hasBody(request) && {connection: 'close'}),
	});
	response.end(method === 'HEAD' ? undefined : bytes);
}

/** A page of a browser that resolves its own name to this machine must not read what is for this machine only. */
function isOwnName(host = ''): boolean {
	const name = host.replace(/:\d+$/u, '').replace(/^\[(?<v6>.*)\]$/u, '$<v6>');
	return isLoopback(name);
}

function hasBody({headers}: IncomingMessage): boolean {
	return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

function plain(status: number, text: string): Page {
	return {status, type: 'text/plain; charset=utf-8', body: `${text}\n`};
}

async function listen(server: Server, host: string, port: number): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		server.once('error', (error: NodeJS.ErrnoException) =>
			reject(
				new DapssError(
					'config',
					`Expected an address for metrics that is free (metrics.host ${host}, metrics.port ${port}), got ` +
						`${error.code ?? error.message}: choose another port with --metrics-port`,
					{cause: error},
				),
			),
		);
		server.listen(port, host, () => resolve());
	});
}
