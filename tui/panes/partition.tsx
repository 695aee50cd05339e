/**
The partition: sentences first (sides, quorum, waiting messages), then times, then the matrix as far as there is room.
*/
import {Box} from 'ink';
import {memo, type ReactNode} from 'react';
import {labelsOf} from '../../core/observe/node-label.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Span} from '../view/columns.ts';
import {legend, matrixCells, matrixLines, partitionSentences, partitionTimes} from '../view/partition.ts';
import {wrapWords} from '../view/words.ts';
import {Lines} from '../widgets/lines.tsx';

type PartitionProps = {readonly snapshot: Snapshot; readonly width: number; readonly height: number};

/** Cells of the sentences beside the matrix. */
const sentenceCells = 30;

export const Partition = memo(({snapshot, width, height}: PartitionProps): ReactNode => {
	const {partition, self, members} = snapshot;
	const label = labelsOf(members);
	const spans = [...partitionSentences(snapshot), ...partitionTimes(snapshot)];
	const text = (cells: number): ReadonlyArray<readonly Span[]> =>
		spans.flatMap(({text: sentence, tone}) => wrapWords(sentence, cells).map(line => [{text: line, tone}]));
	const wide = text(width);
	const size = partition.order.length;
	const isWhole = size < 2 || wide.length + size + 3 <= height;
	const beside = Math.min(matrixCells(partition.order, label), width - sentenceCells - 2);
	// A low pane is wide, so the matrix is to the right of the sentences.
	if (
		isWhole ||
		matrixLines(partition, self, beside, height, label).length <=
			matrixLines(partition, self, width, height - wide.length - 1, label).length
	) {
		const matrix = matrixLines(partition, self, width, height - wide.length - 1, label);
		return (
			<Lines
				lines={[...wide, ...(matrix.length > 0 ? [[], ...matrix, legend] : [])]}
				width={width}
				height={height}
			/>
		);
	}

	return (
		<Box width={width} height={height} gap={2}>
			<Lines
				lines={[...text(width - beside - 2), [], ...wrapLegend(width - beside - 2)]}
				width={width - beside - 2}
				height={height}
			/>
			<Lines lines={matrixLines(partition, self, beside, height, label)} width={beside} height={height} />
		</Box>
	);
});

/** The legend in two lines if one is too short. */
function wrapLegend(width: number): ReadonlyArray<readonly Span[]> {
	return width >= 55 ? [legend] : [legend.slice(0, 5), legend.slice(5)];
}
