/**
`bench KIND`: measured by `bench/`, which is loaded for it.
*/
import type {Context} from '../context.ts';
import {expectInput} from '../input.ts';
import {parseNumber, parseSize} from '../values.ts';

const sizeMax = 8 * 1024 * 1024;

export async function run(context: Context): Promise<void> {
	const {flags, input, output, terminal} = context;
	expectInput(context, 1, 1, 'bench latency, throughput, reliability, partition or failover');
	const number = (text: string | undefined, what: string, min: number, isWhole = true): number | undefined => text === undefined ? undefined : parseNumber(text, what, {min, isWhole});
	const options = {
		nodes: number(flags.nodes, '--nodes', 1),
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
		output: output === 'json' ? 'json' : 'text',
		print: text => void terminal.line(text),
		say: line => terminal.say(line),
	});
}
