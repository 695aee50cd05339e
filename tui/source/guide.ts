/**
What explains the cluster beside the panes, step by step: the demo. Its keys come before those of the panes.
*/
import type {Tone} from '../theme.ts';

export type GuideState = {
	readonly title: string;
	/** What happens, and where to look; raw text. */
	readonly text: string;
	/** How the step ended; `undefined` while it runs. */
	readonly outcome: {readonly tone: Tone; readonly text: string} | undefined;
	readonly hints: ReadonlyArray<{readonly key: string; readonly word: string}>;
};

export type Guide = {
	/** For `useSyncExternalStore`: the same object until something changes. */
	getState(): GuideState;
	subscribe(onChange: () => void): () => void;
	/** @returns whether the key is one of the guide */
	press(key: string): boolean;
};
