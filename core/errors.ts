/**
Errors that a caller can act on. Each has a stable `code`; the command line turns codes into exit codes (`exitCodes`).
What a stranger sends is never an exception: it is a verdict with a reason, and a counter.
*/
export type ErrorCode =
	| 'usage'
	| 'config'
	| 'failure'
	| 'unhealthy'
	| 'no-quorum'
	| 'no-leader'
	| 'not-authenticated'
	| 'unreachable'
	| 'missed-bound'
	| 'wait-over'
	| 'interrupted'
	| 'storage'
	| 'locked'
	| 'port-in-use'
	| 'refused'
	| 'timeout'
	| 'closed'
	| 'too-large';

/** Numbers that a program wants beside the message, such as how many messages are stored. */
export type ErrorDetails = Readonly<Record<string, number>>;

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
No node of the cluster runs on this machine; `searched` says how the network was searched in vain, and is empty when it
was not.
*/
export class NoneFoundError extends DapssError {
	readonly searched: string;

	constructor(cluster: string, searched: string) {
		super(
			'unreachable',
			`No node of cluster ${cluster} runs here${searched === '' ? '' : `, and ${searched}`}: start one, or name one by its address`,
		);
		this.name = 'NoneFoundError';
		this.searched = searched;
	}
}

/** What was stored is not what was written: not the disk's refusal, its decay. */
export class DamagedError extends DapssError {
	constructor(message: string, options?: ErrorOptions) {
		super('storage', message, options);
		this.name = 'DamagedError';
	}
}

/** The data was written by a newer program. It is intact, and must stay as it is: neither repaired nor set aside. */
export class NewerVersionError extends DapssError {
	/** @param found `format 3, this program reads up to 2` */
	constructor(what: string, found: string) {
		super(
			'storage',
			`${what} was written by a newer version of dapss-tui (${found}): start that version, or use another --data. Nothing was changed`,
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
	unreachable: 14,
	'missed-bound': 15,
	'wait-over': 16,
	interrupted: 130,
};

export function errorMessage(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
