/**
The terminal of a console beside what Ink does with it: the filtered input, and modes that Ink does not know. What is
set here is restored here.
*/
import {backgroundOfReply, backgroundQuery, type Background} from '../terminal-kind.ts';
import {TerminalInput} from './terminal-input.ts';

// Without line wrap, a character that the terminal draws wider than Unicode defines cannot move the next row.
const wrapOff = '\u001B[?7l';
const wrapOn = '\u001B[?7h';
// Presses and the wheel, with coordinates of any size (SGR).
const mouseOn = '\u001B[?1000h\u001B[?1006h';
const mouseOff = '\u001B[?1006l\u001B[?1000l';

type TerminalOptions = {
	readonly stdin: NodeJS.ReadStream;
	readonly stdout: NodeJS.WriteStream;
	readonly isInJob: boolean;
	/** The terminal reports presses, instead of selecting text. */
	readonly hasMouse: boolean;
};

export class ConsoleTerminal {
	readonly input: TerminalInput;
	readonly stdin: NodeJS.ReadStream;
	readonly stdout: NodeJS.WriteStream;
	/** A shell can stop this program and continue it. */
	readonly isInJob: boolean;
	#hasMouse: boolean;

	constructor({stdin, stdout, isInJob, hasMouse}: TerminalOptions) {
		this.input = new TerminalInput(stdin);
		this.stdin = stdin;
		this.stdout = stdout;
		this.isInJob = isInJob;
		this.#hasMouse = hasMouse;
	}

	/** Sets the modes of the console. */
	enter(): void {
		this.#write(wrapOff + (this.#hasMouse ? mouseOn : ''));
	}

	/** Restores the modes that a shell expects. */
	leave(): void {
		this.#write((this.#hasMouse ? mouseOff : '') + wrapOn);
	}

	/** @returns whether the terminal reports presses now */
	toggleMouse(): boolean {
		this.#hasMouse = !this.#hasMouse;
		this.#write(this.#hasMouse ? mouseOn : mouseOff);
		return this.#hasMouse;
	}

	/** Asks the terminal to put the text on the clipboard (OSC 52). It does not answer, and may refuse. */
	copy(text: string): void {
		this.#write(`\u001B]52;c;${Buffer.from(text).toString('base64')}\u0007`);
	}

	/** Asks the terminal for its background. Not every terminal answers, and a remote one takes its time. */
	askBackground(onAnswer: (background: Background) => void): void {
		this.input.on('reply', text => {
			const background = backgroundOfReply(text);
			if (background) onAnswer(background);
		});
		this.#write(backgroundQuery);
	}

	#write(sequence: string): void {
		if (this.stdout.writable) this.stdout.write(sequence);
	}
}
