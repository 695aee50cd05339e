import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {layOut, paneIds, type Box, type Layout} from '../../tui/layout.ts';

/**
The layout as a drawing: one letter per pane, capital when open; `=` header, `!` bars, `S` situation, `>` prompt, `?`
hints. One
character is `scale` cells.
*/
function draw(layout: Layout, columns: number, rows: number, scaleX = 4, scaleY = 1): string {
	if (layout.type === 'too-small') return 'too small';
	const grid = Array.from({length: rows}, () => Array.from({length: columns}, () => '.'));
	const fill = ({x, y, width, height}: Box, mark: string): void => {
		for (let row = y; row < y + height; row++)
			for (let column = x; column < x + width; column++)
				grid[row]![column] = grid[row]![column] === '.' ? mark : '#';
	};

	fill(layout.header, '=');
	fill(layout.bars, '!');
	fill(layout.situation, 'S');
	fill(layout.prompt, '>');
	fill(layout.hints, '?');
	for (const place of layout.rows.flat())
		fill(place, place.shape === 'open' ? place.pane[0]!.toUpperCase() : place.pane[0]!);
	return grid
		.filter((_, row) => row % scaleY === 0)
		.map(row => row.filter((_, column) => column % scaleX === 0).join(''))
		.join('\n');
}

// Peers and Partition share a letter; they are never next to each other.
describe('layout', () => {
	test('at 80×24 the focused pane is open, and the others have one line each', () => {
		expect(
			draw(layOut({columns: 80, rows: 24, focus: 'messages', zoom: false, bars: 1, situation: 0}), 80, 24),
		).toBe(
			[
				'====================',
				'!!!!!!!!!!!!!!!!!!!!',
				'pppppppppppppppppppp',
				'rrrrrrrrrrrrrrrrrrrr',
				'tttttttttttttttttttt',
				...Array.from({length: 16}, () => 'MMMMMMMMMMMMMMMMMMMM'),
				'pppppppppppppppppppp',
				'eeeeeeeeeeeeeeeeeeee',
				'>>>>>>>>>>>>>>>>>>>>',
			].join('\n'),
		);
	});

	test('at 120×30 all six panes are open, in three rows of two', () => {
		expect(
			draw(layOut({columns: 120, rows: 30, focus: 'peers', zoom: false, bars: 0, situation: 0}), 120, 30, 10, 3),
		).toBe(
			[
				'============',
				'PPPPPPPPRRRR',
				'PPPPPPPPRRRR',
				'MMMMMMMMTTTT',
				'MMMMMMMMTTTT',
				'MMMMMMMMTTTT',
				'MMMMMMMMTTTT',
				'PPPPPPEEEEEE',
				'PPPPPPEEEEEE',
				'PPPPPPEEEEEE',
			].join('\n'),
		);
	});

	test('zoom shows one pane only', () => {
		expect(
			draw(layOut({columns: 160, rows: 45, focus: 'events', zoom: true, bars: 0, situation: 0}), 160, 45, 40, 9),
		).toBe('====\nEEEE\nEEEE\nEEEE\nEEEE');
	});

	test('below 60×15 there is no layout', () => {
		expect(layOut({columns: 59, rows: 40, focus: 'peers', zoom: false, bars: 0, situation: 0}).type).toBe(
			'too-small',
		);
		expect(layOut({columns: 200, rows: 14, focus: 'peers', zoom: false, bars: 0, situation: 0}).type).toBe(
			'too-small',
		);
		expect(layOut({columns: 60, rows: 15, focus: 'peers', zoom: false, bars: 9, situation: 0}).type).toBe('panes');
	});

	test('at 80×24 the situation takes what it needs, and the focused pane the rest', () => {
		const small = layOut({columns: 80, rows: 24, focus: 'messages', zoom: false, bars: 0, situation: 8});
		expect(draw(small, 80, 24)).toBe(
			[
				'====================',
				...Array.from({length: 8}, () => 'SSSSSSSSSSSSSSSSSSSS'),
				'pppppppppppppppppppp',
				'rrrrrrrrrrrrrrrrrrrr',
				'tttttttttttttttttttt',
				...Array.from({length: 9}, () => 'MMMMMMMMMMMMMMMMMMMM'),
				'pppppppppppppppppppp',
				'eeeeeeeeeeeeeeeeeeee',
				'>>>>>>>>>>>>>>>>>>>>',
			].join('\n'),
		);
		const large = layOut({columns: 80, rows: 24, focus: 'messages', zoom: false, bars: 0, situation: 30});
		expect(large).toMatchObject({hidesFocus: true, situation: {height: 19}});
		expect(draw(large, 80, 24)).toBe(
			[
				'====================',
				...Array.from({length: 19}, () => 'SSSSSSSSSSSSSSSSSSSS'),
				'ppppprrrrrtttttppppp',
				'mmmmmmmmmmmmmmmmmmmm',
				'eeeeeeeeeeeeeeeeeeee',
				'>>>>>>>>>>>>>>>>>>>>',
			].join('\n'),
		);
	});

	test('on a large screen the situation takes at most half of the rows', () => {
		const layout = layOut({columns: 160, rows: 45, focus: 'peers', zoom: false, bars: 1, situation: 60});
		expect(layout).toMatchObject({hidesFocus: false, situation: {y: 2, height: 20}, body: {height: 41}});
	});

	test('every cell of every size is covered exactly once, and every open pane has room for a row', () => {
		fc.assert(
			fc.property(
				fc.integer({min: 60, max: 300}),
				fc.integer({min: 15, max: 100}),
				fc.constantFrom(...paneIds),
				fc.boolean(),
				fc.nat(5),
				fc.nat(40),
				(columns, rows, focus, zoom, bars, situation) => {
					const layout = layOut({columns, rows, focus, zoom, bars, situation});
					const drawing = draw(layout, columns, rows, 1, 1);
					expect(drawing).not.toMatch(/[.#]/);
					if (layout.type === 'too-small') throw new Error('unreachable');
					const places = layout.rows.flat();
					if (!zoom) expect(places.map(place => place.pane).toSorted()).toEqual(paneIds.toSorted());
					if (!layout.hidesFocus) expect(places.find(place => place.pane === focus)?.shape).toBe('open');
					for (const place of places.filter(({shape}) => shape === 'open')) {
						expect(place.height).toBeGreaterThanOrEqual(3);
						expect(place.width).toBeGreaterThanOrEqual(38);
					}
				},
			),
		);
	});
});
