/**
`config`: every setting, its value, and its origin. The secret is shown as the path of its file.
*/
import {jsonText} from '../../core/observe/json-text.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {table} from '../output/table.ts';
import {unusedText} from '../settings/layers.ts';
import {existingPreferences} from '../settings/preferences.ts';

export async function run(context: Context): Promise<void> {
	const {terminal, output} = context;
	expectInput(context, 0, 0, 'config without arguments');
	const preferences = existingPreferences(context.env, line => terminal.say(`Warning: ${line}`));
	const {list, configPath, unusedConfig} = context.settings(preferences);
	if (output === 'json')
		return terminal.line(
			jsonText({
				config: configPath ?? null,
				unused: unusedConfig ? {config: unusedConfig.path, why: unusedConfig.why} : null,
				settings: Object.fromEntries(list.map(({name, value, from}) => [name, {value, from}])),
			}),
		);
	if (unusedConfig) terminal.say(unusedText(unusedConfig));
	await terminal.line(
		table(
			['SETTING', 'VALUE', 'FROM'],
			list.map(({name, value, from}) => [
				name,
				printable(typeof value === 'string' ? value : jsonText(value)),
				printable(from),
			]),
		),
	);
}
