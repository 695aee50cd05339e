/**
`publish TOPIC [MESSAGE | -]`: ends with 0 only when every message is stored.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {DapssError} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {messagesText, topicText} from '../../core/observe/topic-text.ts';
import {endsLinesWithReturn} from '../../core/platform.ts';
import {expectInput} from '../arguments/input.ts';
import {parseNumber, parseSize} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {reach} from '../nodes/reach.ts';
import {timeText} from '../output/units.ts';
import {Batches, linesOf} from '../process/batches.ts';
import {interruptible} from '../process/interruptible.ts';
import {interruptedBy} from '../process/signals.ts';
import {topicOf} from './subscribe.ts';

/** Bytes of a frame besides the body: header, topic and signature of the batch, and the header of the frame. */
const overheadBytes = 1024;
/** How long an interrupted command waits for the acknowledgements of sent messages, milliseconds. */
const answersMs = 1000;
/** Interval of the progress lines of a long publish, milliseconds. */
const progressMs = 5000;

export async function run(context: Context): Promise<void> {
	const {flags, input, terminal, signal, output} = context;
	expectInput(context, 1, 2, 'publish TOPIC MESSAGE');
	const topic = topicOf(input[0]!);
	const bodyMax = context.settings().tunables.limits.frameBytes - overheadBytes;
	const rate = flags.rate === undefined ? undefined : parseNumber(flags.rate, '--rate', {min: 0.001, isWhole: false});
	const source = sourceOf(context, bodyMax);

	await using broker = await reach(context, undefined, {topics: [topic]});
	const startMs = performance.now();
	const batches = new Batches(broker, topic, bodyMax);
	const progress = watched(context, batches);
	try {
		await interruptible(pump(source, batches, rate, signal), signal);
	} catch (error) {
		if (signal.aborted)
			await Promise.race([batches.end().catch(() => undefined), sleep(answersMs, undefined, {ref: false})]);
		const {stored, taken} = batches;
		if (!(error instanceof DapssError)) throw error;
		// Sent messages without an acknowledgement may be stored or not.
		const open = signal.aborted && taken > stored ? `, ${taken - stored} more may be` : '';
		throw new DapssError(
			error.code,
			`${error.message} (${messagesText(stored)} ${stored === 1 ? 'is' : 'are'} stored${open})`,
			{cause: error, details: {...error.details, stored}},
		);
	} finally {
		clearInterval(progress);
	}

	const tookMs = Math.round(performance.now() - startMs);
	if (output === 'json')
		await terminal.line(jsonText({topic, ...batches.totals, count: batches.stored, bytes: batches.bytes, tookMs}));
	else {
		const {totals} = batches;
		const {members} = await broker.snapshot();
		const where = totals
			? ` (${labelsOf(members)(totals.origin)} ` +
				`#${totals.firstSeq}${totals.lastSeq === totals.firstSeq ? '' : `–${totals.lastSeq}`})`
			: '';
		await terminal.line(`${messagesText(batches.stored)} stored in ${printable(topicText(topic))}${where}`);
	}
}

/** Progress for a person at a terminal, unless that person types the messages. */
function watched({flags, input, terminal}: Context, batches: Batches): NodeJS.Timeout | undefined {
	const isTyped = input[1] === '-' && terminal.stdin.isTTY === true;
	if (!terminal.isWatched || isTyped) return undefined;
	const of = flags.count === undefined ? '' : ` of ${flags.count}`;
	let reported = 0;
	let ms = 0;
	return setInterval(() => {
		ms += progressMs;
		if (batches.stored > reported)
			terminal.say(`${batches.stored}${of} messages are stored, after ${timeText(ms)} …`);
		reported = batches.stored;
	}, progressMs).unref();
}

async function pump(
	source: AsyncIterable<readonly Uint8Array[]>,
	batches: Batches,
	rate: number | undefined,
	signal: AbortSignal,
): Promise<void> {
	const startMs = performance.now();
	let sent = 0;
	try {
		for await (const bodies of source) {
			for (const body of bodies) {
				if (rate !== undefined) {
					const waitMs = startMs + (sent * 1000) / rate - performance.now();
					if (waitMs > 0) {
						batches.flush();
						await sleep(waitMs, undefined, {signal});
					}
				}

				if (signal.aborted) throw interruptedBy(signal);
				const room = batches.add(body);
				if (room) await room;
				sent++;
			}

			batches.flush(); // The next line may take long, so the gathered messages are sent now.
		}
	} catch (error) {
		await batches.end(); // Messages before the error are still stored, or their own error is reported.
		throw error;
	}

	await batches.end();
}

function sourceOf(context: Context, bodyMax: number): AsyncIterable<readonly Uint8Array[]> {
	const {flags, input, terminal} = context;
	const message = input[1];
	if (message === '-') {
		if (flags.count !== undefined || flags.size !== undefined)
			throw new DapssError(
				'usage',
				'Expected no --count and no --size with `-`: every line of standard input is a message',
			);
		return linesOf(terminal.stdin, bodyMax, endsLinesWithReturn());
	}

	const count = flags.count === undefined ? 1 : parseNumber(flags.count, '--count', {min: 1});
	if (message !== undefined) {
		if (flags.size !== undefined) throw new DapssError('usage', 'Expected a message or --size, got both');
		const body = Buffer.from(message);
		if (body.length > bodyMax)
			throw new DapssError(
				'too-large',
				`Expected a message of at most ${bodyMax} bytes (limits.frame_bytes and room for a header), ` +
					`got ${body.length}`,
			);
		return repeat(count, () => body);
	}

	if (flags.size === undefined)
		throw new DapssError(
			'usage',
			'Expected publish TOPIC MESSAGE; `-` reads a message a line from standard input, --size BYTES makes one up',
		);
	const size = parseSize(flags.size, '--size', bodyMax);
	return repeat(count, index => Buffer.from(`${index + 1} `.padEnd(size, 'x').slice(0, size)));
}

async function* repeat(count: number, make: (index: number) => Uint8Array): AsyncGenerator<readonly Uint8Array[]> {
	for (let index = 0; index < count;) {
		const bodies: Uint8Array[] = [];
		for (; index < count && bodies.length < 256; index++) bodies.push(make(index));
		yield bodies;
	}
}
