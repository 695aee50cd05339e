/**
The reason codes of the findings of `check`, with the severities that each may have. The codes are stable.
`docs/troubleshooting.md` explains each one; a test compares it with this table.
*/
export const findingReasons = {
	'no-quorum': ['no-quorum'],
	'no-log': ['no-leader'],
	electing: ['no-leader'],
	'quorum-regained': ['no-quorum', 'no-leader'],
	unconfirmed: ['unhealthy'],
	'no-spare-voter': ['unhealthy'],
	'catching-up': ['warning'],
	'two-clusters': ['unhealthy'],
	'two-processes': ['unhealthy'],
	'tcp-blocked': ['unhealthy'],
	'udp-blocked': ['unhealthy'],
	'cut-off': ['unhealthy'],
	stopped: ['unhealthy'],
	degraded: ['unhealthy'],
	suspect: ['unhealthy'],
	unreachable: ['unhealthy'],
	down: ['unhealthy'],
	silent: ['unhealthy'],
	partitioned: ['unhealthy'],
	repairing: ['unhealthy'],
	'not-running': ['unhealthy'],
	promoting: ['unhealthy'],
	subscribing: ['unhealthy'],
	copying: ['unhealthy'],
	comparing: ['unhealthy'],
	'disk-full': ['unhealthy'],
	'left-behind': ['warning'],
	faults: ['warning'],
	insecure: ['warning'],
	'messages-lost': ['warning'],
	'topics-full': ['warning'],
	'bound-topics': ['warning'],
	'bound-connections': ['warning'],
	'bound-disk': ['warning'],
	'bound-open-files': ['warning'],
	bounds: ['warning'],
} as const satisfies Readonly<Record<string, ReadonlyArray<'no-quorum' | 'no-leader' | 'unhealthy' | 'warning'>>>;

export type FindingReason = keyof typeof findingReasons;
