/**
`record FILE`: writes what a console gets into a file, until it is interrupted, the time is over, or the file is full.
*/
import {DapssError} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {version} from '../../core/version.ts';
import {expectInput} from '../arguments/input.ts';
import {parseDuration, parseSize} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {reachAlways} from '../nodes/following.ts';
import {bytesText, timeText} from '../output/units.ts';
import {formatName, formatVersion, Recorder, type EndRecord, type FileRecord} from '../recording/format.ts';
import {RecordingFile} from '../recording/recording-file.ts';

const bytesDefault = 64 * 1024 * 1024;
const bytesMax = 1024 * 1024 * 1024;
const bytesMin = 1024 * 1024;
const dayMs = 86_400_000;
/** Between two snapshots in the file, milliseconds. */
const everyMs = 250;

export async function run(context: Context): Promise<void> {
	const {input, flags, output, terminal, signal} = context;
	expectInput(context, 1, 1, 'record FILE [--for TIME] [--max-bytes SIZE]');
	const [path = ''] = input;
	const forMs = flags.for === undefined ? undefined : parseDuration(flags.for, '--for', 7 * dayMs);
	const max = flags.maxBytes === undefined ? bytesDefault : parseSize(flags.maxBytes, '--max-bytes', bytesMax);
	if (max < bytesMin) throw new DapssError('usage', `Expected --max-bytes of at least 1m, got ${flags.maxBytes}`);
	await using broker = await reachAlways(context);
	using file = new RecordingFile(path, max);
	if (file.torn > 0) terminal.say(`The last record of ${path} was torn: ${file.torn} B are cut off`);
	const ended = Promise.withResolvers<EndRecord['why']>();
	const session = new Session(file, () => ended.resolve('full'));
	using _watch = broker.watch(snapshot => session.take(snapshot));
	using _link = broker.onLink(news =>
		session.link({
			type: 'link',
			at: Date.now(),
			state: news.state,
			server: news.server,
			...(news.state === 'lost' && {why: news.why}),
		}),
	);
	const stop = (): void => ended.resolve('stopped');
	signal.addEventListener('abort', stop, {once: true});
	if (signal.aborted) stop();
	void broker.closed.then(stop);
	const timer = forMs === undefined ? undefined : setTimeout(() => ended.resolve('time'), forMs);
	const hint = forMs === undefined ? '; Ctrl-C ends it' : '';
	terminal.say(`Recording ${printable(broker.server)} to ${printable(path)}${hint}`);
	const why = await ended.promise;
	clearTimeout(timer);
	session.end(why);
	if (why === 'full') terminal.say(`The recording is full: --max-bytes ${max}`);
	const result = {file: path, why, snapshots: session.snapshots, bytes: file.bytes, forMs: session.forMs};
	await terminal.line(
		output === 'json'
			? jsonText(result)
			: `${printable(path)}: ${result.snapshots} snapshots, ` +
					`${timeText(result.forMs)}, ${bytesText(result.bytes)}`,
	);
}

/** The records of one run of the command. */
class Session {
	snapshots = 0;
	readonly #file: RecordingFile;
	readonly #onFull: () => void;
	readonly #recorder = new Recorder();
	#isStarted = false;
	#isEnded = false;
	#firstMs = 0;
	#lastMs = 0;
	#skipped: Snapshot | undefined;
	#writtenMs = Number.NEGATIVE_INFINITY;

	constructor(file: RecordingFile, onFull: () => void) {
		this.#file = file;
		this.#onFull = onFull;
	}

	get forMs(): number {
		return this.#lastMs - this.#firstMs;
	}

	take(snapshot: Snapshot): void {
		if (this.#isEnded) return;
		const nowMs = performance.now();
		// The next snapshot has all that this one has.
		this.#skipped = snapshot;
		if (nowMs - this.#writtenMs < everyMs) return;
		this.#writtenMs = nowMs;
		this.#write(snapshot);
	}

	link(record: FileRecord): void {
		if (this.#isEnded || !this.#isStarted) return;
		this.#add(record);
		this.#recorder.restart();
		this.#skipped = undefined;
	}

	end(why: EndRecord['why']): void {
		if (this.#isEnded) return;
		if (this.#skipped && why !== 'full') this.#write(this.#skipped);
		this.#isEnded = true;
		if (this.#isStarted) this.#file.add({type: 'end', at: this.#lastMs, why});
	}

	#write(snapshot: Snapshot): void {
		this.#skipped = undefined;
		if (!this.#isStarted) {
			this.#isStarted = true;
			this.#firstMs = snapshot.atMs;
			this.#add({
				type: 'header',
				recording: formatName,
				format: formatVersion,
				version,
				cluster: snapshot.cluster,
				at: snapshot.atMs,
			});
		}

		this.#lastMs = snapshot.atMs;
		const record = this.#recorder.record(snapshot);
		if (!record || !this.#add(record)) return;
		this.snapshots++;
	}

	#add(record: FileRecord): boolean {
		const isWritten = this.#file.add(record);
		if (!isWritten) this.#onFull();
		return isWritten;
	}
}
