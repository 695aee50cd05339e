/**
The figures as one chart, over the number of nodes: the cost of a message per node, its hops, and the time to detect a
failure.
*/
type GossipRow = {
	readonly nodes: number;
	readonly loss: number;
	readonly packets: number;
	readonly bytes: number;
	readonly hopsMax: number;
	readonly hopsMean: number;
};
type SwimRow = {readonly nodes: number; readonly loss: number; readonly lastMs: number};
type Line = {
	readonly name: string;
	readonly colour: string;
	readonly isDashed: boolean;
	readonly points: ReadonlyArray<readonly [nodes: number, value: number]>;
};
type Panel = {readonly title: string; readonly lines: readonly Line[]};

const [width, height, left, top, bottom] = [320, 240, 46, 34, 64];
const blue = '#2f6fb7';
const red = '#c0504d';
const grey = '#8a8f98';

export function plot(gossip: readonly GossipRow[], swim: readonly SwimRow[]): string {
	const panels = [
		{title: 'frames per node and message', lines: byLoss(gossip, row => row.packets)},
		{title: 'bytes a node and message', lines: byLoss(gossip, row => row.bytes)},
		{
			title: 'hops',
			lines: [
				...byLoss(
					gossip.filter(({loss}) => loss === 0),
					row => row.hopsMax,
				).map(line => ({...line, name: 'most'})),
				...byLoss(
					gossip.filter(({loss}) => loss === 0),
					row => row.hopsMean,
				).map(line => ({...line, name: 'mean', colour: red})),
				{
					name: 'log2 n + 3',
					colour: grey,
					isDashed: true,
					points: gossip
						.filter(({loss}) => loss === 0)
						.map(({nodes}) => [nodes, Math.log2(nodes) + 3] as const),
				},
			],
		},
		{title: 'ms until all nodes detect a failure', lines: byLoss(swim, row => row.lastMs)},
	];
	const all = panels.map((panel, at) => `<g transform="translate(${at * width} 0)">${draw(panel)}</g>`);
	return (
		`<svg xmlns="http://www.w3.org/2000/svg" width="${panels.length * width}" height="${height}" viewBox="0 0 ` +
		`${panels.length * width} ${height}" font-family="sans-serif" font-size="11" fill="#333">\n<rect ` +
		`width="100%" height="100%" fill="#fff"/>\n${all.join('\n')}\n</svg>\n`
	);
}

function byLoss<Row extends {readonly nodes: number; readonly loss: number}>(
	rows: readonly Row[],
	value: (row: Row) => number,
): Line[] {
	return [...new Set(rows.map(({loss}) => loss))].map(loss => ({
		name: `${loss} % loss`,
		colour: loss === 0 ? blue : red,
		isDashed: false,
		points: rows.filter(row => row.loss === loss).map(row => [row.nodes, value(row)] as const),
	}));
}

function draw({title, lines}: Panel): string {
	const points = lines.flatMap(line => line.points);
	const sizes = [...new Set(points.map(([nodes]) => nodes))].toSorted((a, b) => a - b);
	const [least, most] = [Math.log(sizes[0] ?? 1), Math.log(sizes.at(-1) ?? 1)];
	const step = niceStep(Math.max(...points.map(([, value]) => value)));
	const ceiling = step * Math.ceil(Math.max(...points.map(([, value]) => value)) / step);
	const x = (nodes: number): number =>
		left + ((width - left - 20) * (Math.log(nodes) - least)) / Math.max(1, most - least);
	const y = (value: number): number => height - bottom - ((height - top - bottom) * value) / ceiling;
	const out = [`<text x="${left}" y="18" font-size="13" font-weight="bold">${title}</text>`];
	for (let value = 0; value <= ceiling; value += step)
		out.push(
			`<path d="M${left} ${y(value).toFixed(1)}H${width - 20}" stroke="#e3e6ea"/><text x="${left - 6}" ` +
				`y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value}</text>`,
		);
	for (const nodes of sizes)
		out.push(`<text x="${x(nodes).toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle">${nodes}</text>`);
	out.push(
		`<text x="${(left + width) / 2}" y="${height - bottom + 31}" text-anchor="middle" fill="${grey}">nodes</text>`,
	);
	for (const [at, {name, colour, isDashed, points: own}] of lines.entries()) {
		out.push(
			'<path ' +
				`d="M${own.map(([nodes, value]) => `${x(nodes).toFixed(1)} ${y(value).toFixed(1)}`).join('L')}" ` +
				`fill="none" stroke="${colour}" stroke-width="2"${isDashed ? ' stroke-dasharray="5 4"' : ''}/>`,
		);
		if (!isDashed)
			for (const [nodes, value] of own)
				out.push(`<circle cx="${x(nodes).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3" fill="${colour}"/>`);
		out.push(
			`<text x="${left + at * 88}" y="${height - 12}" fill="${colour}">${isDashed ? '┄' : '●'} ${name}</text>`,
		);
	}

	return out.join('');
}

/** Steps of 1, 2 or 5 times a power of ten: about five lines. */
function niceStep(most: number): number {
	const power = 10 ** Math.floor(Math.log10(most / 4));
	return [1, 2, 5, 10].map(factor => factor * power).find(step => most / step <= 6) ?? power;
}
