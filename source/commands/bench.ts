/**
`bench KIND`: runs a benchmark of `bench/`, which is loaded on demand.
*/
import {DapssError} from '../../core/errors.ts';
import {written, type FlagName, type Flags} from '../arguments/flags.ts';
import {expectInput} from '../arguments/input.ts';
import {parseNumber, parseSize} from '../arguments/values.ts';
import type {Context} from '../context.ts';

const sizeMax = 8 * 1024 * 1024;
/** Each node is a process. */
const nodesMax = 64;

/** The flags of each benchmark. A bound that a benchmark does not measure would always pass, so it is refused. */
const kinds: ReadonlyMap<string, {readonly nodesMin: number; readonly flags: readonly FlagName[]}> = new Map([
	['latency', {nodesMin: 1, flags: ['nodes', 'count', 'size', 'rate', 'maxP99', 'maxLoss']}],
	['throughput', {nodesMin: 1, flags: ['nodes', 'count', 'size', 'runs', 'maxP99', 'minRate', 'maxLoss']}],
	['reliability', {nodesMin: 1, flags: ['nodes', 'count', 'size', 'rate', 'maxLoss']}],
	['partition', {nodesMin: 3, flags: ['nodes', 'size', 'runs', 'maxLoss']}],
	['failover', {nodesMin: 3, flags: ['nodes', 'runs', 'maxP99']}],
]);

export async function run(context: Context): Promise<void> {
	const {flags, input, output, terminal} = context;
	expectInput(context, 1, 1, 'bench latency, throughput, reliability, partition or failover');
	const nodesMin = expectKind(input[0]!, flags);
	const number = (text: string | undefined, what: string, min: number, isWhole = true): number | undefined =>
		text === undefined ? undefined : parseNumber(text, what, {min, isWhole});
	const options = {
		nodes:
			flags.nodes === undefined ? undefined : parseNumber(flags.nodes, '--nodes', {min: nodesMin, max: nodesMax}),
		count: number(flags.count, '--count', 1),
		size: flags.size === undefined ? undefined : parseSize(flags.size, '--size', sizeMax),
		rate: number(flags.rate, '--rate', 0.001, false),
		runs: number(flags.runs, '--runs', 1),
		maxP99: number(flags.maxP99, '--max-p99', 0, false),
		minRate: number(flags.minRate, '--min-rate', 0, false),
		maxLoss: number(flags.maxLoss, '--max-loss', 0),
	};
	const {runBench} = await import('../../bench/index.ts');
	await runBench(input[0]!, {
		...options,
		report: flags.report,
		output: output === 'json' ? 'json' : 'text',
		print: text => void terminal.line(text),
		say: line => terminal.say(line),
	});
}

/**
The minimum number of nodes of a benchmark.
@throws `usage` for an unknown benchmark, and for flags that it does not take
*/
function expectKind(kind: string, flags: Flags): number {
	const known = kinds.get(kind);
	if (!known)
		throw new DapssError('usage', `Expected bench ${[...kinds.keys()].join(', ')}, got ${JSON.stringify(kind)}`);
	const all = new Set([...kinds.values()].flatMap(({flags: names}) => names));
	const idle = [...all].find(name => flags[name] !== undefined && !known.flags.includes(name));
	if (idle !== undefined)
		throw new DapssError(
			'usage',
			`Expected bench ${kind} without ${written(idle)}, which it does not use; ` +
				`it takes ${known.flags.map(name => written(name)).join(', ')}`,
		);
	return known.nodesMin;
}
