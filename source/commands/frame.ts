/** `attach --snapshot`: prints one frame of the console, and ends. It needs no terminal. */
import type {Broker} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import type {Context} from '../context.ts';
import {existingPreferences} from '../settings/preferences.ts';

const formats = ['text', 'ansi', 'svg', 'json'] as const;
type Format = (typeof formats)[number];

/** The format and the size that the flags ask for. @throws `usage` */
export function frameWanted({flags}: Context): {
	readonly format: Format;
	readonly columns: number;
	readonly rows: number;
} {
	const format = formats.find(one => one === flags.snapshot);
	if (format === undefined)
		throw new DapssError(
			'usage',
			`Expected --snapshot to be text, ansi, svg or json, got ${JSON.stringify(flags.snapshot)}`,
		);
	const [, columns, rows] = /^(\d{2,3})x(\d{2,3})$/u.exec(flags.screen ?? '120x36') ?? [];
	if (columns === undefined || rows === undefined || Number(columns) < 60 || Number(rows) < 15)
		throw new DapssError(
			'usage',
			`Expected --screen to be columns and rows from 60x15 to 999x999, got ${JSON.stringify(flags.screen)}`,
		);
	return {format, columns: Number(columns), rows: Number(rows)};
}

export async function printFrame(context: Context, broker: Broker): Promise<void> {
	const wanted = frameWanted(context);
	// Whether the output is a terminal does not matter here. Ink reads this once, when it is loaded.
	process.env['FORCE_COLOR'] = wanted.format === 'ansi' || wanted.format === 'svg' ? '3' : '0';
	const [{frameOf}, {createSource}] = await Promise.all([
		import('../../tui/frame.tsx'),
		import('../../tui/client-source.ts'),
	]);
	using source = createSource(broker);
	while (source.getState().snapshot === undefined) {
		const changed = Promise.withResolvers<void>();
		const ignore = source.subscribe(() => changed.resolve());
		const why = await Promise.race([changed.promise, broker.closed]);
		ignore();
		if (typeof why === 'string') throw new DapssError('unreachable', `The node is gone: ${why}`);
	}

	const theme = existingPreferences(context.env, line => context.terminal.say(`Warning: ${line}`))?.theme;
	// Texts in the frame are printable; its control sequences are those of Ink.
	await context.terminal.print(`${frameOf({source, theme, ...wanted})}\n`);
}
