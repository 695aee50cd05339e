/**
Checks the bounds of `Config`. Settings from a file, the environment, a flag or a program pass here before a node uses
them. All problems are reported at once, each with the setting, the expected value and the value that was found.
*/
import leven from 'leven';
import * as v from 'valibot';
import {isJoinToken} from './access.ts';
import {
	canonicalAddress,
	formatAddress,
	isLoopback,
	isWildcard,
	parseAddress,
	parseHost,
	parseHostAndMaybePort,
	unadvertisableReason,
	unreachableReason,
} from './address.ts';
import {defaults, type Config} from './config.ts';
import {DapssError} from './errors.ts';
import {parseTopicName} from './message.ts';
import {problemOfName} from './node-name.ts';

/** A setting (`raft.electionMs`) and what is wrong with it. */
export type Problem = {readonly setting: string; readonly message: string};
/** The settings that have defaults here. */
export type Tunables = Omit<Config, 'data' | 'secret' | 'secretPath' | 'identityFile'>;

const KiB = 1024;
const MiB = 1024 * KiB;
const dayMs = 86_400_000;
const secretBytesMin = 32;

const whole = (min: number, max: number) =>
	v.custom<number>(
		input => Number.isSafeInteger(input) && (input as number) >= min && (input as number) <= max,
		issue => `Expected a whole number from ${min} to ${max}, got ${show(issue.input)}`,
	);
const flag = v.custom<boolean>(
	input => typeof input === 'boolean',
	issue => `Expected true or false, got ${show(issue.input)}`,
);
const text = (expected: string, isRight: (text: string) => boolean) =>
	v.custom<string>(
		input => typeof input === 'string' && isRight(input),
		issue => `Expected ${expected}, got ${show(issue.input)}`,
	);
const list = <Item>(expected: string, item: v.GenericSchema<Item>) =>
	v.array(item, issue => `Expected a list of ${expected}, got ${show(issue.input)}`);

const topicName = v.custom<string>(
	input => typeof input === 'string' && typeof parseTopicName(input) === 'string',
	issue => {
		const parsed = typeof issue.input === 'string' ? parseTopicName(issue.input) : undefined;
		return typeof parsed === 'object' ? parsed.problem : `Expected a topic name, got ${show(issue.input)}`;
	},
);
/** A text without a problem. The message ends with the problem. */
const checked = (expected: string, problem: (text: string) => string | undefined) =>
	v.custom<string>(
		input => typeof input === 'string' && problem(input) === undefined,
		issue => {
			const why = typeof issue.input === 'string' ? problem(issue.input) : undefined;
			return `Expected ${expected}, got ${show(issue.input)}${why ? `: ${why}` : ''}`;
		},
	);

const hostName = checked('an address to listen on or a host name', host => {
	const parsed = parseHost(host);
	const reason = parsed === undefined || isWildcard(parsed) ? undefined : unreachableReason(parsed);
	if (parsed !== undefined) return reason && `${reason}; name an address of this machine`;
	if (parseAddress(host)) return 'the port is a setting of its own (port)';
	return /^fe[89ab][0-9a-f]:/i.test(host) ? 'a link-local address needs its interface, fe80::1%eth0' : '';
});
const advertised = checked('an address that other nodes can call (host, host:port, [v6]:port)', given => {
	if (given === '') return undefined;
	const parsed = parseHostAndMaybePort(given);
	const reason = parsed ? unadvertisableReason(parsed.host) : '';
	return reason ? `${reason}; name one address or host name of this machine` : reason;
});
const address = checked('host:port, [v6]:port or a port', given => {
	const parsed = parseAddress(given);
	const reason = parsed ? unreachableReason(parsed.host) : '';
	return reason ? `${reason}; name the address or host name of a member` : reason;
});

const limits = v.strictObject(
	{
		// The pieces of one batch (64 KiB and its header) must fit, with room for the frame around them.
		frameBytes: whole(128 * KiB, 8 * MiB),
		outQueueBytes: whole(64 * KiB, 1024 * MiB),
		outQueueTotalBytes: whole(64 * KiB, 16 * 1024 * MiB),
		connections: whole(8, 65_536),
		connectionsReserved: whole(0, 65_536),
		connectionsPerClient: whole(1, 65_536),
		connectionsPerAddress: whole(1, 65_536),
		connectionsWithoutIdentity: whole(0, 65_536),
		unauthenticated: whole(1, 65_536),
		unauthenticatedPerAddress: whole(1, 65_536),
		handshakeMs: whole(100, 60_000),
		readersPerConnection: whole(256, 1_048_576),
		readersPerClient: whole(256, 1_048_576),
		readers: whole(256, 1_048_576),
		reads: whole(1, 1024),
		readBytes: whole(256 * KiB, 1024 * MiB),
		readBytesPerConnection: whole(256 * KiB, 1024 * MiB),
		publishBytesPerS: whole(0, 2 ** 40),
		publishMessagesPerS: whole(0, 1_000_000_000),
		storedBytesPerClient: whole(0, 2 ** 50),
		openFiles: whole(16, 65_536),
		diskBytes: whole(64 * KiB, 2 ** 50),
		topics: whole(1, 65_536),
		members: whole(1, 65_536),
	},
	unknownKey('limits'),
);

const shape = v.strictObject(
	{
		cluster: text('1 to 63 characters of a-z 0-9 - _ . that start with a letter or digit', input =>
			/^[a-z0-9][a-z0-9._-]{0,62}$/.test(input),
		),
		name: v.custom<string>(
			input => typeof input === 'string' && (input === '' || problemOfName(input) === undefined),
			issue =>
				`Expected ${typeof issue.input === 'string' ? problemOfName(issue.input) : 'a name'}, ` +
				`got ${show(issue.input)}`,
		),
		host: hostName,
		port: whole(1, 65_535),
		advertise: advertised,
		bootstrap: list('addresses (host:port)', address),
		expect: whole(0, 1024),
		joinToken: v.custom<string>(
			input => input === '' || isJoinToken(input),
			// It may be a token with a typing error, so it is not shown.
			'Expected a token that `access token` printed, got another text',
		),
		topics: list('topic names', topicName),
		enableNodeAuth: flag,
		enableMessageSigning: flag,
		enableEncryption: flag,
		faults: flag,
		discovery: v.strictObject(
			{
				enabled: flag,
				group: text('an IPv4 multicast address (224.0.0.0 to 239.255.255.255)', isMulticast),
				port: whole(1, 65_535),
				intervalMs: whole(100, 60_000),
				seekMs: whole(0, 60_000),
			},
			unknownKey('discovery'),
		),
		raft: v.strictObject(
			{
				heartbeatMs: whole(10, 10_000),
				electionMs: whole(30, 120_000),
				snapshotEntries: whole(16, 1_000_000),
				votersMax: v.custom<number>(
					input => [1, 3, 5, 7].includes(input as number),
					issue => `Expected 1, 3, 5 or 7 (an even number of voters is no safer), got ${show(issue.input)}`,
				),
				pendingMax: whole(1, 1_000_000),
			},
			unknownKey('raft'),
		),
		swim: v.strictObject(
			{
				probeMs: whole(20, 60_000),
				probeTimeoutMs: whole(5, 60_000),
				indirect: whole(0, 16),
				suspicionMultiplier: whole(1, 20),
				silentMs: whole(50, 600_000),
			},
			unknownKey('swim'),
		),
		gossip: v.strictObject(
			{
				fanoutMin: whole(1, 64),
				fanoutMax: whole(1, 256),
				repairMs: whole(50, 3_600_000),
				repairBytes: whole(4 * KiB, 256 * MiB),
				heldBytes: whole(64 * KiB, 1024 * MiB),
				lamportJumpMax: whole(1, 2 ** 52),
			},
			unknownKey('gossip'),
		),
		storage: v.strictObject(
			{
				segmentBytes: whole(4 * KiB, 1024 * MiB),
				retainBytes: whole(4 * KiB, 2 ** 50),
				retainAgeS: whole(1, (3650 * dayMs) / 1000),
				writeDeadlineMs: whole(100, 600_000),
			},
			unknownKey('storage'),
		),
		limits,
		console: v.strictObject(
			{
				feed: whole(1, 10_000),
				events: whole(1, 10_000),
				previewBytes: whole(16, 64 * KiB),
				framesPerSecond: whole(1, 60),
			},
			unknownKey('console'),
		),
		metrics: v.strictObject({port: whole(0, 65_535), host: hostName}, unknownKey('metrics')),
	},
	unknownKey(),
);

type Rule = {
	/** The settings that are compared, unless one of them has a problem of its own. */
	readonly needs: readonly string[];
	/** The setting to change. */
	readonly setting: string;
	readonly isRight: (tunables: Tunables) => boolean;
	readonly message: (tunables: Tunables) => string;
};

const atLeast = (
	setting: string,
	otherSetting: string,
	read: (tunables: Tunables) => readonly [number, number],
	factor: number,
	why: string,
): Rule => ({
	needs: [setting, otherSetting],
	setting,
	isRight: tunables => read(tunables)[0] >= factor * read(tunables)[1],
	message: tunables =>
		`Expected at least ${factor === 1 ? '' : `${factor} × `}${why} (${factor * read(tunables)[1]}), ` +
		`got ${read(tunables)[0]}`,
});

/** Rules between settings that are valid one by one. */
const rules: readonly Rule[] = [
	atLeast(
		'raft.electionMs',
		'raft.heartbeatMs',
		({raft}) => [raft.electionMs, raft.heartbeatMs],
		3,
		'the heartbeat, so that one lost heartbeat does not cost an election',
	),
	{
		needs: ['swim.probeMs', 'swim.probeTimeoutMs'],
		setting: 'swim.probeTimeoutMs',
		isRight: ({swim}) => swim.probeTimeoutMs < swim.probeMs,
		message: ({swim}) => `Expected less than the time between probes (${swim.probeMs}), got ${swim.probeTimeoutMs}`,
	},
	atLeast('swim.silentMs', 'swim.probeMs', ({swim}) => [swim.silentMs, swim.probeMs], 1, 'the time between probes'),
	atLeast(
		'gossip.fanoutMax',
		'gossip.fanoutMin',
		({gossip}) => [gossip.fanoutMax, gossip.fanoutMin],
		1,
		'the smallest fanout',
	),
	atLeast(
		'limits.outQueueBytes',
		'limits.frameBytes',
		tunables => [tunables.limits.outQueueBytes, tunables.limits.frameBytes],
		1,
		'one frame',
	),
	atLeast(
		'limits.outQueueTotalBytes',
		'limits.outQueueBytes',
		tunables => [tunables.limits.outQueueTotalBytes, tunables.limits.outQueueBytes],
		1,
		'the queue of one peer',
	),
	atLeast(
		'limits.readers',
		'limits.readersPerConnection',
		tunables => [tunables.limits.readers, tunables.limits.readersPerConnection],
		1,
		'the bound of one connection',
	),
	atLeast(
		'limits.unauthenticated',
		'limits.unauthenticatedPerAddress',
		tunables => [tunables.limits.unauthenticated, tunables.limits.unauthenticatedPerAddress],
		1,
		'the bound of one address',
	),
	{
		needs: ['port', 'metrics.port'],
		setting: 'metrics.port',
		isRight: ({port, metrics}) => metrics.port !== port,
		message: ({port}) => `Expected another port than the one of the node, got ${port}`,
	},
	...(['enableNodeAuth', 'enableMessageSigning', 'enableEncryption'] as const).map(name => ({
		needs: ['host', 'advertise', name],
		setting: name,
		isRight: (tunables: Tunables) =>
			tunables[name] ||
			(isLoopback(tunables.host) &&
				(tunables.advertise === '' || isLoopback(parseHostAndMaybePort(tunables.advertise)!.host))),
		message: ({host, advertise}: Tunables) =>
			'Expected true: it may be off for experiments on a loopback address only, ' +
			`and this node ${reachText(host, advertise)}`,
	})),
];

/** The addresses under which other machines reach a node, as a predicate. */
function reachText(host: string, advertise: string): string {
	if (isWildcard(host)) return `listens on all addresses (${host})`;
	return `is reached under ${isLoopback(host) ? advertise : host}`;
}

/**
All problems of a configuration, without those of `data` and `secret`.
*/
export function problemsOf(tunables: unknown): readonly Problem[] {
	const parsed = v.safeParse(shape, tunables);
	const problems: Problem[] = parsed.success
		? []
		: parsed.issues.map(issue => ({setting: v.getDotPath(issue) ?? '', message: issue.message}));
	const isSound = (setting: string): boolean =>
		!problems.some(problem => problem.setting === setting || setting.startsWith(`${problem.setting}.`));
	const together = tunables as Tunables;
	return [
		...problems,
		...rules
			.filter(({needs, isRight}) => needs.every(isSound) && !isRight(together))
			.map(({setting, message}) => ({setting, message: message(together)})),
	];
}

/**
The configuration of a node: what is given, over the defaults. `undefined` counts as not given.
@param files gives the data folder and the secret when they are not given; without it both must be given
@throws `config`, with a line for every problem; what `files.secret` throws
*/
export function completeConfig(given: BrokerOptions, files?: DefaultFiles): Config {
	const {data, secret, secretPath, secretFile, identityFile, ...rest} = given;
	const tunables = withCanonicalAddresses(withDefaults(rest));
	const problems = [...problemsOf(tunables)];
	if ((data !== undefined || !files) && (typeof data !== 'string' || data === ''))
		problems.push({setting: 'data', message: `Expected a folder, got ${show(data)}`});
	problems.push(...secretProblems({secret, secretFile}, files !== undefined), ...identityProblems(identityFile));
	expectNone(problems);
	const {cluster, port} = tunables;
	return {
		...tunables,
		data: data ?? files!.dataFolder(cluster, port),
		secret: secret ?? files!.secret(cluster, secretFile),
		secretPath: secretPath ?? (secret === undefined ? files!.secretPath(cluster, secretFile) : undefined),
		// A program that gives its secret has no files of its own, unless it names one.
		identityFile: identityFile ?? (secret === undefined ? files?.identityFile(cluster) : undefined),
	};
}

/** Settings over their defaults, in groups too. */
export function withDefaults(given: Readonly<Record<string, unknown>>): Tunables {
	const tunables: Record<string, unknown> = {...defaults};
	for (const [name, value] of Object.entries(given)) {
		if (value === undefined) continue;
		const base: unknown = Object.hasOwn(defaults, name) ? defaults[name as keyof Tunables] : undefined;
		tunables[name] =
			isGroup(base) && isGroup(value)
				? {...base, ...Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined))}
				: value;
	}

	return tunables as Tunables;
}

/** Problems of the secret, or of its file. @param isOptional whether the secret may come from elsewhere */
export function secretProblems(
	{secret, secretFile}: {readonly secret?: unknown; readonly secretFile?: unknown},
	isOptional: boolean,
): readonly Problem[] {
	const problems: Problem[] = [];
	if ((secret !== undefined || !isOptional) && (!(secret instanceof Uint8Array) || secret.length < secretBytesMin))
		problems.push({setting: 'secret', message: `Expected at least ${secretBytesMin} bytes`});
	if (secretFile !== undefined && (typeof secretFile !== 'string' || secretFile === ''))
		problems.push({setting: 'secretFile', message: `Expected a path, got ${show(secretFile)}`});
	if (secret !== undefined && secretFile !== undefined)
		problems.push({setting: 'secretFile', message: 'Expected the secret or its file, got both'});
	return problems;
}

/** Problems of the path of an identity file. */
export function identityProblems(identityFile: unknown): readonly Problem[] {
	return identityFile === undefined || (typeof identityFile === 'string' && identityFile !== '')
		? []
		: [{setting: 'identityFile', message: `Expected a path, got ${show(identityFile)}`}];
}

/** Accept settings that have no problem. @throws `config`, with a line for every problem */
export function expectNone(problems: readonly Problem[]): void {
	if (problems.length === 0) return;
	const lines = problems.map(({setting, message}) => `${setting}: ${message}`);
	throw new DapssError(
		'config',
		lines.length === 1
			? lines[0]!
			: `${lines.length} settings are wrong:\n${lines.map(line => `  ${line}`).join('\n')}`,
	);
}

/** The same settings with canonical addresses, which members compare. A text that is no address stays as it is. */
export function withCanonicalAddresses<Settings extends Pick<Tunables, 'host' | 'advertise' | 'bootstrap'>>(
	settings: Settings,
): Settings {
	const {host, advertise, bootstrap} = settings;
	const parsed = typeof advertise === 'string' ? parseHostAndMaybePort(advertise) : undefined;
	return {
		...settings,
		host: typeof host === 'string' ? (parseHost(host.replace(/^\[(?<v6>.*)\]$/, '$<v6>')) ?? host) : host,
		advertise: parsed ? formatHost(parsed) : advertise,
		bootstrap: Array.isArray(bootstrap)
			? (bootstrap.map((one: unknown) =>
					typeof one === 'string' ? (canonicalAddress(one) ?? one) : one,
				) as readonly string[])
			: bootstrap,
	};
}

/**
What `openBroker` takes: whatever differs from the defaults. Without `data` and `secret` the node uses the data folder
and the secret file of the command line, and makes them when they do not exist.
*/
export type BrokerOptions = Partial<Pick<Config, 'data' | 'secret' | 'secretPath' | 'identityFile'>> & {
	/** A file with the cluster secret (mode 0600), instead of `secret`. It must exist. */
	readonly secretFile?: string;
} & {
	readonly [Name in keyof Tunables]?: Tunables[Name] extends readonly unknown[] | string | number | boolean
		? Tunables[Name]
		: Partial<Tunables[Name]>;
};

/** Where a program that names neither gets its data folder and its secret. */
export type DefaultFiles = {
	dataFolder(cluster: string, port: number): string;
	/** @param file the file to read; the file of the cluster when there is none @throws `config` */
	secret(cluster: string, file: string | undefined): Uint8Array;
	/** The path of that file. */
	secretPath(cluster: string, file: string | undefined): string;
	/** The identity file of the user, made if it is missing; `undefined` when it cannot be made. @throws `config` */
	identityFile(cluster: string): string | undefined;
};

/** The most similar name; `undefined` when none is similar. */
export function nearest(name: string, names: readonly string[]): string | undefined {
	let best: string | undefined;
	let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
	for (const candidate of names) {
		const distance = leven(name, candidate, {maxDistance: bestDistance});
		if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
	}

	return best;
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function formatHost({host, port}: {readonly host: string; readonly port: number | undefined}): string {
	return port === undefined ? host : formatAddress(host, port);
}

function isMulticast(group: string): boolean {
	const parts = group.split('.').map(Number);
	return /^\d+(?:\.\d+){3}$/.test(group) && parts.every(part => part <= 255) && parts[0]! >= 224 && parts[0]! <= 239;
}

/** @param group the group of settings; the top level without one */
function unknownKey(group?: keyof Tunables): (issue: v.StrictObjectIssue) => string {
	return issue => {
		if (issue.expected === 'Object') return `Expected a group of settings, got ${show(issue.input)}`;
		if (issue.expected !== 'never') return 'Expected a value, got none';
		return unknownText(
			String(issue.path?.at(-1)?.key),
			Object.keys(group === undefined ? defaults : defaults[group]),
		);
	};
}

/** The message about a name that is not one of `names`. */
export function unknownText(name: string, names: readonly string[]): string {
	const near = nearest(name, names);
	return `There is no such setting${near === undefined ? '' : `; did you mean ${near}?`}`;
}

/** A value in a message, at most 60 characters of it. */
export function show(value: unknown): string {
	const shown =
		value === undefined
			? 'nothing'
			: typeof value === 'function' || typeof value === 'symbol'
				? typeof value
				: JSON.stringify(value);
	return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}
