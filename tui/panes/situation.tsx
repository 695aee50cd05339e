/** The situation between the header and the panes: bars, and the panel while something is wrong. */
import type {ReactNode} from 'react';
import type {Situation} from '../../core/observe/situation.ts';
import type {Box} from '../layout.ts';
import type {Span} from '../view/columns.ts';
import {situationLines, type SituationKeys} from '../view/situation.ts';
import {Lines} from '../widgets/lines.tsx';

export function SituationBars({
	bars,
	box: {width, height},
}: {
	readonly bars: ReadonlyArray<readonly Span[]>;
	readonly box: Box;
}): ReactNode {
	return height > 0 ? <Lines lines={bars} width={width} height={height} /> : null;
}

export function SituationPanel({
	situation,
	box: {width, height},
	scroll,
	keys,
}: {
	readonly situation: Situation;
	readonly box: Box;
	readonly scroll: number;
	readonly keys: SituationKeys;
}): ReactNode {
	return <Lines lines={situationLines(situation, {width, height, scroll, keys})} width={width} height={height} />;
}
