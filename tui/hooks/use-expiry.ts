/**
Removes a notice that has been shown for some seconds. Its age is measured by the snapshots of the node, so it stays
while no snapshot arrives. The notice of a running command stays until the result replaces it.
*/
import {useEffect, useRef} from 'react';
import type {Effect} from '../dispatch.ts';
import type {Notice} from '../state/state.ts';

/** How long a notice is shown, in milliseconds. */
const noticeMs = 10_000;

export function useExpiry(
	notice: Notice | undefined,
	atMs: number | undefined,
	apply: (effects: readonly Effect[]) => void,
): void {
	const shown = useRef<{readonly notice: Notice; readonly sinceMs: number}>(undefined);
	useEffect(() => {
		if (!notice || atMs === undefined || notice.tone === 'muted') return;
		// The clock of the node may be set back.
		if (shown.current?.notice !== notice || atMs < shown.current.sinceMs) shown.current = {notice, sinceMs: atMs};
		else if (atMs - shown.current.sinceMs >= noticeMs)
			apply([{type: 'change', action: {type: 'notice-expired', notice}}]);
	}, [notice, atMs, apply]);
}
