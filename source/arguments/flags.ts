/**
Every flag of the command line in one table, for the parser, the help and the suggestions. A flag has the same meaning
in every command that takes it.
*/

export type FlagText = {
	readonly type: 'string' | 'boolean';
	readonly isMultiple?: true;
	readonly shortFlag?: string;
	/** The placeholder of the value in the help. */
	readonly value?: string;
	readonly text: string;
};

export const flagTable = {
	port: {type: 'string', value: 'PORT', text: 'TCP and UDP port of the node (5000, or the next free one)'},
	bootstrap: {
		type: 'string',
		isMultiple: true,
		value: 'ADDRESS',
		text: 'a member to join through: host:port, or a port on this machine; may be repeated or have commas',
	},
	expect: {type: 'string', value: 'N', text: 'number of nodes that must have started before one founds the cluster'},
	name: {type: 'string', value: 'NAME', text: 'name of the node in its cluster (host name and port)'},
	host: {
		type: 'string',
		value: 'HOST',
		text: 'address to listen on (127.0.0.1); 0.0.0.0 or :: for all addresses of this machine',
	},
	advertise: {
		type: 'string',
		value: 'ADDRESS',
		text: 'address for other nodes: host, host:port or [v6]:port (the address to listen on)',
	},
	cluster: {type: 'string', value: 'NAME', text: 'name of the cluster (dapss)'},
	topics: {type: 'string', isMultiple: true, value: 'A,B', text: 'topics that the node subscribes to at its start'},
	data: {type: 'string', value: 'DIR', text: "folder of the node's identity, logs and messages"},
	config: {type: 'string', value: 'FILE', text: 'settings to read instead of ./config.json'},
	only: {type: 'string', isMultiple: true, value: 'PATTERN', text: 'topics of a client; * is one token, > the rest'},
	uses: {type: 'string', value: 'N', text: 'nodes that a join token admits (1)'},
	expires: {type: 'string', value: 'TIME', text: 'how long a join token is valid (1h)'},
	joinToken: {type: 'string', value: 'TOKEN', text: 'admits this node to the cluster that it joins (`access token`)'},
	secretFile: {type: 'string', value: 'FILE', text: "file with the cluster's secret (mode 0600)"},
	identityFile: {type: 'string', value: 'FILE', text: 'file with your identity in the cluster (mode 0600)'},
	discovery: {
		type: 'boolean',
		text: 'find nodes on the network by multicast; --no-discovery stops that, except for nodes of this machine',
	},
	metricsPort: {
		type: 'string',
		value: 'PORT',
		text: 'TCP port of /metrics, /healthz and /readyz, on 127.0.0.1 (none)',
	},
	faults: {type: 'boolean', text: 'accept fault commands, for tests and drills'},
	leave: {type: 'boolean', text: 'leave the cluster permanently when a signal stops the node'},
	headless: {type: 'boolean', text: 'run the node without the console'},
	readonly: {type: 'boolean', text: 'a console that cannot publish, subscribe or change anything'},
	snapshot: {type: 'string', value: 'FORMAT', text: 'print one frame as text, ansi, svg or json, and end'},
	screen: {type: 'string', value: 'SIZE', text: 'columns and rows of the frame (120x36)'},
	server: {
		type: 'string',
		value: 'ADDRESS',
		text: 'node to connect to, or several with commas (else one of yours here, else of the network; DAPSS_SERVER)',
	},
	context: {
		type: 'string',
		value: 'NAME',
		text: 'a named cluster of the preferences: server, cluster, secret file, colour',
	},
	timeout: {type: 'string', value: 'TIME', text: 'how long to try to reach a node (5s)'},
	wait: {
		type: 'string',
		value: 'TIME',
		text: 'how long to wait after a node is reached, for messages, events or health; then it ends with 16',
	},
	waitHealthy: {
		type: 'boolean',
		text: 'wait until the cluster is healthy, at most for the time of --wait (1m), and print what is missing',
	},
	output: {type: 'string', shortFlag: 'o', value: 'FORMAT', text: 'format of the output'},
	count: {type: 'string', value: 'N', text: 'number of messages'},
	rate: {type: 'string', value: 'R', text: 'maximum number of messages per second'},
	size: {type: 'string', value: 'BYTES', text: 'size of a message in bytes'},
	from: {type: 'string', value: 'PLACE', text: 'first message: now, beginning or an offset (now)'},
	time: {type: 'boolean', text: "prefix each message with its time of publication, by the publisher's clock (UTC)"},
	format: {
		type: 'string',
		shortFlag: 'f',
		value: 'TEMPLATE',
		text: 'template of a line, such as "{time} {topic} {body}"',
	},
	retainAge: {
		type: 'string',
		value: 'TIME',
		text: 'how long messages of the topic are kept, 1s to 3650d (storage.retain_age_s of each node)',
	},
	retainBytes: {
		type: 'string',
		value: 'SIZE',
		text: 'how much of the topic each node keeps, 4 KiB to 1 PiB (storage.retain_bytes of each node)',
	},
	update: {
		type: 'boolean',
		text: 'change an existing topic, also one that was not created; the rest is as each node is configured',
	},
	force: {
		type: 'boolean',
		text: 'do it despite subscribers, missing nodes, or users of the key: see the notes of the command',
	},
	file: {type: 'string', value: 'FILE', text: 'the secret of the new key; made when the file does not exist'},
	yes: {type: 'boolean', text: 'do not ask for confirmation'},
	watch: {type: 'boolean', text: 'continue with new events'},
	messages: {
		type: 'boolean',
		text: 'with --watch: also messages of the topics that the node itself subscribes to',
	},
	for: {type: 'string', value: 'TIME', text: 'how long the fault lasts (10s), or how long to record'},
	maxBytes: {type: 'string', value: 'SIZE', text: 'size at which the recording ends (64m)'},
	check: {type: 'boolean', text: 'check the rules instead of showing the recording'},
	shiviz: {type: 'string', value: 'FILE', text: 'write the causal order of the messages for ShiViz'},
	oneWay: {type: 'boolean', text: 'cut only traffic from the first group to the second'},
	nodes: {type: 'string', value: 'N', text: 'nodes of the benchmark or the demo (3)'},
	scenario: {type: 'string', value: 'NAME', text: 'what the demo shows: split, failover or churn (split)'},
	duration: {type: 'string', value: 'TIME', text: 'how long a headless demo repeats its scenario (once)'},
	runs: {type: 'string', value: 'N', text: 'runs of the benchmark'},
	maxP99: {type: 'string', value: 'MS', text: 'highest p99 that passes, in milliseconds'},
	minRate: {type: 'string', value: 'R', text: 'lowest rate that passes, in messages per second to each subscriber'},
	maxLoss: {type: 'string', value: 'N', text: 'highest number of lost messages that passes'},
	incarnation: {type: 'string', value: 'N', text: 'start of the origin that counts (the newest with that number)'},
	report: {type: 'string', value: 'FILE', text: 'write a page (HTML) with plots of the benchmark'},
	confirm: {type: 'string', value: 'NAME', text: "the cluster's name, instead of typing it"},
	help: {type: 'boolean', shortFlag: 'h', text: 'this text'},
	version: {type: 'boolean', shortFlag: 'v', text: 'the version'},
} as const satisfies Record<string, FlagText>;

export type FlagName = keyof typeof flagTable;
type Value<Name extends FlagName> = (typeof flagTable)[Name] extends {readonly isMultiple: true}
	? readonly string[]
	: (typeof flagTable)[Name]['type'] extends 'boolean'
		? boolean
		: string;
export type Flags = {readonly [Name in FlagName]?: Value<Name>};

export const nodeFlags = [
	'port',
	'bootstrap',
	'expect',
	'joinToken',
	'name',
	'host',
	'advertise',
	'cluster',
	'topics',
	'data',
	'config',
	'secretFile',
	'identityFile',
	'discovery',
	'metricsPort',
	'faults',
] as const satisfies readonly FlagName[];
export const clientFlags = [
	'server',
	'cluster',
	'config',
	'secretFile',
	'identityFile',
	'discovery',
	'timeout',
	'output',
] as const satisfies readonly FlagName[];
export const everywhere = ['help', 'version'] as const satisfies readonly FlagName[];

/** `secretFile` → `--secret-file`, `o` → `-o`. */
export function written(flag: string): string {
	return flag.length === 1 ? `-${flag}` : `--${flag.replaceAll(/[A-Z]+/g, letters => `-${letters.toLowerCase()}`)}`;
}

/** The lines of the help that explain flags. */
export function flagLines(names: readonly FlagName[]): string[] {
	const rows = names.map(name => {
		const flag: FlagText = flagTable[name];
		return [
			written(name) +
				(flag.shortFlag === undefined ? '' : `, -${flag.shortFlag}`) +
				(flag.value === undefined ? '' : ` ${flag.value}`),
			flag.text,
		] as const;
	});
	const width = Math.max(...rows.map(([left]) => left.length));
	return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
