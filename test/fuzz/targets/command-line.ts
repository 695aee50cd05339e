/** Configuration files and command lines: any input is accepted, or refused with a clear error. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {completeConfig} from '../../../core/config-schema.ts';
import {DapssError} from '../../../core/errors.ts';
import {flagTable} from '../../../source/arguments/flags.ts';
import {commands} from '../../../source/commands/command-table.ts';
import {parseArguments} from '../../../source/parse.ts';
import {defaultFile} from '../../../source/settings/names.ts';
import {loadSettings} from '../../../source/settings/settings.ts';
import {altered, bytes, damaged, hostileText} from '../arbitraries.ts';
import {must, target} from '../target.ts';

/** Runs the call; it may throw an error for people with one of these codes only. */
function mayRefuse(run: () => unknown, ...codes: readonly string[]): void {
	try {
		run();
	} catch (error) {
		if (!(error instanceof DapssError)) throw error;
		must(codes.includes(error.code), `one of ${codes.join(', ')}, got ${error.code}: ${error.message}`);
		must(error.message.length < 20_000, 'an error of bounded length');
	}
}

const complete = defaultFile();
const json = (given: unknown): string => JSON.stringify(given) ?? '';
const hasSecret = /cluster_secret|encryption_key/;

export const configTarget = target('configuration files', 700, () => {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-fuzz-'));
	const path = join(folder, 'config.json');
	const secret = Buffer.alloc(32, 7);
	return {
		inputs: fc.oneof(
			altered(complete).map(given => Buffer.from(json(given))),
			fc.json().map(text => Buffer.from(text)),
			damaged(Buffer.from(json(complete))),
			bytes(200),
			fc
				.tuple(hostileText, hostileText)
				.map(([name, given]) => Buffer.from(json({cluster: 'dapss', [name]: given}))),
		),
		check(content) {
			writeFileSync(path, content, {mode: 0o600});
			const env = {HOME: folder};
			mayRefuse(() => loadSettings({flags: {config: path}, env, cwd: folder}), 'config');
			if (hasSecret.test(content.toString())) return;
			let options: object | undefined;
			try {
				options = JSON.parse(content.toString()) as object;
			} catch {
				return; // Not JSON.
			}

			if (typeof options === 'object' && options !== null)
				mayRefuse(() => completeConfig({...options, data: '/d', secret}), 'config');
		},
		close: () => rmSync(folder, {recursive: true, force: true}),
	};
});

const words = [
	...commands.flatMap(({name, words: inner = []}) => [name, ...inner]),
	...Object.keys(flagTable).flatMap(name => [`--${name}`, `--${name}=1`]),
	'-o',
	'json',
	'--',
	'-',
	'--server',
	'127.0.0.1:5000',
	'--port',
	'5000',
];

export const argvTarget = target('command lines', 1000, () => ({
	inputs: fc.array(fc.oneof(fc.constantFrom(...words), hostileText, fc.string()), {maxLength: 8}),
	check(argv) {
		mayRefuse(() => parseArguments(argv, '1.0.0'), 'usage');
	},
}));
