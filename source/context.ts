/**
What a command is given, and what it is. Commands reach the broker only through `Backend`, which is loaded when it is
needed: `--help` loads no network code, and a test passes a fake.
*/
import type {Broker, FollowedBroker} from '../core/broker.ts';
import type {Config} from '../core/config.ts';
import type {ConnectSettings, Reached} from '../core/connect.ts';
import type {FoundNode} from '../core/find.ts';
import type {Survivor} from '../core/recover.ts';
import type {FlagName, Flags} from './arguments/flags.ts';
import type {Terminal} from './output/terminal.ts';
import type {Env} from './settings/places.ts';
import type {Settings} from './settings/settings.ts';

export type Backend = {
	openBroker(config: Config): Promise<Broker & {readonly id: string; readonly port: number}>;
	connect(options: ConnectSettings): Promise<Broker & Reached>;
	/** A broker that connects again by itself, each time by this. */
	followWith(
		connectOnce: (last: string | undefined) => Promise<Broker & {readonly server: string}>,
	): Promise<FollowedBroker>;
	openSurvivor(config: Pick<Config, 'data' | 'storage' | 'limits'>): Promise<Survivor>;
	findNodes(options?: {readonly cluster?: string}): Promise<readonly FoundNode[]>;
};

export type Format = 'text' | 'json' | 'jsonl' | 'raw';

export type Context = {
	/** What stands behind the command, flags left out. */
	readonly input: readonly string[];
	readonly flags: Flags;
	readonly output: Format;
	readonly terminal: Terminal;
	readonly env: Env;
	readonly settings: () => Settings;
	readonly backend: () => Promise<Backend>;
	/** Aborted by SIGINT, SIGTERM, SIGHUP, or when nobody reads standard output any more; the reason says which. */
	readonly signal: AbortSignal;
};

/** Resolves with the exit code; nothing means 0. @throws `DapssError` */
export type Run = (context: Context) => Promise<number | void>;

export type Command = {
	readonly name: string;
	readonly usage: readonly string[];
	readonly summary: string;
	/** More about it, in lines. */
	readonly notes?: readonly string[];
	/** What may stand behind the command, where that is one of a few words. */
	readonly words?: readonly string[];
	/** Flags that only these of the words take; the others are for all of them. */
	readonly wordFlags?: Readonly<Record<string, readonly FlagName[]>>;
	/** Where a message stands in the input: it is not shown to others. */
	readonly messageAt?: number;
	readonly flags: readonly FlagName[];
	readonly formats: readonly Format[];
	readonly examples: readonly string[];
	readonly load: () => Promise<{readonly run: Run}>;
};

/** What is needed to reach a node. */
export type Reaching = Pick<Context, 'flags' | 'env' | 'settings' | 'backend' | 'signal'> & {
	readonly terminal: Pick<Terminal, 'say'>;
};
