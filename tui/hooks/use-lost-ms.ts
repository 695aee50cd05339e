/**
The time since the connection was lost. This is the only clock of the console: all other times come from the node.
*/
import {useEffect, useState} from 'react';

/** Milliseconds since `isLost` became true, updated each second; 0 while it is false. */
export function useLostMs(isLost: boolean): number {
	const [lostMs, setLostMs] = useState(0);
	useEffect(() => {
		if (!isLost) return undefined;
		const start = performance.now();
		const timer = setInterval(() => setLostMs(performance.now() - start), 1000);
		return () => {
			clearInterval(timer);
			setLostMs(0);
		};
	}, [isLost]);
	return isLost ? lostMs : 0;
}
