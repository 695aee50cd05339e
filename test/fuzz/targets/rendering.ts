/** What people see on a terminal: no text of a node, a publisher or a file controls it. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {decode} from '../../../core/codec.ts';
import {eventText} from '../../../core/observe/event-text.ts';
import {fitCells, printable, printableBytes, widthOf} from '../../../core/observe/printable.ts';
import {withoutControls} from '../../../core/remote/plain-text.ts';
import {receiveEvents, snapshotOf} from '../../../core/remote/received.ts';
import {encodeFrame} from '../../../core/remote/protocol.ts';
import type {RecordedEvent} from '../../../core/events.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {FakeBroker, run} from '../../support/fakes.ts';
import {events, healthy} from '../../tui/support/fixtures.ts';
import {altered, bytes, hostileText, packed} from '../arbitraries.ts';
import {must, target} from '../target.ts';

/** C0 but the newline, DEL, C1, and characters that reorder or hide text. */
// oxlint-disable-next-line no-control-regex
const hostile = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/u;
const format = {duration: String, count: String, nodesMax: 3, previewBytes: 20};

export const textTarget = target('hostile texts', 3000, () => ({
	inputs: fc.tuple(hostileText, bytes(100), fc.nat(40), fc.oneof(...events.map(event => altered(event)))),
	check([text, body, width, event]) {
		must(!hostile.test(printable(text)), 'no control character in a printable text');
		must(!hostile.test(printableBytes(body)), 'no control character in printable bytes');
		must(widthOf(fitCells(printable(text), width)) === width, 'a text of the width that was asked for');
		let frame: Buffer;
		try {
			frame = encodeFrame('event', [1, [event]]);
		} catch {
			return; // Some values have no MessagePack form.
		}

		for (const received of receiveEvents(frame)?.events ?? [])
			must(!hostile.test(eventText(received as RecordedEvent, format).text), 'no control character in an event');
	},
}));

/** The snapshot as a client receives it. */
function receivedOf(value: unknown): Snapshot | undefined {
	return snapshotOf(withoutControls(decode(packed(value))));
}

const views = ['status', 'peers', 'topics', 'leader', 'check', 'events'] as const;

/** Commands on a terminal, at a node whose snapshot is altered: those that pass the check can be shown. */
export const viewTarget = target('hostile snapshots', 400, () => {
	const home = mkdtempSync(join(tmpdir(), 'dapss-fuzz-'));
	const secret = join(home, 'secret');
	writeFileSync(secret, 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
	return {
		inputs: fc.tuple(fc.constantFrom(...views), altered(healthy)),
		async check([view, value]) {
			const snapshot = receivedOf(value);
			if (!snapshot) return;
			const {out, err} = await run([view], {
				broker: new FakeBroker(snapshot),
				cwd: home,
				env: {HOME: home, DAPSS_SECRET_FILE: secret, NO_COLOR: '1'},
				isTerminal: true,
			});
			must(!/\n\s+at /u.test(err), `no exception, got ${err}`);
			must(!hostile.test(out + err), `no control character in ${JSON.stringify(out + err)}`);
		},
		close: () => rmSync(home, {recursive: true, force: true}),
	};
});
