/**
The partition: sentences first (sides, quorum, waiting messages), then times, then the matrix as far as there is room.
*/
import {Box} from 'ink';
import {memo, type ReactNode} from 'react';
import {labelsOf} from '../../core/observe/node-label.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Span} from '../view/columns.ts';
import {
	legendLines,
	matrixCells,
	matrixLines,
	partitionSentences,
	partitionTimes,
	roundTrips,
} from '../view/partition.ts';
import {wrapWords} from '../view/words.ts';
import {Lines} from '../widgets/lines.tsx';

type PartitionProps = {readonly snapshot: Snapshot; readonly width: number; readonly height: number};

/** Cells of the sentences beside the matrix. */
const sentenceCells = 30;

export const Partition = memo(({snapshot, width, height}: PartitionProps): ReactNode => {
	const {partition, self, members} = snapshot;
	const label = labelsOf(members);
	const trips = roundTrips(members);
	const spans = [...partitionSentences(snapshot), ...partitionTimes(snapshot)];
	const text = (cells: number): ReadonlyArray<readonly Span[]> =>
		spans.flatMap(({text: sentence, tone}) => wrapWords(sentence, cells).map(line => [{text: line, tone}]));
	const wide = text(width);
	const size = partition.order.length;
	const legend = legendLines(width);
	const under = height - wide.length - 1 - legend.length;
	const isWhole = size < 2 || size + 1 <= under;
	const beside = Math.min(matrixCells(partition.order, label), width - sentenceCells - 2);
	// A low pane is wide, so the matrix is to the right of the sentences.
	if (
		isWhole ||
		matrixLines(partition, self, beside, height, label).length <=
			matrixLines(partition, self, width, under, label).length
	) {
		const matrix = matrixLines(partition, self, width, under, label, trips);
		return (
			<Lines
				lines={[...wide, ...(matrix.length > 0 ? [[], ...matrix, ...legend] : [])]}
				width={width}
				height={height}
			/>
		);
	}

	const narrow = width - beside - 2;
	return (
		<Box width={width} height={height} gap={2}>
			<Lines lines={[...text(narrow), [], ...legendLines(narrow)]} width={narrow} height={height} />
			<Lines lines={matrixLines(partition, self, beside, height, label)} width={beside} height={height} />
		</Box>
	);
});
