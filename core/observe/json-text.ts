/**
JSON that no terminal, editor or log viewer misreads. JSON requires escapes for C0 controls only. Here DEL, C1 controls
(with which some terminals begin a command), bidirectional controls, separators and other invisible format characters
are escapes, too. A parser reads the same text from them.
*/

const plain = /^[ -~]*$/;
const hidden = /[\u007F-\u009F\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Like `JSON.stringify`, for a value that JSON can express. */
export function jsonText(value: unknown): string {
	return escapeHidden(JSON.stringify(value));
}

/** Escapes the characters within JSON text that JSON itself leaves as they are. They occur in its strings only. */
export function escapeHidden(json: string): string {
	return plain.test(json) ? json : json.replaceAll(hidden, character => unitsOf(character));
}

/** `\u00ad`, or two such escapes for a character beyond U+FFFF. */
function unitsOf(character: string): string {
	let text = '';
	for (let at = 0; at < character.length; at++)
		text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
	return text;
}
