/**
Rule: the files of an open log have durable names, whichever process created them. A power cut would otherwise remove a
file together with its synced records.
*/
import type {Host} from '../host/host.ts';

/** The violation, if a log in this folder continues a file whose name is not durable. */
export function durableNameViolation({id, options: {disk}}: Host, folder: string): string | undefined {
	const [file] = disk.withoutDurableName(folder);
	return file && `the names of open log files are durable: ${id} continues ${file}, whose name is not durable`;
}
