/**
The classic bugs of such systems, and the mutants that plant each. What is not here a simulator cannot show: a file cut
short under a memory map, two processes on one folder, what a stranger or a hostile terminal does.
*/

type Pitfall = {readonly pitfall: string; readonly mutants: readonly string[]};

export const pitfalls: readonly Pitfall[] = [
	{
		pitfall: 'a vote, a term or an entry is not durable before it is said, or counted',
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
		pitfall: 'the commit index goes past what matched',
		mutants: ['commits-past-the-match', 'commits-before-the-check', 'heartbeat-commits-too-far'],
	},
	{
		pitfall: "members change before the leader's no-op, or twice at once",
		mutants: ['change-before-no-op', 'two-changes-at-once'],
	},
	{
		pitfall: 'a configuration counts at the wrong time',
		mutants: ['configuration-once-committed', 'configuration-outlives-its-entry'],
	},
	{
		pitfall: 'a read at a new or a deposed leader, or by old acknowledgements',
		mutants: ['read-before-no-op', 'read-without-a-round', 'read-by-old-acks', 'read-before-applied'],
	},
	{pitfall: 'leader leases with a clock that drifts or stands still', mutants: ['read-by-a-lease']},
	{
		pitfall: 'votes are counted twice, from an old term, from others than voters',
		mutants: [
			'vote-counted-twice',
			'vote-of-an-old-term',
			'vote-of-a-stranger',
			'small-majority',
			'vote-for-a-short-log',
			'longest-log-wins',
		],
	},
	{
		pitfall:
			'snapshots: an older one over a newer state, gaps behind one, two mixed up, appends over compacted entries',
		mutants: [
			'snapshot-over-newer-log',
			'entries-outlive-a-snapshot',
			'snapshot-marked-early',
			'snapshot-acknowledged-early',
			'snapshots-mixed-up',
			'nothing-matches-everything',
		],
	},
	{pitfall: 'the applied index is apart from the state', mutants: ['applied-apart-from-state']},
	{
		pitfall: 'a command that is sent again applies again',
		mutants: ['sessions-outside-the-snapshot', 'command-twice', 'second-subscribe-counts'],
	},
	{pitfall: 'an answer comes before what it says is agreed', mutants: ['subscribed-before-agreed']},
	{
		pitfall: 'disruption by a node that was cut off or removed',
		mutants: ['no-pre-vote', 'old-pre-vote-counts', 'no-check-quorum', 'no-stickiness'],
	},
	{
		pitfall: 'evidence of a crash is believed too easily, or stands above the votes',
		mutants: ['closed-link-is-a-crash', 'refused-call-is-a-crash', 'no-pre-vote-after-a-crash'],
	},
	{
		pitfall: 'a change of the leader is reported with a wrong cause',
		mutants: ['silence-for-a-crash', 'crash-for-a-transfer'],
	},
	{
		pitfall: 'a learner that may not vote when it must, or is promoted before it is caught up',
		mutants: ['no-promotion', 'learner-never-votes', 'promoted-behind'],
	},
	{
		pitfall: 'progress: next below match, what is on its way leaks, late refusals',
		mutants: ['next-below-match', 'inflight-leaks', 'lost-probe-for-ever'],
	},
	{pitfall: 'what the disk answers late counts for another log', mutants: ['late-disk-answer']},
	{pitfall: 'a leader that is cut off takes entries without end', mutants: ['uncommitted-without-bound']},
	{pitfall: 'a node id is used again after its disk was lost', mutants: ['id-after-a-wipe']},
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
	{pitfall: 'going on after an error of the disk', mutants: ['fsync-error-ignored', 'write-error-ignored']},
	{
		pitfall: 'corruption that is not noticed, or taken for something else',
		mutants: ['no-checksum', 'torn-tail-kept', 'damage-for-a-torn-tail'],
	},
	{
		pitfall: 'a full disk: no start, messages that are not kept, deletions that nobody hears of, no end',
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
	{pitfall: 'a node stops for want of descriptors', mutants: ['stops-without-descriptors']},
	{
		pitfall: 'retention trusts a clock, and deletes early',
		mutants: ['clock-ahead-believed', 'age-by-the-wall-clock', 'age-by-the-publisher', 'age-not-in-the-record'],
	},
	{
		pitfall: 'retention forgets what it took',
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
		pitfall: 'what was deleted comes back, or what was published later goes with it',
		mutants: [
			'deleted-is-wanted',
			'deletion-outside-the-snapshot',
			'deletion-not-witnessed',
			'deleted-is-read',
			'deletion-takes-what-is-later',
			'deletion-not-carried-out',
		],
	},
	{pitfall: 'who reads is not told what never came', mutants: ['readers-not-told-of-losses']},
	{
		pitfall: 'messages are known by less than origin, incarnation and number; their order is not kept',
		mutants: ['lives-mixed-up', 'gap-passed-over', 'duplicate-delivered', 'log-not-read-back', 'since-ignored'],
	},
	{
		pitfall: 'what repairs is lost or passed over itself',
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
		pitfall: 'a repair is told before it has happened',
		mutants: ['repaired-while-cut-off', 'answer-of-before', 'half-an-answer'],
	},
	{
		pitfall: 'the incarnation is not raised durably before the first send',
		mutants: ['incarnation-not-durable', 'incarnation-not-raised'],
	},
	{
		pitfall: 'Lamport time goes back, is poisoned, or is witnessed too late',
		mutants: ['lamport-ceiling-forgotten', 'lamport-jump-taken', 'delivered-before-witnessed'],
	},
	{
		pitfall: 'who lives is called dead, who is dead is called alive',
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
		pitfall: 'a stall of this process is taken for the silence of others',
		mutants: ['beat-before-mail', 'beats-caught-up'],
	},
	{
		pitfall: 'members that do not know one another',
		mutants: ['who-leads-is-a-stranger', 'told-members-forgotten', 'refused-by-a-newcomer', 'caller-is-a-stranger'],
	},
	{pitfall: 'who answers pings is taken for usable', mutants: ['alive-without-a-link', 'quorum-by-datagrams']},
	{
		pitfall: 'frames that are relayed go in circles, or for anybody',
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
		pitfall: 'a follower that goes on at another node gets messages twice, or not, or is not told',
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
		pitfall: 'an upgrade: what an older version does not know is used before all members know it',
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
		pitfall: 'two nodes of one name, two processes of one identity',
		mutants: ['names-not-unique', 'claim-of-the-same-start', 'claim-of-an-earlier-start'],
	},
	{
		pitfall: 'a copied data folder: both processes speak, or what one of them had counts for the other',
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
		pitfall: 'an address is taken for a node',
		mutants: ['address-of-the-dead-is-free', 'address-of-a-second-process'],
	},
	{pitfall: 'nodes that start together found more than one cluster', mutants: ['founds-unasked']},
	{
		pitfall: 'nodes that moved do not find one another',
		mutants: ['seeds-ignored-by-members', 'missing-member-not-asked-for'],
	},
];
