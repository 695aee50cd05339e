/**
The classic bugs of such systems, and the mutants that plant each of them. The list omits bugs that a simulator cannot
show and no test file checks: a file cut short under a memory map, two processes on one folder, hostile terminals.
*/

type Pitfall = {readonly pitfall: string; readonly mutants: readonly string[]};

export const pitfalls: readonly Pitfall[] = [
	{
		pitfall: 'a vote, a term or an entry is not durable before it is sent or counted',
		mutants: [
			'reply-before-disk',
			'own-vote-early',
			'own-log-early',
			'append-not-synced',
			'vote-not-saved',
			'term-not-saved',
			'two-votes-a-term',
		],
	},
	{pitfall: 'entries of an old term are committed by counting (figure 8)', mutants: ['old-term-by-counting']},
	{
		pitfall: 'a suffix that matches is truncated, one that conflicts is kept',
		mutants: ['truncates-what-matches', 'keeps-what-conflicts', 'no-consistency-check'],
	},
	{
		pitfall: 'the commit index passes the last entry that matched',
		mutants: ['commits-past-the-match', 'commits-before-the-check', 'heartbeat-commits-too-far'],
	},
	{
		pitfall: "members change before the leader's no-op, or twice at once",
		mutants: ['change-before-no-op', 'two-changes-at-once'],
	},
	{
		pitfall: 'a configuration takes effect at the wrong time',
		mutants: ['configuration-once-committed', 'configuration-outlives-its-entry'],
	},
	{
		pitfall: 'a read at a new or a deposed leader, or confirmed by old replies',
		mutants: ['read-before-no-op', 'read-without-a-round', 'read-by-old-acks', 'read-before-applied'],
	},
	{pitfall: 'leader leases with a clock that drifts or stops', mutants: ['read-by-a-lease']},
	{
		pitfall: 'votes count twice, from an old term, or from nodes that are not voters',
		mutants: [
			'vote-counted-twice',
			'vote-of-an-old-term',
			'vote-of-a-non-voter',
			'small-majority',
			'vote-for-a-short-log',
			'longest-log-wins',
		],
	},
	{
		pitfall:
			'snapshots: an older one replaces a newer state, entries after one are missing, chunks are mixed up, appends reach compacted entries',
		mutants: [
			'snapshot-over-newer-log',
			'entries-outlive-a-snapshot',
			'snapshot-marked-early',
			'snapshot-acknowledged-early',
			'snapshots-mixed-up',
			'nothing-matches-everything',
		],
	},
	{pitfall: 'the applied index does not belong to the state', mutants: ['applied-apart-from-state']},
	{
		pitfall: 'a retried command is applied again',
		mutants: ['sessions-outside-the-snapshot', 'command-twice', 'second-subscribe-counts'],
	},
	{pitfall: 'a proposal is answered before it is agreed', mutants: ['subscribed-before-agreed']},
	{
		pitfall: 'disruption by a node that was cut off or removed',
		mutants: ['no-pre-vote', 'old-pre-vote-counts', 'no-check-quorum', 'no-stickiness'],
	},
	{
		pitfall: 'weak evidence counts as a crash, or evidence replaces votes',
		mutants: ['closed-link-is-a-crash', 'refused-call-is-a-crash', 'no-pre-vote-after-a-crash'],
	},
	{
		pitfall: 'a change of leader is reported with a wrong cause',
		mutants: ['silence-for-a-crash', 'crash-for-a-transfer', 'cause-of-an-earlier-term'],
	},
	{
		pitfall: 'a learner cannot vote when it must, or is promoted before it has caught up',
		mutants: ['no-promotion', 'learner-never-votes', 'promoted-behind'],
	},
	{
		pitfall: 'replication progress: next below match, leaked in-flight entries, late rejections',
		mutants: ['next-below-match', 'inflight-leaks', 'lost-probe-for-ever'],
	},
	{pitfall: 'a late completion of a write counts for another log', mutants: ['late-disk-answer']},
	{
		pitfall: 'a member publishes in the name of another one',
		mutants: [
			'signature-unchecked',
			'mac-proves-the-origin',
			'any-key-signs',
			'signature-remembered-by-its-root',
			'macs-of-all-incarnations',
		],
	},
	{
		pitfall: 'a member that lies about its term stops the cluster for good',
		mutants: ['term-raises-without-bound', 'term-jump-without-bound'],
	},
	{
		pitfall: 'a leader that is cut off accepts an unbounded number of entries',
		mutants: ['uncommitted-without-bound'],
	},
	{pitfall: 'a node id is reused after its disk was lost', mutants: ['id-after-a-wipe']},
	{
		pitfall: 'acknowledged before fsync',
		mutants: [
			'publish-before-fsync',
			'delivered-before-written',
			'name-not-synced',
			'segment-not-synced',
			'file-replaced-early',
		],
	},
	{pitfall: 'a pause of the process is taken for a fault of the disk', mutants: ['pause-blamed-on-the-disk']},
	{pitfall: 'a node continues after a disk error', mutants: ['fsync-error-ignored', 'write-error-ignored']},
	{
		pitfall: 'corruption is not detected, or mistaken for a torn tail',
		mutants: ['no-checksum', 'torn-tail-kept', 'damage-for-a-torn-tail'],
	},
	{
		pitfall: 'a full disk prevents a start, loses messages, deletes without a report, or never ends',
		mutants: [
			'reserve-kept',
			'reserve-given-late',
			'publishes-on-a-full-disk',
			'full-disk-stores-others',
			'full-for-good',
			'short-write-is-whole',
			'full-disk-ignored',
			'full-disk-emptied',
		],
	},
	{pitfall: 'a node stops without file descriptors', mutants: ['stops-without-descriptors']},
	{
		pitfall: 'retention trusts a clock and deletes early',
		mutants: ['clock-ahead-believed', 'age-by-the-wall-clock', 'age-by-the-publisher', 'age-not-in-the-record'],
	},
	{
		pitfall: 'retention forgets or does not report what it removed',
		mutants: [
			'no-mark-of-what-went',
			'offset-given-twice',
			'retention-not-told',
			'dropped-untold',
			'deletion-untold',
			'slow-reader-has-read',
			'loss-not-told',
		],
	},
	{
		pitfall: 'deleted messages come back, or messages published later are deleted too',
		mutants: [
			'deleted-is-wanted',
			'deletion-outside-the-snapshot',
			'deletion-not-witnessed',
			'deleted-is-read',
			'deletion-takes-what-is-later',
			'deletion-not-carried-out',
		],
	},
	{pitfall: 'readers get no report of messages that never arrived', mutants: ['readers-not-told-of-losses']},
	{
		pitfall: 'messages are identified by less than origin, incarnation and number, or lose their order',
		mutants: ['lives-mixed-up', 'gap-passed-over', 'duplicate-delivered', 'log-not-read-back', 'since-ignored'],
	},
	{
		pitfall: 'repair messages are lost or ignored',
		mutants: [
			'digest-without-gaps',
			'no-anti-entropy',
			'silence-for-a-refusal',
			'passed-means-nothing',
			'passed-over-for-good',
		],
	},
	{pitfall: 'a repair sends everything', mutants: ['repair-without-budget']},
	{
		pitfall: 'a repair is reported before it has happened',
		mutants: ['repaired-while-cut-off', 'answer-of-before', 'half-an-answer'],
	},
	{
		pitfall: 'the incarnation is not raised durably before the first send',
		mutants: ['incarnation-not-durable', 'incarnation-not-raised'],
	},
	{
		pitfall: 'Lamport time goes back, jumps far ahead, or is witnessed too late',
		mutants: ['lamport-ceiling-forgotten', 'lamport-jump-taken', 'delivered-before-witnessed'],
	},
	{
		pitfall: 'a live node is declared dead, or a dead one alive',
		mutants: [
			'accusation-not-refuted',
			'suspicion-without-end',
			'dead-for-good',
			'no-indirect-probes',
			'dead-at-once',
			'rumours-forgotten',
		],
	},
	{
		pitfall: 'a stall of this process is mistaken for silence of the others',
		mutants: ['beat-before-mail', 'beats-caught-up'],
	},
	{
		pitfall: 'members that do not know each other',
		mutants: [
			'unknown-leader-rejected',
			'told-members-forgotten',
			'refused-by-a-newcomer',
			'unknown-caller-rejected',
		],
	},
	{pitfall: 'a node that answers pings counts as usable', mutants: ['alive-without-a-link', 'quorum-by-datagrams']},
	{
		pitfall: 'relayed frames go in circles, or are relayed for any node',
		mutants: ['relayed-again', 'relay-for-anybody', 'relay-of-anything'],
	},
	{
		pitfall: 'readers that fall behind and catch up',
		mutants: [
			'reader-twice-at-the-end',
			'reader-live-while-full',
			'reader-live-too-early',
			'full-queue-loses',
			'reader-never-resumes',
			'read-again',
		],
	},
	{
		pitfall: 'a follower that resumes at another node gets messages twice or not at all, or no report',
		mutants: [
			'resume-ignores-incarnation',
			'resume-from-zero',
			'resume-from-now',
			'resume-untold',
			'beginning-forgotten',
			'beginning-without-time',
		],
	},
	{
		pitfall: 'an upgrade: a feature is used before all members support it',
		mutants: [
			'protocol-proposed-early',
			'unknown-member-speaks-all',
			'joins-below-the-protocol',
			'newer-state-too-early',
			'newer-format-too-early',
			'names-outside-the-snapshot',
		],
	},
	{
		pitfall: 'two nodes with one name, or two processes with one identity',
		mutants: ['names-not-unique', 'claim-of-the-same-start', 'claim-of-an-earlier-start'],
	},
	{
		pitfall: 'a copied data folder: both processes act for the node, or the log of one counts for the other',
		mutants: [
			'copy-is-taken',
			'publishes-before-its-claim',
			'superseded-goes-on',
			'pause-not-doubted',
			'unconfirmed-proposes',
			'match-of-a-former-process',
		],
	},
	{
		pitfall: 'an address is mistaken for a node',
		mutants: ['address-of-the-dead-is-free', 'address-of-a-second-process'],
	},
	{pitfall: 'a failure is reported as a stop on purpose', mutants: ['goodbye-after-a-fault']},
	{pitfall: 'nodes that start together found more than one cluster', mutants: ['founds-unasked']},
	{
		pitfall: 'nodes that moved do not find each other',
		mutants: ['seeds-ignored-by-members', 'missing-member-not-asked-for'],
	},
	{
		pitfall: 'an identity has more access than its role gives, or keeps it',
		mutants: [
			'access-not-in-snapshots',
			'revocation-not-applied',
			'access-of-a-proposer',
			'access-before-its-protocol',
			'no-operator-left',
			'client-removes-members',
			'patterns-ignored',
			'readonly-ignored',
			'messages-for-observers',
			'connection-outlives-its-access',
			'refusals-not-audited',
			'refusals-without-bound',
			'identity-not-proved',
			'author-not-checked',
			'earlier-access-counts',
			'earlier-access-publishes',
		],
	},
	{
		pitfall: 'a node becomes a member without consent, or at an address where it is not',
		mutants: ['unadmitted-joins', 'expired-token-admits', 'endorsement-of-another-node', 'not-called-back'],
	},
	{
		pitfall: 'a member speaks in the name of another one',
		mutants: [
			'datagram-of-another-member',
			'relay-proof-not-checked',
			'relay-without-proof',
			'relay-key-of-anybody',
			'relay-replays-accepted',
		],
	},
	{
		pitfall: 'a rotation of the key leaves a member behind, loses messages, or leaves the former key valid',
		mutants: [
			'removed-key-still-accepted',
			'keys-not-in-snapshots',
			'keys-of-the-start',
			'key-used-before-all-have-it',
			'key-removed-while-in-use',
			'three-valid-keys',
			'removed-secret-stays-readable',
			'messages-of-removed-keys-rejected',
			'removed-key-during-a-handshake',
		],
	},
	{
		pitfall: 'datagrams without the secret, or recorded ones, decide whether a node founds a cluster',
		mutants: [
			'junk-counts-as-beacons',
			'replay-counts-as-proof',
			'challenge-without-end',
			'reports-keep-from-founding',
		],
	},
	{
		pitfall: 'connections without the secret lock out those that have it',
		mutants: ['oldest-is-dropped', 'answered-among-the-silent', 'members-without-room', 'flight-answered-again'],
	},
	{
		pitfall: 'what is said before, or without, encryption tells secrets',
		mutants: ['former-name-when-refused', 'unprotected-beyond-loopback'],
	},
	{pitfall: 'files of other users of the machine are trusted', mutants: ['folder-of-others']},
	{
		pitfall: 'a member that lies ends other processes, or damages what they store',
		mutants: ['snapshot-not-checked', 'stored-snapshot-not-checked', 'nesting-without-bound'],
	},
	{
		pitfall: 'a number that only grows is used up by a lie, or what the lie did is never accepted by the others',
		mutants: [
			'far-proposal-accepted',
			'far-term-never-believed',
			'far-stamp-never-believed',
			'incarnation-without-bound',
			'row-of-another-counts-more',
		],
	},
	{
		pitfall: 'a member acts for a leader that it is not',
		mutants: ['learner-leads', 'answer-of-anybody', 'read-answered-by-anybody'],
	},
	{
		pitfall: 'what a peer says to have counts as if it existed',
		mutants: [
			'claims-without-bound',
			'claims-never-end',
			'claims-passed-on',
			'claims-displace-streams',
			'false-claim-believed',
			'skip-within-a-batch',
		],
	},
	{
		pitfall: 'a client exhausts its node',
		mutants: [
			'structure-unchecked',
			'any-extension',
			'any-request-size',
			'positions-uncounted',
			'reads-beyond-credit',
			'reads-beyond-budget',
			'no-room-for-members',
			'quota-before-the-proof',
			'daily-quota-of-a-connection',
			'requests-in-one-turn',
			'topics-in-one-turn',
			'rate-starts-anew',
		],
	},
	{
		pitfall: 'a node exhausts or controls its clients',
		mutants: ['unasked-topic-taken', 'requests-queue-without-end', 'controls-pass'],
	},
];
