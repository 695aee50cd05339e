/** Single panes as text, at a width below the 100 columns of ink-testing-library. */
import {cleanup, render} from 'ink-testing-library';
import {afterEach, expect, test} from 'vitest';
import {Partition} from '../../tui/panes/partition.tsx';
import {Topics} from '../../tui/panes/topics.tsx';
import {c, healthy, member, partitioned, topic} from './support/fixtures.ts';

afterEach(cleanup);

test('topics have one line each, a mark for subscribed ones, and printable names', () => {
	const rows = [topic('weather', {subscribed: true, messages: 1200}), topic('\u001B[2Jnews\r\nrow')];
	const {lastFrame} = render(<Topics rows={rows} selected={0} isFiltered={false} isFocused width={60} height={5} />);
	const lines = lastFrame()!.split('\n');
	expect(lines[0]).toMatch(/IN +TOPIC +SUBS +MSGS/);
	expect(lines[1]).toMatch(/✓ +weather.*1\.2k|✓ +weather.*1,?200/);
	expect(lines[2]).toContain('␛[2Jnews');
	expect(lines.length).toBeLessThanOrEqual(5);
});

test('a partition names the side with the quorum first', () => {
	const {lastFrame} = render(<Partition snapshot={partitioned} width={80} height={14} />);
	expect(lastFrame()).toMatch(/^CUT into 2/);
	expect(lastFrame()).toContain('QUORUM');
	expect(lastFrame()).toContain('no quorum');
});

test('a crash is not shown as a cut', () => {
	const snapshot = {
		...healthy,
		members: healthy.members.map(one =>
			one.id === c ? member(c, {state: 'down', why: 'connection refused'}) : one,
		),
	};
	const {lastFrame} = render(<Partition snapshot={snapshot} width={80} height={14} />);
	expect(lastFrame()).toContain('2 of 3 members see one another, 1 gone');
});
