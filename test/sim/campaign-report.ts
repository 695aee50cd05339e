/** The figures of all campaigns, from `ledger.jsonl`, as the part of `docs/simulator.md` between two marks. */

/** A line of the ledger: a range of seeds with its results, or a failed seed that passes now. */
export type LedgerLine = {
	readonly from?: number;
	readonly to?: number;
	readonly commit: string;
	readonly failed?: readonly number[];
	readonly holds?: number;
	readonly virtualHours?: number;
	readonly events?: number;
	readonly faults?: number;
	readonly counts?: Readonly<Record<string, number>>;
};
type Range = Required<Omit<LedgerLine, 'holds'>>;

const begin = '<!-- figures of the campaigns, written by `npm run sim:campaign` -->';
const end = '<!-- end of the figures -->';

/** The rows of the table: a text, and the counters of the ledger that it sums. */
const rows: ReadonlyArray<readonly [text: string, ...counters: readonly string[]]> = [
	['power cuts of one node', 'power'],
	['kills of one node', 'kill'],
	['storms and blackouts', 'storm', 'blackout'],
	['cuts (a side, one node, one direction, a ring)', 'split', 'isolate', 'one-way', 'ring'],
	['blocked TCP or UDP', 'block-tcp', 'block-udp'],
	['congested links', 'clog'],
	['pauses', 'pause'],
	['clock jumps', 'clock-jump'],
	['EIO and ENOSPC', 'eio', 'enospc'],
	['disks that stay full', 'full-disk'],
	['times without a free descriptor', 'few-files'],
	['damaged or cut topic logs', 'rot-topic', 'truncate'],
	['damaged Raft logs', 'rot-raft'],
	['lost disks', 'wipe'],
	['copied disks', 'copy'],
	['moves, swaps and reuse of addresses', 'move', 'swap', 'rotate', 'reuse'],
	['nodes with another version or secret', 'other-version', 'other-key'],
	['joins', 'join'],
	['removals', 'remove'],
	['created and deleted topics', 'create-topic', 'delete-topic'],
	['followers', 'follower'],
];

const number = (value: number): string => value.toLocaleString('en-US');
const millions = (value: number): string => `${number(Math.round(value / 1_000_000))} million`;

/** Failed seeds that do not pass yet. */
export function openFailures(lines: readonly LedgerLine[]): number[] {
	return [...new Set(lines.flatMap(({failed = []}) => failed))].filter(
		seed => !lines.some(({holds}) => holds === seed),
	);
}

/** The figures as Markdown. */
export function figuresOf(lines: readonly LedgerLine[]): string {
	const ranges = lines.filter(({from}) => from !== undefined) as readonly Range[];
	const sum = (value: (range: Range) => number): number => ranges.reduce((total, range) => total + value(range), 0);
	const seeds = ({from, to}: Range): number => to - from + 1;
	const failed = new Set(ranges.flatMap(range => range.failed));
	const open = openFailures(lines);
	const newest = ranges.filter(({commit}) => commit === ranges.at(-1)!.commit);
	const times = (names: readonly string[]): number =>
		sum(({counts}) => names.reduce((total, name) => total + (counts[name] ?? 0), 0));
	return [
		`${number(sum(seeds))} seeds, ${number(Math.round(sum(({virtualHours}) => virtualHours)))} virtual hours, ${millions(sum(({events}) => events))} events, ${millions(sum(({faults}) => faults))} faults.`,
		`${number(failed.size)} seeds failed, ${open.length === 0 ? 'and all of them pass now' : `and ${open.length} of them still do: ${open.join(', ')}`}.`,
		`The newest commit ran ${number(newest.reduce((total, range) => total + seeds(range), 0))} seeds (${newest[0]!.from}–${newest.at(-1)!.to}). Of these, ${newest.flatMap(range => range.failed).length} failed.`,
		'',
		'| fault | times |',
		'|---|---:|',
		...rows.map(([text, ...names]) => `| ${text} | ${number(times(names))} |`),
	].join('\n');
}

/** The page with these figures. @throws when the marks are missing */
export function withFigures(page: string, lines: readonly LedgerLine[]): string {
	const [before, rest] = page.split(begin);
	const after = rest?.split(end)[1];
	if (after === undefined) throw new Error(`Expected the marks ${begin} and ${end} in docs/simulator.md`);
	return `${before}${begin}\n\n${figuresOf(lines)}\n\n${end}${after}`;
}
