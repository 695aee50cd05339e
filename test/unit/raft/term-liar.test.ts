import {expect, test} from 'vitest';
import {RaftScript} from '../../scripts/raft-script.ts';

test.each(['heartbeat', 'vote', 'append-reply'])(
	'a member that sends a higher term in every %s stops the elections for a while only',
	type => {
		const script = new RaftScript();
		const quietly = (line: string): void => void script.run(`quietly ${line}`);
		quietly('cluster n1 n2 n3 learners n4');
		quietly('campaign n1');
		quietly('tick all 3');
		const fields = {
			heartbeat: {round: 1, commit: 0},
			vote: {lastIndex: 9, lastTerm: 9, isTransfer: true},
			'append-reply': {ok: false, index: 0, hintTerm: 0, rejected: 0},
		}[type];
		let term = 1;
		const lie = (): void => {
			for (const name of ['n1', 'n2', 'n3']) {
				const at = /in term (\d+)/.exec(script.run(`status ${name}`)[0]!)![1]!;
				term = Math.max(term, Number(at)) + 1000;
				quietly(`packet n4>${name} ${JSON.stringify({type, term, ...fields})}`);
			}
		};

		// Five packets in each tick. The elections in between fail.
		for (let tick = 0; tick < 20; tick++) {
			for (let count = 0; count < 5; count++) lie();
			quietly('tick all 1');
		}

		for (let tick = 0; tick < 60; tick++) {
			lie();
			quietly('tick all 1');
		}

		const leaders = ['n1', 'n2', 'n3'].filter(name => script.run(`status ${name}`)[0]!.includes('is leader'));
		expect(leaders).toHaveLength(1);
		expect(script.run(`propose ${leaders[0]} x`).join('\n')).toMatch(new RegExp(`${leaders[0]} applies .* x`));
		// The leader can remove the liar, and the terms are not used up.
		expect(script.run(`change ${leaders[0]} remove n4`).join('\n')).not.toContain('answers');
		expect(term).toBeLessThan(2 ** 20);
	},
);
