/**
Named cases of Raft as transcripts. A file starts with a comment (the case, and the section of the paper: § of Raft, or
the thesis). Blocks of commands, `----` and their events follow. `UPDATE=1` records the events of this version: read the
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

/** The same file with the events of its commands. */
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
