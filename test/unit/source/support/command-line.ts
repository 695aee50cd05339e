/** Runs the command line in this process, against a fake broker, with a home folder of its own. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, expect} from 'vitest';
import {FakeBroker, run, type Outcome, type RunOptions} from '../../../support/fakes.ts';
import * as snapshots from '../../../tui/support/fixtures.ts';

type CommandLine = {
	/** The home folder, with the secret of the cluster. It is removed after the tests of the file. */
	readonly home: string;
	/** Runs `dapss-tui` with these words; a text is split at its spaces. The broker is healthy unless given. */
	readonly dapss: (line: string | readonly string[], options?: RunOptions) => Promise<Outcome>;
};

export const healthy = (): FakeBroker => new FakeBroker(snapshots.healthy);

/** Call it once, at the top of a test file. */
export function commandLine(): CommandLine {
	const home = mkdtempSync(join(tmpdir(), 'dapss-cli-'));
	afterAll(() => rmSync(home, {recursive: true, force: true}));
	const secret = join(home, 'secret');
	writeFileSync(secret, 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
	return {
		home,
		dapss: (line, options = {}) =>
			run(typeof line === 'string' ? line.split(' ').filter(Boolean) : line, {
				broker: healthy(),
				cwd: home,
				...options,
				env: {HOME: home, DAPSS_SECRET_FILE: secret, ...options.env},
			}),
	};
}

/** Expects a wall time from `startedMs` to now, both in milliseconds since 1970. */
export function expectSince(startedMs: number, at: unknown): void {
	expect(at).toBeTypeOf('number');
	expect(at).toBeGreaterThanOrEqual(startedMs);
	expect(at).toBeLessThanOrEqual(Date.now());
}
