/**
The resignations of the nodes of one data folder, in a file outside it: `$XDG_STATE_HOME/dapss/resignations`, named by
the hash of the folder's path. The file outlives the folder, so a node that starts with an empty folder finds the
resignation of its predecessor. If the file is lost, an operator must confirm the removal instead. So a file that cannot
be read or written is only a warning.
*/
import {createHash, randomBytes} from 'node:crypto';
import {existsSync} from 'node:fs';
import {readFile, rename, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {errorMessage} from '../../errors.ts';
import {
	isGenuine,
	resign,
	resignationFromJson,
	resignationsMax,
	resignationToJson,
	type Resignation,
} from '../../membership/resignation.ts';
import {here, placesOf} from '../../platform.ts';
import type {Identity} from '../../wire/seal.ts';
import {causeOf} from '../cause.ts';
import {despiteOthers} from '../despite-others.ts';
import {makeFolders} from '../make-folder.ts';

const fileBytesMax = 64 * 1024;

/** The folder with the resignations of all data folders of this user. */
export function resignationsFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
	return join(placesOf(here(env), existsSync).state, 'resignations');
}

export class Resignations {
	/** The resignations of earlier nodes of this data folder. */
	readonly former: readonly Resignation[];
	readonly #path: string;
	readonly #own: Resignation;

	private constructor(path: string, own: Resignation, former: readonly Resignation[]) {
		this.#path = path;
		this.#own = own;
		this.former = former;
	}

	/**
	Reads the resignations of earlier nodes, and adds this node's own.
	@param data absolute path of the data folder
	*/
	static async open(
		data: string,
		identity: Identity,
		warn: (text: string) => void,
		folder = resignationsFolder(),
	): Promise<Resignations> {
		const path = join(folder, `${createHash('sha256').update(data).digest('hex').slice(0, 32)}.json`);
		const former = (await read(path)).filter(one => one.id !== identity.id);
		const resignations = new Resignations(path, resign(identity), former.slice(-(resignationsMax - 1)));
		try {
			await resignations.#write([...resignations.former, resignations.#own]);
		} catch (error) {
			warn(
				`The file ${path} cannot be written (${errorMessage(causeOf(error, path))}): if the data folder ` +
					`${data} is lost one day, an operator must remove this node by hand (peer remove)`,
			);
		}

		return resignations;
	}

	/** Called when this node is a member: the former nodes of its folder are removed, or were never members. */
	async settle(): Promise<void> {
		if (this.former.length > 0) await this.#write([this.#own]);
	}

	async #write(all: readonly Resignation[]): Promise<void> {
		await makeFolders(join(this.#path, '..'));
		const draft = `${this.#path}.${randomBytes(4).toString('hex')}`;
		await writeFile(
			draft,
			`${JSON.stringify(
				all.map(one => resignationToJson(one)),
				undefined,
				'\t',
			)}\n`,
			{mode: 0o600, flag: 'wx'},
		);
		await despiteOthers(() => rename(draft, this.#path));
	}
}

async function read(path: string): Promise<readonly Resignation[]> {
	try {
		const text = await readFile(path, 'utf8');
		const value: unknown = text.length > fileBytesMax ? undefined : JSON.parse(text);
		return Array.isArray(value)
			? value.flatMap(one => resignationFromJson(one) ?? []).filter(one => isGenuine(one))
			: [];
	} catch {
		return []; // Missing or unusable.
	}
}
