/**
Every setting of a node: its meaning, unit, default and bounds. `config.json` at the top of the repository spells the
same names in snake_case; `source/settings/settings.ts` says where each value came from.
*/

export type Config = {
	/**
	Name of the cluster, 1 to 63 of `a-z 0-9 - _ .`. Part of every key: nodes of another name cannot connect.
	@default 'dapss'
	*/
	readonly cluster: string;
	/**
	Name of the node, unique in its cluster, 1 to 63 of `A-Z a-z 0-9 . _ -`; empty means the name of the host and the
	port.
	@default ''
	*/
	readonly name: string;
	/**
	Address to listen on, or a host name. `0.0.0.0` listens on every v4 address, `::` on every v6 and v4 address; then
	`advertise` says which of them others use, unless the machine has one only.
	@default '127.0.0.1'
	*/
	readonly host: string;
	/** TCP and UDP port, 1 to 65535. @default 5000 */
	readonly port: number;
	/**
	Where other nodes reach this one: `host`, `host:port` (a mapped port), `[v6]:port`. Empty means `host` and `port`;
	for a wildcard, the one address of the machine that is not loopback or link-local. Each node and every other must be
	able to call it, for TCP and UDP.
	@default ''
	*/
	readonly advertise: string;
	/** Nodes to join through, `host:port` each; empty: discovery, else a cluster of one. @default [] */
	readonly bootstrap: readonly string[];
	/**
	Nodes that must have started before one of them founds the cluster, 0 to 1024; 0: not given. For nodes without data.
	@default 0
	*/
	readonly expect: number;
	/** Admits this node to a cluster that it joins; an operator makes one with `access token`. @default '' */
	readonly joinToken: string;
	/** Topics that this node subscribes to at its start. @default [] */
	readonly topics: readonly string[];
	/**
	Folder of this node's identity, logs and messages (0700).
	@default one for each cluster and port, in this user's data folder (Linux: `~/.local/share/dapss/CLUSTER/PORT`)
	*/
	readonly data: string;
	/**
	The cluster secret: at least 32 bytes. Never printed.
	@default that of the cluster's secret file (Linux: `~/.config/dapss/CLUSTER.secret`), which a node makes when there
	is none
	*/
	readonly secret: Uint8Array;
	/**
	The file that `secret` was read from. The node writes the new secret into it when the key of the cluster is rotated.
	@default the secret file, unless a program gives the secret
	*/
	readonly secretPath?: string | undefined;
	/**
	A file with the identity of the user who runs the node: an operator on this node, and of a cluster that it founds.
	Without one, the cluster has no operator of its own.
	@default that of the cluster (Linux: `~/.config/dapss/CLUSTER.identity`), which is made when there is none
	*/
	readonly identityFile?: string | undefined;
	/** Prove that a peer holds the cluster secret before anything else. Off: loopback only. @default true */
	readonly enableNodeAuth: boolean;
	/** Sign and verify every batch. Off: loopback only. @default true */
	readonly enableMessageSigning: boolean;
	/** TLS 1.3 on every link, sealed datagrams. Off: loopback only. @default true */
	readonly enableEncryption: boolean;
	/** Accept `fault` commands that cut, delay and drop traffic (for tests and drills). @default false */
	readonly faults: boolean;
	readonly discovery: {
		/** Send multicast beacons and listen for them. Commands search for nodes by them. @default true */
		readonly enabled: boolean;
		/** @default '239.255.80.83' */
		readonly group: string;
		/** @default 45454 */
		readonly port: number;
		/** Between beacons, milliseconds, 100 to 60000. @default 1000 */
		readonly intervalMs: number;
		/** How long a node without data listens for a cluster before it starts one of its own. @default 1500 */
		readonly seekMs: number;
	};
	readonly raft: {
		/** One beat of the Raft machine and the interval of the leader's heartbeats, milliseconds. @default 100 */
		readonly heartbeatMs: number;
		/**
		A follower that hears no leader for this long campaigns, in milliseconds. The real wait is drawn from
		[`electionMs`, 2 × `electionMs`), so that two followers seldom campaign at once. At least 3 × `heartbeatMs`.
		@default 500

		*/
		readonly electionMs: number;
		/** Entries applied since the last snapshot before the next one is taken. @default 4096 */
		readonly snapshotEntries: number;
		/** Most voters, odd, 1 to 7; further nodes stay learners. @default 5 */
		readonly votersMax: number;
		/** Proposals that may wait for a commit at once; more are refused. @default 4096 */
		readonly pendingMax: number;
	};
	readonly swim: {
		/** Between probes, milliseconds. @default 200 */
		readonly probeMs: number;
		/** Wait for a direct ack before asking others, milliseconds; less than `probeMs`. @default 100 */
		readonly probeTimeoutMs: number;
		/** Members asked to probe on our behalf. @default 3 */
		readonly indirect: number;
		/** Suspicion lasts `suspicionMultiplier × max(1, log10(n)) × probeMs` at the least. @default 3 */
		readonly suspicionMultiplier: number;
		/**
		Silence after which a member no longer counts as heard, milliseconds (grows with the cluster).
		@default 600
		*/
		readonly silentMs: number;
	};
	readonly gossip: {
		/**
		Up to so many other subscribers are pushed to by the origin itself; more are reached along a tree.
		@default 4
		*/
		readonly fanoutMin: number;
		/** Most copies of a batch that a subscriber is pushed when many get lost. @default 12 */
		readonly fanoutMax: number;
		/** Between anti-entropy rounds, milliseconds. @default 1000 */
		readonly repairMs: number;
		/** Bytes that one repair round may ask of one peer. @default 1048576 */
		readonly repairBytes: number;
		/** Batches waiting for an earlier one of their origin, bytes in all. @default 8388608 */
		readonly heldBytes: number;
		/** A Lamport stamp further ahead than this is refused. @default 2^40 */
		readonly lamportJumpMax: number;
	};
	readonly storage: {
		/** A segment is closed at this size, bytes. @default 16777216 */
		readonly segmentBytes: number;
		/** Kept per topic, bytes. @default 268435456 */
		readonly retainBytes: number;
		/** Kept per topic, seconds that the machine has run; see `retention.ts`. @default 604800 */
		readonly retainAgeS: number;
		/** A write that takes longer stops the node, milliseconds. @default 10000 */
		readonly writeDeadlineMs: number;
	};
	readonly limits: {
		/** A frame on a link, bytes; at most 8388608. A message must fit with its header. @default 1048576 */
		readonly frameBytes: number;
		/** Waiting to leave, bytes per peer; then the reader is moved from push to catch-up. @default 16777216 */
		readonly outQueueBytes: number;
		/** Waiting to leave over all links, bytes. @default 268435456 */
		readonly outQueueTotalBytes: number;
		/** Of members and clients. @default 1024 */
		readonly connections: number;
		/** Connections that clients leave to members; a quarter of all at most. @default 64 */
		readonly connectionsReserved: number;
		/**
		Connections of one client, which is known by its identity. Clients without one count together for each address.
		@default 256
		*/
		readonly connectionsPerClient: number;
		/** Connections of all clients of one address, and of all clients without an identity. @default 512, 512 */
		readonly connectionsPerAddress: number;
		readonly connectionsWithoutIdentity: number;
		/** Connections that have not authenticated yet, in all and per address. @default 512, 64 */
		readonly unauthenticated: number;
		readonly unauthenticatedPerAddress: number;
		/** From accept to authenticated, milliseconds. @default 2000 */
		readonly handshakeMs: number;
		/**
		Topics that are read at once, by one connection, by all of one client (see `connectionsPerClient`) and by all;
		each subscription counts once for each of its topics.
		@default 2048, 8192, 16384
		*/
		readonly readersPerConnection: number;
		readonly readersPerClient: number;
		readonly readers: number;
		/** Reads of topic logs that run at once for readers that catch up, up to 256 KiB each. @default 64 */
		readonly reads: number;
		/**
		Bytes that such reads hold at once, in all and for one connection. A batch that is larger than the budget is
		read alone.
		@default 16777216, 4194304
		*/
		readonly readBytes: number;
		readonly readBytesPerConnection: number;
		/**
		Bytes and messages that one client (see `connectionsPerClient`) publishes in a second; 0 for any number. A
		faster client waits.
		@default 0, 0
		*/
		readonly publishBytesPerS: number;
		readonly publishMessagesPerS: number;
		/**
		Bytes that one client publishes through this node in a day (the last 24 to 25 hours), with 128 bytes for each
		message; 0 for any number. More is refused.
		@default 0
		*/
		readonly storedBytesPerClient: number;
		/**
		Files that the logs have open at once, at most a quarter of what the process may open (`ulimit -n`); logs that
		are idle close theirs. Of the rest `connections` gets all but 64.
		@default 256

		*/
		readonly openFiles: number;
		/**
		Kept of all topics together on this node, bytes; beyond that the oldest of the largest topics goes.
		@default 17179869184
		*/
		readonly diskBytes: number;
		/**
		Topics that this node counts: those agreed in the cluster, and others that it stores or uses.
		@default 1024
		*/
		readonly topics: number;
		/** Members in the cluster. @default 1024 */
		readonly members: number;
	};
	readonly console: {
		/** Newest messages and events that a snapshot carries. @default 200, 100 */
		readonly feed: number;
		readonly events: number;
		/** First bytes of a body that the feed carries. @default 512 */
		readonly previewBytes: number;
		/** Snapshots a second that a console is sent at most. @default 10 */
		readonly framesPerSecond: number;
	};
	readonly metrics: {
		/** TCP port of `/metrics`, `/healthz` and `/readyz`; 0: none. @default 0 */
		readonly port: number;
		/**
		Address that they listen on. They have no authentication: beyond loopback everyone who reaches the port can read
		names, topics and counts, but no messages.
		@default '127.0.0.1'
		*/
		readonly host: string;
	};
};

/** A configuration without the two values that have no default. */
export const defaults: Omit<Config, 'data' | 'secret' | 'secretPath' | 'identityFile'> = {
	cluster: 'dapss',
	name: '',
	host: '127.0.0.1',
	port: 5000,
	advertise: '',
	bootstrap: [],
	expect: 0,
	joinToken: '',
	topics: [],
	enableNodeAuth: true,
	enableMessageSigning: true,
	enableEncryption: true,
	faults: false,
	discovery: {enabled: true, group: '239.255.80.83', port: 45_454, intervalMs: 1000, seekMs: 1500},
	raft: {heartbeatMs: 100, electionMs: 500, snapshotEntries: 4096, votersMax: 5, pendingMax: 4096},
	swim: {probeMs: 200, probeTimeoutMs: 100, indirect: 3, suspicionMultiplier: 3, silentMs: 600},
	gossip: {
		fanoutMin: 4,
		fanoutMax: 12,
		repairMs: 1000,
		repairBytes: 1_048_576,
		heldBytes: 8_388_608,
		lamportJumpMax: 2 ** 40,
	},
	storage: {segmentBytes: 16_777_216, retainBytes: 268_435_456, retainAgeS: 604_800, writeDeadlineMs: 10_000},
	limits: {
		frameBytes: 1_048_576,
		outQueueBytes: 16_777_216,
		outQueueTotalBytes: 268_435_456,
		connections: 1024,
		connectionsReserved: 64,
		connectionsPerClient: 256,
		connectionsPerAddress: 512,
		connectionsWithoutIdentity: 512,
		unauthenticated: 512,
		unauthenticatedPerAddress: 64,
		handshakeMs: 2000,
		readersPerConnection: 2048,
		readersPerClient: 8192,
		readers: 16_384,
		reads: 64,
		readBytes: 16_777_216,
		readBytesPerConnection: 4_194_304,
		publishBytesPerS: 0,
		publishMessagesPerS: 0,
		storedBytesPerClient: 0,
		openFiles: 256,
		diskBytes: 17_179_869_184,
		topics: 1024,
		members: 1024,
	},
	console: {feed: 200, events: 100, previewBytes: 512, framesPerSecond: 10},
	metrics: {port: 0, host: '127.0.0.1'},
};
