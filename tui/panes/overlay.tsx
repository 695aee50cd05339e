/** Text over the panes: help, reports, and the details of a row. */
import type {ReactNode} from 'react';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Keymap} from '../input/keymap.ts';
import type {Box} from '../layout.ts';
import type {Overlay as OverlayState} from '../state/state.ts';
import {inspectorLines} from '../view/inspector.ts';
import {comparisonLines} from '../view/compare.ts';
import {
	eventLines,
	examinationLines,
	helpLines,
	peerLines,
	reportLines,
	reportTitle,
	topicLines,
	type Line,
} from '../view/reports.ts';
import {wrapWords} from '../view/words.ts';
import {wrapLines} from '../view/wrap.ts';
import {Frame, frameColumns, frameRows} from '../widgets/frame.tsx';
import {Lines} from '../widgets/lines.tsx';

export type OverlayText = {readonly title: string; readonly lines: readonly Line[]};

export function overlayText(
	overlay: OverlayState,
	snapshot: Snapshot | undefined,
	keymap: Keymap,
	width: number,
): OverlayText {
	if (overlay.type === 'help') return {title: 'Help', lines: helpLines(keymap)};
	if (overlay.type === 'doctor')
		return {title: 'Doctor', lines: examinationLines(overlay.examination, width - frameColumns)};
	if (overlay.type === 'lines') {
		const room = Math.max(20, width - frameColumns);
		const lines = overlay.lines.flatMap(text => (text === '' ? [''] : wrapWords(printable(text), room)));
		return {title: overlay.title, lines: lines.map(text => [{text: text.trimEnd(), tone: 'plain'}])};
	}

	if (!snapshot) return {title: 'Waiting', lines: [[{text: 'No snapshot of the node yet', tone: 'muted'}]]};
	switch (overlay.type) {
		case 'report':
			return {
				title: reportTitle(overlay.report),
				lines: wrapLines(reportLines(overlay.report, snapshot), width - frameColumns),
			};
		case 'event':
			return {title: 'Event', lines: eventLines(overlay.event, snapshot.atMs, width - frameColumns)};
		case 'message':
			return {
				title: 'Message',
				lines: inspectorLines(overlay, snapshot.atMs, width - frameColumns, snapshot.members),
			};
		case 'compare':
			return {
				title: `Compare with ${labelsOf(snapshot.members)(overlay.key)}`,
				lines: comparisonLines(snapshot, overlay.key, width - frameColumns),
			};
		case 'peer':
			return {
				title: `Peer ${labelsOf(snapshot.members)(overlay.key)}`,
				lines: peerLines(
					snapshot.members.find(member => member.id === overlay.key),
					overlay.key,
					labelsOf(snapshot.members),
				),
			};
		case 'topic':
			return {
				title: 'Topic',
				lines: topicLines(
					snapshot.topics.find(topic => topic.name === overlay.key),
					overlay.key,
					width - frameColumns,
					labelsOf(snapshot.members),
				),
			};
		default: {
			const unknown: never = overlay;
			return unknown;
		}
	}
}

export function Overlay({
	text: {title, lines},
	scroll,
	box,
}: {
	readonly text: OverlayText;
	readonly scroll: number;
	readonly box: Box;
}): ReactNode {
	const height = box.height - frameRows;
	const start = Math.max(0, Math.min(scroll, lines.length - height));
	const place =
		lines.length > height
			? [
					{
						text: `${start + 1}–${Math.min(start + height, lines.length)} of ${lines.length}`,
						tone: 'muted' as const,
					},
				]
			: [];
	return (
		<Frame width={box.width} height={box.height} name={title} title={place} isFocused>
			<Lines lines={lines.slice(start)} width={box.width - frameColumns} height={height} />
		</Frame>
	);
}
