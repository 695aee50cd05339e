/**
The audit log of a node: `audit.jsonl` in its data folder, one JSON object a line, append-only. A full file becomes
`audit.1.jsonl`, and so on; the oldest is deleted. Lines are written in order, and synced after each group.
*/
import {open, rename, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {errorMessage} from '../../errors.ts';
import {jsonText} from '../../observe/json-text.ts';
import {despiteOthers} from '../despite-others.ts';
import {isMissing} from '../file-system.ts';

const fileBytesMax = 4 * 1024 * 1024;
/** Full files that are kept. */
const filesMax = 8;
/** Lines that wait for the disk; later ones are dropped and counted. */
const waitingMax = 4096;

export type AuditLogOptions = {
	/** The data folder. */
	readonly folder: string;
	/** A line was not written. Called once for each failed group. */
	readonly failed: (problem: string) => void;
	/** @default 4 MiB */
	readonly fileBytesMax?: number;
};

export class AuditLog implements AsyncDisposable {
	readonly #options: AuditLogOptions;
	readonly #path: string;
	#waiting: string[] = [];
	#dropped = 0;
	#writing: Promise<void> | undefined;

	constructor(options: AuditLogOptions) {
		this.#options = options;
		this.#path = join(options.folder, 'audit.jsonl');
	}

	/** Queues a line. */
	add(entry: object): void {
		if (this.#waiting.length >= waitingMax) this.#dropped++;
		else this.#waiting.push(`${jsonText(entry)}\n`);
		this.#writing ??= this.#write();
	}

	/** Resolves when all lines are written, or their failure is reported. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.#writing;
	}

	async #write(): Promise<void> {
		// The lines of one turn of the event loop share a write.
		await Promise.resolve();
		while (this.#waiting.length > 0) {
			const lines = this.#waiting;
			const dropped = this.#dropped;
			this.#waiting = [];
			this.#dropped = 0;
			try {
				await this.#append(lines.join(''));
				if (dropped > 0) this.#options.failed(`${dropped} lines did not fit in the queue`);
			} catch (error) {
				this.#options.failed(`${lines.length + dropped} lines were not written: ${errorMessage(error)}`);
			}
		}

		this.#writing = undefined;
	}

	async #append(text: string): Promise<void> {
		await this.#rotate(Buffer.byteLength(text));
		const file = await despiteOthers(() => open(this.#path, 'a', 0o600));
		try {
			await file.appendFile(text);
			await file.datasync();
		} finally {
			await file.close();
		}
	}

	async #rotate(bytes: number): Promise<void> {
		const size = await sizeOf(this.#path);
		if (size === 0 || size + bytes <= (this.#options.fileBytesMax ?? fileBytesMax)) return;
		const named = (index: number): string => join(this.#options.folder, `audit.${index}.jsonl`);
		for (let index = filesMax - 1; index >= 1; index--) {
			if ((await sizeOf(named(index))) > 0) await despiteOthers(() => rename(named(index), named(index + 1)));
		}

		await despiteOthers(() => rename(this.#path, named(1)));
	}
}

/** 0 when the file does not exist. */
async function sizeOf(path: string): Promise<number> {
	try {
		return (await stat(path)).size;
	} catch (error) {
		if (isMissing(error)) return 0;
		throw error;
	}
}
