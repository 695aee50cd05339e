/** The events as text with their age, newest first. */
import {Box} from 'ink';
import {memo, type ReactNode} from 'react';
import type {RecordedEvent} from '../../core/events.ts';
import {windowStart} from '../state/state.ts';
import {eventSpan, shortAge} from '../view/words.ts';
import {Line} from '../widgets/lines.tsx';

type EventsProps = {
	readonly rows: readonly RecordedEvent[];
	readonly selected: number;
	/** Whole seconds, so that ages cause a redraw only once a second. */
	readonly atS: number;
	readonly isFocused: boolean;
	readonly width: number;
	readonly height: number;
};

export const Events = memo(({rows, selected, atS, isFocused, width, height}: EventsProps): ReactNode => {
	const start = windowStart(rows.length, selected, height);
	return (
		<Box flexDirection="column" width={width} height={height}>
			{rows.length === 0 ? <Line spans={[{text: 'nothing yet', tone: 'muted'}]} width={width} /> : null}
			{rows.slice(start, start + height).map((event, index) => {
				const {text, tone} = eventSpan(event);
				return (
					<Line
						key={`${event.at} ${text} ${index}`}
						width={width}
						isSelected={isFocused && start + index === selected}
						spans={[
							{text: `${shortAge(atS * 1000 - event.at).padStart(6)}  `, tone: 'muted'},
							{text, tone},
						]}
					/>
				);
			})}
		</Box>
	);
});
