/**
A strict parser of the text format of Prometheus (version 0.0.4). It rejects what a scraper may tolerate: samples before
their type, a metric in two places, the same labels twice, a counter without `_total`.
*/
export type ParsedSample = {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number;
};
export type Family = {readonly help: string; readonly type: string; readonly samples: readonly ParsedSample[]};

const types = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);

/** @throws an `Error` with the number of the line */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
	if (!text.endsWith('\n')) throw new Error('The last line has no end');
	const families = new Map<string, {help: string; type: string; samples: ParsedSample[]}>();
	const seen = new Set<string>();
	let current = '';
	for (const [index, line] of text.split('\n').slice(0, -1).entries()) {
		const fail = (why: string): never => {
			throw new Error(`line ${index + 1}: ${why}: ${line}`);
		};
		if (line === '') continue;
		const head = /^# (?<kind>HELP|TYPE) (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<rest>.+)$/u.exec(line)?.groups;
		if (head) {
			const {kind, name = '', rest = ''} = head;
			if (kind === 'HELP') {
				if (families.has(name)) fail('described twice');
				families.set(name, {help: rest, type: '', samples: []});
				current = name;
			} else {
				const family = families.get(name);
				if (name !== current || !family || family.type !== '') return fail('a type without its help');
				if (!types.has(rest)) fail('an unknown type');
				// prom-client has gauges of the process that end so too.
				if (rest === 'counter' ? !name.endsWith('_total') : /^dapss_.*_total$/u.test(name))
					fail('counters end in _total, and nothing else');
				family.type = rest;
			}

			continue;
		}

		const sample =
			/^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<labels>.*)\})? (?<value>-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+?Inf)|Na[Nn])$/u.exec(
				line,
			)?.groups;
		const family = families.get(current);
		if (!sample || !family || family.type === '') return fail('no sample of a described metric');
		const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
		if (!suffixes.some(suffix => sample['name'] === current + suffix)) fail('a sample in a wrong place');
		const labels = parseLabels(sample['labels'] ?? '', fail);
		const value = Number(sample['value']!.replace('Inf', 'Infinity').replace('Nan', 'NaN'));
		if (family.type === 'counter' && !(value >= 0)) fail('a negative counter');
		const key = `${sample['name']} ${Object.entries(labels)
			.map(pair => JSON.stringify(pair))
			.toSorted()
			.join(' ')}`;
		if (seen.has(key)) fail('the same labels twice');
		seen.add(key);
		family.samples.push({name: sample['name']!, labels, value});
	}

	return families;
}

function parseLabels(text: string, fail: (why: string) => never): Record<string, string> {
	const labels: Record<string, string> = {};
	let rest = text;
	while (rest !== '') {
		const match = /^(?<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>(?:[^"\\\n]|\\["\\n])*)"(?:,|$)/u.exec(rest);
		if (!match) return fail('malformed labels');
		const {name = '', value = ''} = match.groups!;
		if (Object.hasOwn(labels, name)) fail('a label twice');
		labels[name] = value.replaceAll(/\\(?<escaped>["\\n])/gu, (_, escaped: string) =>
			escaped === 'n' ? '\n' : escaped,
		);
		rest = rest.slice(match[0].length);
	}

	return labels;
}
