/**
The cases of Raft that one can name, as transcripts. A file is a comment (what, and the section of the paper), then
commands, `----` and what came of them, block by block. `UPDATE=1` writes down what comes of them now: read the
difference before you keep it.
*/
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {expect, it} from 'vitest';
import {RaftScript} from './raft-script.ts';

const folder = new URL('.', import.meta.url);

for (const name of readdirSync(folder)
	.filter(file => /^raft-.*\.txt$/.test(file))
	.toSorted()) {
	it(name, () => {
		const file = new URL(name, folder);
		const recorded = readFileSync(file, 'utf8');
		const replayed = replay(recorded);
		if (process.env['UPDATE'] === '1') writeFileSync(file, replayed);
		else expect(replayed).toBe(recorded);
	});
}

/** The same file with what came of its commands. */
function replay(recorded: string): string {
	const script = new RaftScript();
	const blocks = recorded
		.trimEnd()
		.split(/\n\n+/)
		.map(block => {
			const [input = ''] = block.split('\n----');
			const lines = input.split('\n');
			const commands = lines.filter(line => !line.startsWith('#') && line !== '');
			if (commands.length === 0) return input;
			return [input, '----', ...commands.flatMap(command => script.run(command))].join('\n');
		});
	return `${blocks.join('\n\n')}\n`;
}
