/** Wait for an answer that no event announces. */
import {setTimeout as delay} from 'node:timers/promises';

const limitMs = 20_000;
const periodMs = 50;

/** Asks every 50 ms until the answer is expected; returns it. @throws after 20 s, with the last answer */
export async function pollUntil<Answer>(
	ask: () => Promise<Answer>,
	isExpected: (answer: Answer) => boolean,
	what: string,
): Promise<Answer> {
	const untilMs = performance.now() + limitMs;
	for (;;) {
		const answer = await ask();
		if (isExpected(answer)) return answer;
		if (performance.now() > untilMs) throw new Error(`Expected ${what}, got ${JSON.stringify(answer)}`);
		await delay(periodMs);
	}
}
