/**
Runs test/scripts/swim-*.txt: actions on a cluster, a line `----`, and the reports of its nodes, in milliseconds since
the start of the block. `UPDATE=1` writes the actual reports back into the files; read the difference before you commit
it.

Commands: `nodes 3 [loss 10] [mute]` (mute: the machine of a dead process does not refuse connections), `cut a->b`,
`split a b | c d`, `heal`, `crash a`, `restart a`, `pause a 500`, `leave a`, `run 1000`, `matrix a` (draws which members
each node hears), `states a`.
*/
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {basename} from 'node:path';
import {expect, test} from 'vitest';
import {idOf, nameOf, SwimCluster, tickMs, type Seen} from '../../sim/swim-cluster.ts';

const names = (text: string): string[] => text.trim().split(/\s+/);

function line(seen: Seen, fromMs: number): string {
	const at = `${String(seen.atMs - fromMs).padStart(5)} ${seen.node}`;
	if (seen.type === 'member') return `${at} ${nameOf(seen.id)} ${seen.state}${seen.why && ` (${seen.why})`}`;
	return (
		`${at} ${seen.state} ${seen.sides.map(side => side.map(id => nameOf(id)).join(' ')).join(' | ')}, ` +
		`took ${seen.tookTicks * tickMs}`
	);
}

function matrix(cluster: SwimCluster, node: string): string[] {
	const {order, sees} = cluster.swim(node).status().matrix;
	return [
		'   ' + order.map(id => nameOf(id)).join(' '),
		...sees.map((row, index) => {
			const cells = row.map(heard => (heard === undefined ? ' ?' : heard ? ' x' : ' .'));
			return `${nameOf(order[index]!)} ${cells.join(' ')}`;
		}),
	];
}

function runScript(text: string): string {
	let cluster: SwimCluster | undefined;
	const blocks = text.trim().split(/\n\n/);
	return (
		blocks
			.map(block => {
				const commands = block.split('\n----')[0]!.split('\n');
				if (commands.every(command => command.startsWith('#'))) return block;
				const fromMs = cluster?.nowMs ?? 0;
				const drawn: string[] = [];
				for (const command of commands) {
					const [verb, ...rest] = names(command);
					if (verb === '#') continue;
					if (verb === 'nodes') {
						cluster = new SwimCluster({
							seed: 1,
							nodes: Number(rest[0]),
							loss: rest[1] === 'loss' ? Number(rest[2]) : 0,
							refuses: !rest.includes('mute'),
						});
						continue;
					}

					if (!cluster) throw new Error('Expected `nodes` first');
					switch (verb) {
						case 'cut': {
							const [from, to] = rest[0]!.split('->');
							cluster.cut(from!, to!);
							break;
						}

						case 'split': {
							cluster.partition(
								...rest
									.join(' ')
									.split('|')
									.map(side => names(side)),
							);
							break;
						}

						case 'heal': {
							cluster.heal();
							break;
						}

						case 'crash': {
							cluster.crash(rest[0]!);
							break;
						}

						case 'restart': {
							cluster.restart(rest[0]!);
							break;
						}

						case 'pause': {
							cluster.world.pause(idOf(rest[0]!), Number(rest[1]));
							break;
						}

						case 'leave': {
							cluster.swim(rest[0]!).leave();
							cluster.hosts.get(idOf(rest[0]!))!.pump();
							break;
						}

						case 'run': {
							cluster.run(Number(rest[0]));
							break;
						}

						case 'matrix': {
							drawn.push(...matrix(cluster, rest[0]!));
							break;
						}

						case 'states': {
							drawn.push(
								Object.entries(cluster.states(rest[0]!))
									.map(([name, state]) => `${name} ${state}`)
									.join(', '),
							);
							break;
						}

						default:
							throw new Error(`Expected a command, got \`${command}\``);
					}
				}

				const seen = (cluster?.since(fromMs) ?? []).map(each => line(each, fromMs));
				return [...commands, '----', ...seen, ...drawn].join('\n');
			})
			.join('\n\n') + '\n'
	);
}

for (const path of globSync(new URL('../../scripts/swim-*.txt', import.meta.url).pathname).toSorted()) {
	test(basename(path, '.txt'), () => {
		const text = readFileSync(path, 'utf8');
		const happened = runScript(text);
		if (process.env['UPDATE']) writeFileSync(path, happened);
		else expect(happened).toBe(text);
	});
}
