/**
`version`: the version of the program, and of its runtime.
*/
import {jsonText} from '../../core/observe/json-text.ts';
import {version} from '../../core/version.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';

export async function run(context: Context): Promise<void> {
	const {terminal, output} = context;
	expectInput(context, 0, 0, 'version without arguments');
	const {node, openssl} = process.versions;
	await terminal.line(
		output === 'json'
			? jsonText({version, node, openssl, platform: process.platform, arch: process.arch})
			: `dapss-tui ${version} (Node ${node}, OpenSSL ${openssl}, ${process.platform} ${process.arch})`,
	);
}
