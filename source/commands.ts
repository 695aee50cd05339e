/**
The table of commands: usage, flags, examples. The parser, the help and the check for mistyped words read it; the code of a command
is loaded when it runs.
*/
import type {Command} from './context.ts';
import {clientFlags, nodeFlags} from './flags.ts';

const clusterView = (name: string, summary: string, examples: readonly string[], notes: readonly string[] = []): Command => ({
	name, summary, examples, notes,
	usage: [name],
	flags: clientFlags,
	formats: ['text', 'json'],
	load: () => import('./commands/views.ts').then(views => ({run: views.runView(name)})),
});

/** What `dapss-tui` does without a command. */
export const start: Command = {
	name: '',
	usage: ['[--port 5000] [--bootstrap 5000 | host:port]… [flags]', '--headless [-o text|jsonl] [flags]', 'COMMAND [flags]'],
	summary: 'A node and its console. Without a terminal, or with --headless, the node alone.',
	flags: [...nodeFlags, 'headless', 'readonly', 'output'],
	formats: ['text', 'jsonl'],
	examples: [
		'dapss-tui                                    start a node; a second one finds the first and joins it',
		'dapss-tui --port 5001 --bootstrap 5000       join through the node on port 5000 of this machine',
		'dapss-tui --headless -o jsonl --topics news  a node for scripts: one event a line',
	],
	load: () => import('./commands/node.ts'),
};

export const commands: readonly Command[] = [
	{
		name: 'attach',
		usage: ['attach [host:port]'],
		summary: 'The console on a node that runs elsewhere; leaving does not stop it.',
		flags: [...clientFlags.filter(name => name !== 'output'), 'readonly'],
		formats: ['text'],
		examples: ['dapss-tui attach', 'dapss-tui attach 10.0.0.7:5000 --secret-file cluster.secret'],
		load: () => import('./commands/attach.ts'),
	},
	{
		name: 'publish',
		usage: ['publish TOPIC MESSAGE', 'publish TOPIC -', 'publish TOPIC --size BYTES'],
		summary: 'Publish messages. Ends with 0 only when all of them are stored.',
		notes: ['With `-` every line of standard input is a message, byte for byte, without its newline.', 'A message that begins with a dash stands behind `--`.'],
		flags: [...clientFlags, 'count', 'rate', 'size'],
		formats: ['text', 'json'],
		examples: [
			'dapss-tui publish weather "rain from the west"',
			'tail -f app.log | dapss-tui publish logs -',
			'dapss-tui publish load --count 10000 --size 1k --rate 500',
			'dapss-tui publish numbers -- -5',
		],
		load: () => import('./commands/publish.ts'),
	},
	{
		name: 'subscribe',
		usage: ['subscribe TOPIC… [--count N] [--from now|beginning|OFFSET]'],
		summary: 'Print messages as they are delivered.',
		notes: [
			'text  one line a message, made printable; with several topics the topic stands first',
			'jsonl one line of JSON a message: topic, origin, incarnation, seq, lamport, size, payload or payload64, offset',
			'raw   the bytes of each message and a newline',
		],
		flags: [...clientFlags, 'count', 'from'],
		formats: ['text', 'jsonl', 'raw'],
		examples: ['dapss-tui subscribe weather', 'dapss-tui subscribe weather logs -o jsonl', 'dapss-tui subscribe weather --from beginning --count 10'],
		load: () => import('./commands/subscribe.ts'),
	},
	clusterView('status', 'How the node and its cluster stand.', ['dapss-tui status', 'dapss-tui status -o json --server 127.0.0.1:5001']),
	clusterView('peers', 'The members of the cluster as the node sees them.', ['dapss-tui peers', 'dapss-tui peers -o json']),
	{
		name: 'leader',
		usage: ['leader', 'leader transfer [NODE]'],
		summary: 'Who leads; or hand the lead to another voter, for a restart without an election.',
		notes: ['Ends with 12 when nobody leads. A node is named by its address, its port, or the first digits of its id; without one the voter that is furthest takes over.'],
		flags: clientFlags,
		formats: ['text', 'json'],
		examples: ['dapss-tui leader', 'dapss-tui leader transfer', 'dapss-tui leader transfer 5001 -o json'],
		load: () => import('./commands/leader.ts'),
	},
	{
		name: 'peer',
		usage: ['peer remove NODE'],
		summary: 'Take a member out of the cluster for good.',
		notes: ['Refused when the other voters would have no quorum. A removed node stops; to join again it needs an empty data folder.'],
		flags: clientFlags,
		formats: ['text', 'json'],
		examples: ['dapss-tui peer remove 5002', 'dapss-tui peer remove 3f9a -o json'],
		load: () => import('./commands/peer.ts'),
	},
	{
		name: 'recover',
		usage: ['recover --data DIR | --port PORT [--confirm NAME]'],
		summary: 'UNSAFE: make a stopped node the only voter of a new cluster, when the quorum is lost for good.',
		notes: [
			'Only when the missing voters cannot be started again: what was agreed and is not in this node\'s log is lost. Run it on one node only, the',
			'one whose log reaches furthest. Its messages and topics stay. The cluster gets a new id, and nodes of the old one are refused: they join',
			'again with empty data folders. It says all this with names, then asks for the cluster\'s name; without a terminal give it with --confirm.',
		],
		flags: ['data', 'port', 'confirm', 'cluster', 'config', 'output'],
		formats: ['text', 'json'],
		examples: ['dapss-tui recover --port 5001', 'dapss-tui recover --data /var/lib/dapss/5001 --confirm dapss'],
		load: () => import('./commands/recover.ts'),
	},
	clusterView('topics', 'The topics, who subscribes, and what is kept.', ['dapss-tui topics', 'dapss-tui topics -o json']),
	{
		name: 'check',
		usage: ['check'],
		summary: 'Is all well? If not, why, and what to do.',
		notes: ['Asks the quorum, so that a node which is cut off cannot say that all is well.', 'Ends with 0 healthy, 10 unhealthy, 11 no quorum, 12 no leader, 14 no node reached.'],
		flags: clientFlags,
		formats: ['text', 'json'],
		examples: ['dapss-tui check', 'dapss-tui check -o json || alert'],
		load: () => import('./commands/check.ts'),
	},
	{
		name: 'events',
		usage: ['events [--watch]'],
		summary: 'What happened lately on the node; with --watch also what happens from now on.',
		flags: [...clientFlags, 'watch'],
		formats: ['text', 'json', 'jsonl'],
		examples: ['dapss-tui events', 'dapss-tui events --watch -o jsonl'],
		load: () => import('./commands/events.ts'),
	},
	{
		name: 'fault',
		usage: ['fault cut A,B C [--one-way] [--for 10s]', 'fault delay TIME [--for 10s]', 'fault drop PERCENT [--for 10s]', 'fault heal'],
		summary: 'Cut, delay or drop traffic, for drills. The nodes must have been started with --faults.',
		notes: ['A node is named by its address, its port, or the first digits of its id. `cut C` cuts C off from the node that is asked.', '--one-way cuts only what the first group sends. `delay` and `drop` are for the node that is asked (--server), `heal` for all.'],
		flags: [...clientFlags, 'for', 'oneWay'],
		formats: ['text', 'json'],
		examples: ['dapss-tui fault cut 5000,5001 5002 --for 30s', 'dapss-tui fault delay 200ms --server 5001', 'dapss-tui fault drop 10 --for 1m', 'dapss-tui fault heal'],
		load: () => import('./commands/fault.ts'),
	},
	{
		name: 'bench',
		usage: ['bench latency | throughput | reliability | partition | failover'],
		summary: 'Measure a cluster of real processes on this machine, and hold it against bounds.',
		notes: ['Ends with 15 when a bound (--max-p99, --min-rate, --max-loss) was missed.'],
		flags: ['nodes', 'count', 'size', 'rate', 'runs', 'maxP99', 'minRate', 'maxLoss', 'output'],
		formats: ['text', 'json'],
		examples: ['dapss-tui bench throughput --size 1k', 'dapss-tui bench latency --rate 1000 --max-p99 5 -o json'],
		load: () => import('./commands/bench.ts'),
	},
	{
		name: 'config',
		usage: ['config'],
		summary: 'Every setting, its value, and where it came from.',
		flags: [...nodeFlags, 'output'],
		formats: ['text', 'json'],
		examples: ['dapss-tui config', 'DAPSS_PORT=5005 dapss-tui config -o json'],
		load: () => import('./commands/config.ts'),
	},
	{
		name: 'version',
		usage: ['version'],
		summary: 'The version of this program and of Node.',
		flags: ['output'],
		formats: ['text', 'json'],
		examples: ['dapss-tui version'],
		load: () => import('./commands/version.ts'),
	},
];
