/**
`check --wait-healthy`: watches a cluster until it is healthy, and prints what is missing. It reconnects to an
unreachable node until the time of `--wait` is over.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import type {Broker} from '../../core/broker.ts';
import {DapssError, type ErrorCode} from '../../core/errors.ts';
import {printable} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {verdictOf, type Verdict} from '../../core/observe/verdict.ts';
import {interruptedBy} from '../process/signals.ts';
import {Wait} from '../process/wait.ts';

export type Checked = Verdict & {readonly snapshot: Snapshot};
type Report = (text: string) => void;

const waitDefault = '1m';
const retryMs = 500;
/** Errors that may be temporary: the node starts or restarts. */
const passing: ReadonlySet<ErrorCode> = new Set(['unreachable', 'refused', 'timeout', 'closed', 'failure']);

/**
@param confirm asks a quorum through this node
@throws `wait-over`; the error of the last attempt when no node was reached in time
*/
export async function waitHealthy(
	context: Context,
	confirm: (broker: Broker) => Promise<number | ErrorCode>,
): Promise<Checked> {
	using wait = new Wait(context, waitDefault);
	const {signal} = wait;
	let lastKind = '';
	const report: Report = text => {
		// Printed again only when the kind changes: ages and counts change all the time.
		const kind = text.replaceAll(/\d+(?:\.\d+)?/g, '#');
		if (kind !== lastKind) context.terminal.say(`waiting: ${printable(text)}`);
		lastKind = kind;
	};

	let why = '';
	let failure: DapssError | undefined = new DapssError('unreachable', 'No node was reached');
	while (!signal.aborted) {
		try {
			return await withNode({...context, signal}, broker => {
				failure = undefined;
				return becomesHealthy(broker, confirm, text => {
					why = text;
					report(text);
				});
			});
		} catch (error) {
			if (signal.aborted) break;
			if (!(error instanceof DapssError) || !isPassing(error)) throw error;
			failure = error;
			report(error.message);
		}

		await sleep(retryMs, undefined, {signal}).catch(() => undefined);
	}

	if (signal.reason === 'over' && failure)
		throw new DapssError(failure.code, `The time of --wait is over: ${failure.message}`, {cause: failure});
	throw interruptedBy(signal, why);
}

/** The first start of a node makes the secret, so that a missing one may come too. */
function isPassing({code, cause}: DapssError): boolean {
	return passing.has(code) || (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/**
Resolves with the first healthy snapshot that a quorum confirms.
@throws `closed` when the connection is lost before
*/
async function becomesHealthy(
	broker: Broker,
	confirm: (broker: Broker) => Promise<number | ErrorCode>,
	report: Report,
): Promise<Checked> {
	let latest: Snapshot | undefined;
	let changed = Promise.withResolvers<void>();
	using _watching = broker.watch(snapshot => {
		latest = snapshot;
		changed.resolve();
	});
	const lost = broker.closed.then(reason => {
		throw new DapssError('closed', `The connection to the node is lost: ${reason}`);
	});
	lost.catch(() => undefined);
	for (;;) {
		await Promise.race([changed.promise, lost]);
		changed = Promise.withResolvers();
		const seen = latest!;
		let verdict = verdictOf(seen, seen.raft.commit);
		if (verdict.exitCode === 0) {
			const confirmed = await confirm(broker);
			// By now the node has applied what was agreed before. An earlier snapshot may show a node that catches up.
			const snapshot = await broker.snapshot();
			verdict = verdictOf(snapshot, confirmed);
			if (verdict.exitCode === 0) return {...verdict, snapshot};
		}

		report(`${verdict.verdict}: ${verdict.findings.find(({code}) => code !== 'warning')?.problem ?? ''}`);
	}
}
