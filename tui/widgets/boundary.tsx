/**
Contains the failure of a pane: the pane shows the error, and the rest of the console and the node continue. The pane is
drawn again when `attempt` changes.
*/
import {Component, type ReactNode} from 'react';
import {printable} from '../../core/observe/printable.ts';
import {Lines} from './lines.tsx';

type BoundaryProps = {
	readonly name: string;
	readonly width: number;
	readonly height: number;
	readonly attempt: unknown;
	readonly children: ReactNode;
};

export class Boundary extends Component<
	BoundaryProps,
	{readonly problem: string | undefined; readonly attempt: unknown}
> {
	override state = {problem: undefined as string | undefined, attempt: this.props.attempt};

	static getDerivedStateFromError(error: unknown): {readonly problem: string} {
		return {problem: error instanceof Error ? error.message : String(error)};
	}

	static getDerivedStateFromProps(
		{attempt}: BoundaryProps,
		state: {readonly attempt: unknown},
	): {readonly problem: undefined; readonly attempt: unknown} | null {
		return attempt === state.attempt ? null : {problem: undefined, attempt};
	}

	override render(): ReactNode {
		const {name, width, height, children} = this.props;
		if (this.state.problem === undefined) return children;
		return (
			<Lines
				width={width}
				height={height}
				lines={[
					[{text: `${name} cannot be drawn; the node continues to run`, tone: 'bad'}],
					[{text: printable(this.state.problem), tone: 'muted'}],
				]}
			/>
		);
	}
}
