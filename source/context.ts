/**
The type of a command, and the context that it runs in. Commands reach the broker only through `Backend`, which is
loaded on demand: `--help` loads no network code, and tests pass a fake.
*/
import type {Broker, FollowedBroker} from '../core/broker.ts';
import type {Config} from '../core/config.ts';
import type {ConnectSettings, Reached} from '../core/connect.ts';
import type {FoundNode} from '../core/find.ts';
import type {Survivor} from '../core/recover.ts';
import type {Snapshot} from '../core/snapshot.ts';
import type {FlagName, Flags} from './arguments/flags.ts';
import type {Terminal} from './output/terminal.ts';
import type {Env} from './settings/places.ts';
import type {Settings, SettingsInput} from './settings/settings.ts';

export type Backend = {
	openBroker(config: Config): Promise<Broker & {readonly id: string; readonly port: number}>;
	connect(options: ConnectSettings): Promise<Broker & Reached>;
	/** A broker that reconnects by itself with this function. */
	followWith(
		connectOnce: (last: string | undefined) => Promise<Broker & {readonly server: string}>,
	): Promise<FollowedBroker>;
	openSurvivor(config: Pick<Config, 'data' | 'storage' | 'limits'>): Promise<Survivor>;
	/** A snapshot from outside, checked. */
	snapshotOf(value: unknown): Snapshot | undefined;
	findNodes(options?: {readonly cluster?: string}): Promise<readonly FoundNode[]>;
};

export type Format = 'text' | 'json' | 'jsonl' | 'raw';

export type Context = {
	/** The arguments after the command, without flags. */
	readonly input: readonly string[];
	readonly flags: Flags;
	readonly output: Format;
	readonly terminal: Terminal;
	readonly env: Env;
	/** @param preferences those of the console, which a headless node does not use. @throws `config` */
	readonly settings: (preferences?: SettingsInput['preferences']) => Settings;
	readonly backend: () => Promise<Backend>;
	/** As this context, with other flags, and so with other settings. `isSilent`: the console is on the screen. */
	readonly reachingWith: (flags: Flags, isSilent: boolean) => Reaching;
	/** Aborted by SIGINT, SIGTERM, SIGHUP, or when the reader of standard output is gone; see the reason. */
	readonly signal: AbortSignal;
};

/** Resolves with the exit code; nothing means 0. @throws `DapssError` */
export type Run = (context: Context) => Promise<number | void>;

export type Command = {
	readonly name: string;
	readonly usage: readonly string[];
	readonly summary: string;
	/** More lines of help. */
	readonly notes?: readonly string[];
	/** The possible first arguments, if the command has subcommands. */
	readonly words?: readonly string[];
	/** Flags of single subcommands; all other flags are for all of them. */
	readonly wordFlags?: Readonly<Record<string, readonly FlagName[]>>;
	/** Index of a message in the input; it is not shown in `ps`. */
	readonly messageAt?: number;
	readonly flags: readonly FlagName[];
	readonly formats: readonly Format[];
	readonly examples: readonly string[];
	readonly load: () => Promise<{readonly run: Run}>;
};

/** The parts of a context that reaching a node needs. */
export type Reaching = Pick<Context, 'flags' | 'env' | 'settings' | 'backend' | 'signal'> & {
	readonly terminal: Pick<Terminal, 'say'>;
};
