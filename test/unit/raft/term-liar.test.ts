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

test.each(['heartbeat', 'append', 'snapshot'])(
	'a learner that sends the %s of a leader leads nobody, whether or not there is a leader',
	type => {
		const script = new RaftScript();
		const quietly = (line: string): void => void script.run(`quietly ${line}`);
		quietly('cluster n1 n2 n3 learners n4');
		quietly('campaign n1');
		quietly('tick all 3');
		const fields = {
			heartbeat: {round: 1, commit: 0},
			append: {prevIndex: 0, prevTerm: 0, commit: 0, entries: []},
			snapshot: {
				index: 99,
				snapshotTerm: 1,
				configuration: {voters: ['4'.padStart(16, '0')], learners: []},
				offset: 0,
				size: 0,
				data: [],
			},
		}[type];
		const lie = (term: number): void => {
			for (const name of ['n1', 'n2', 'n3'])
				quietly(`packet n4>${name} ${JSON.stringify({type, term, ...fields})}`);
		};

		lie(50);
		expect(script.run('status n1')[0]).toContain('is leader');
		// Without a leader for a while, they may follow it, because it may have become a voter. They elect a leader.
		quietly('crash n1');
		for (let tick = 0; tick < 120; tick++) {
			lie(60);
			quietly('tick all 1');
		}

		const leaders = ['n2', 'n3'].filter(name => script.run(`status ${name}`)[0]!.includes('is leader'));
		expect(leaders).toHaveLength(1);
		expect(script.run(`propose ${leaders[0]} x`).join('\n')).toMatch(new RegExp(`${leaders[0]} applies .* x`));
	},
);

test('a node that was away follows a leader whose term was raised meanwhile, once the voters confirm the term', () => {
	const script = new RaftScript();
	const quietly = (line: string): void => void script.run(`quietly ${line}`);
	quietly('cluster n1 n2 n3 learners n4');
	quietly('campaign n1');
	quietly('tick all 3');
	quietly('isolate n3');
	quietly('isolate n4');
	// As a liar may do, a sixteenth of the terms at a time.
	const far = 2 ** 46;
	quietly(`node n1 log 1 commit 1 term ${far} vote n1`);
	quietly(`node n2 log 1 commit 1 term ${far} vote n1`);
	quietly('campaign n1');
	quietly('tick all 3');
	quietly('heal');
	quietly('tick all 40');
	for (const name of ['n3', 'n4']) expect(script.run(`status ${name}`)[0]).toContain(`in term ${far + 1}`);
	expect(script.run('propose n1 x').join('\n')).toMatch(/n4 applies .* x/);
});
