/**
Errors that a caller can act on. Each has a stable `code` and, where another error led to it, a `cause`; the command
line turns codes into exit codes (`exitCodes`). Input of an unauthenticated peer never throws: it yields a verdict with
a reason, and a counter.
*/

/** Why a call failed. New versions may add codes, so a `switch` over them needs a `default`. */
export type ErrorCode =
	/** An argument has no meaning: a topic name that is not one, a flag that does not exist. Correct the call. */
	| 'usage'
	/** A setting is wrong, or the secret file is missing or readable by others. The message names each setting. */
	| 'config'
	/** Anything else that went wrong. */
	| 'failure'
	/** A check of the cluster found problems. Thrown by the command line only. */
	| 'unhealthy'
	/** The node cannot reach a majority of the voters, so nothing can be agreed. Try again after the partition. */
	| 'no-quorum'
	/** The cluster has no leader at this moment: an election is running. Try again. */
	| 'no-leader'
	/** The other side does not have the same cluster secret, or its settings of authentication differ. */
	| 'not-authenticated'
	/** The identity of the caller does not have the role that the operation needs. The message says how to get it. */
	| 'not-authorized'
	/** No node answered at the addresses, or none was found. */
	| 'unreachable'
	/** A benchmark missed its bound. Thrown by the command line only. */
	| 'missed-bound'
	/** The time for waiting (`--wait`) is over. Thrown by the command line only. */
	| 'wait-over'
	/** A signal or the caller ended the work. */
	| 'interrupted'
	/** The disk failed, is full, or holds data that is damaged or of a newer version. */
	| 'storage'
	/** Another process uses the data folder. */
	| 'locked'
	/** Another process listens on the port. */
	| 'port-in-use'
	/** The node or the cluster understood the request and rejected it. The message gives the reason. */
	| 'refused'
	/** The answer did not come in time. Whether the request took effect is unknown. */
	| 'timeout'
	/** The broker is closed, or was closed during the call. */
	| 'closed'
	/** A message does not fit into a frame (`limits.frameBytes`). */
	| 'too-large';

/** Numbers for programs, such as how many messages are stored. */
export type ErrorDetails = Readonly<Record<string, number>>;

/** Every error that this package throws on purpose. `cause` is the error that led to it, if there was one. */
export class DapssError extends Error {
	readonly code: ErrorCode;
	readonly details: ErrorDetails;

	constructor(code: ErrorCode, message: string, options: ErrorOptions & {readonly details?: ErrorDetails} = {}) {
		super(message, options);
		this.name = 'DapssError';
		this.code = code;
		this.details = options.details ?? {};
	}
}

/**
No node of the cluster runs on this machine. `searched` says how the network was searched without success; it is empty
when the network was not searched.
*/
export class NoneFoundError extends DapssError {
	readonly searched: string;

	constructor(cluster: string, searched: string) {
		super(
			'unreachable',
			`No node of cluster ${cluster} runs here${searched === '' ? '' : `, and ${searched}`}: ` +
				'start one, or name one by its address',
		);
		this.name = 'NoneFoundError';
		this.searched = searched;
	}
}

/** The stored bytes differ from the bytes that were written: the disk did not fail, the data decayed. */
export class DamagedError extends DapssError {
	constructor(message: string, options?: ErrorOptions) {
		super('storage', message, options);
		this.name = 'DamagedError';
	}
}

/** A newer version wrote the data. It is intact, so it is neither repaired nor set aside. */
export class NewerVersionError extends DapssError {
	/** @param found `format 3, this program reads up to 2` */
	constructor(what: string, found: string) {
		super(
			'storage',
			`${what} was written by a newer version of dapss-tui (${found}): ` +
				'start that version, or use another --data. Nothing was changed',
		);
		this.name = 'NewerVersionError';
	}
}

/**
The contract of the command line: 0 ok · 1 failure · 2 usage · 10… as below · 130 interrupted, 129 and 143 by signal.
*/
export const exitCodes: Readonly<Record<ErrorCode, number>> = {
	usage: 2,
	config: 2,
	failure: 1,
	storage: 1,
	locked: 1,
	'port-in-use': 1,
	refused: 1,
	timeout: 1,
	closed: 1,
	'too-large': 2,
	unhealthy: 10,
	'no-quorum': 11,
	'no-leader': 12,
	'not-authenticated': 13,
	'not-authorized': 13,
	unreachable: 14,
	'missed-bound': 15,
	'wait-over': 16,
	interrupted: 130,
};

/**
Whether a caught value is an error of this package; with `code`, whether it has that code.

```ts
if (isDapssError(error, 'no-quorum')) await tryAgainLater();
```
*/
export function isDapssError<Code extends ErrorCode>(
	error: unknown,
	code?: Code,
): error is DapssError & {readonly code: Code} {
	return error instanceof DapssError && (code === undefined || error.code === code);
}

/** The message of a caught value that may not be an `Error`. */
export function errorMessage(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
