import {spawn} from 'node:child_process';
import {
	chmodSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {accessProblem, accessRemedy} from '../../../../core/io/files/private-file.ts';
import {openSecret, readSecret, secretFileAt, secretProblem} from '../../../../core/io/files/secret.ts';

const good = 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M';
let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-secret-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const write = (text: string, mode = 0o600): string => {
	const path = join(folder, 'secret');
	writeFileSync(path, text);
	chmodSync(path, mode);
	return path;
};

const refusal = (run: () => unknown): string => {
	try {
		run();
	} catch (error) {
		expect(error).toMatchObject({name: 'DapssError', code: 'config'});
		return (error as Error).message;
	}

	throw new Error('was accepted');
};

test.each([
	'DAPSS_CLUSTER_SECRET',
	'default_secret',
	'rGBzJ0U89kasl0ikd2KDXskjhAI0gvCsEIK8sMpQT3U=',
	'put_generated_key_here',
	'changeme',
	'secret',
	'password',
	'your-secret-here-your-secret-here-xx',
	'replace me with a long random text please',
	'a'.repeat(64),
	'abc123xyz!'.repeat(5),
	'short',
	'',
	'password12345678901234567890123456789',
])('%j is refused as a secret, and not quoted', text => {
	const message = refusal(() => readSecret(write(`${text}\n`)));
	if (text.length > 8) expect(message).not.toContain(text);
});

test('random texts are accepted: base64url, hexadecimal, base64', () => {
	for (const text of [
		good,
		'3f7a9c1e5b8d2046f1c3a5e7902b4d68',
		'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZg==',
		`test-${good}`,
	])
		expect(secretProblem(text)).toBeUndefined();
});

test('white space around a secret is ignored', () => {
	expect(Buffer.from(readSecret(write(`  ${good}\n\n`))).toString()).toBe(good);
});

test('a file that others can read is refused with its mode and advice', () => {
	for (const mode of [0o644, 0o650, 0o604, 0o660])
		expect(refusal(() => readSecret(write(good, mode)))).toMatch(
			new RegExp(`mode 0${mode.toString(8)}\\): chmod 600 `, 'u'),
		);
});

test('a file of another user is refused', () => {
	expect(accessProblem({mode: 0o100600, uid: 1001}, [1000, 0])).toBe('belongs to another user');
	expect(accessProblem({mode: 0o100600, uid: 1000}, [1000, 0])).toBeUndefined();
});

test('a file that a group may read and only its owner may write is accepted, of this user or root', () => {
	for (const mode of [0o440, 0o640, 0o400]) expect(Buffer.from(readSecret(write(good, mode))).toString()).toBe(good);
	expect(accessProblem({mode: 0o100440, uid: 0}, [1000, 0])).toBeUndefined();
	expect(accessProblem({mode: 0o100640, uid: 0}, [1000, 0])).toBeUndefined();
	expect(accessProblem({mode: 0o100440, uid: 1001}, [1000, 0])).toBe('belongs to another user');
	for (const mode of [0o444, 0o460, 0o441])
		expect(accessProblem({mode: 0o100000 + mode, uid: 0}, [1000, 0])).toContain(`(mode 0${mode.toString(8)})`);
});

test('the advice works: chmod for an own file, chown for a file of another user', () => {
	const path = write(good);
	const self = process.getuid!();
	expect(accessRemedy(path, {uid: self})).toBe(`chmod 600 ${path}`);
	expect(accessRemedy(path, {uid: self + 1})).toBe(
		`${self === 0 ? 'run this as user 1' : `as root, chown ${self} ${path} && chmod 600 ${path}`}; ` +
			`or copy it, (umask 077; cp ${path} COPY), and name the copy`,
	);
});

test('only a regular file of limited size is read', () => {
	const path = join(folder, 'secret');
	mkdirSync(path, {mode: 0o700});
	expect(refusal(() => readSecret(path))).toContain('not a regular file');
	expect(refusal(() => readSecret(write2(folder, 'x'.repeat(5000))))).toContain('5000 bytes');
	expect(refusal(() => readSecret('/dev/zero'))).toContain('not a regular file');
});

test('reading reports a missing file, and does not make it', () => {
	expect(refusal(() => readSecret(join(folder, 'none')))).toContain('does not exist');
});

test('a symbolic link to an own private file is accepted', () => {
	const path = write(good);
	symlinkSync(path, join(folder, 'link'));
	expect(Buffer.from(readSecret(join(folder, 'link'))).toString()).toBe(good);
});

test('the first start makes 32 random bytes in a 0600 file in a 0700 folder', () => {
	const path = join(folder, 'new', 'dapss.secret');
	const first = openSecret(path);
	expect(first.created).toBe(true);
	expect(Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url')).toHaveLength(32);
	expect(statSync(path).mode & 0o777).toBe(0o600);
	expect(statSync(join(folder, 'new')).mode & 0o777).toBe(0o700);
	expect(openSecret(path)).toEqual({secret: first.secret, created: false});
});

test('nodes that start at once share one secret', async () => {
	const path = join(folder, 'race', 'dapss.secret');
	const script =
		'const {openSecret} = await ' +
		`import(${JSON.stringify(new URL('../../../../core/io/files/secret.ts', import.meta.url).href)}); ` +
		'process.stdout.write(JSON.stringify({text: ' +
		`Buffer.from(openSecret(${JSON.stringify(path)}).secret).toString()}));`;
	const texts = await Promise.all(
		Array.from(
			{length: 6},
			() =>
				new Promise<string>((resolve, reject) => {
					const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
					let out = '';
					child.stdout.on('data', chunk => {
						out += String(chunk);
					});
					child.once('close', code => (code === 0 ? resolve(out) : reject(new Error(`exit ${code}`))));
				}),
		),
	);
	expect(new Set(texts).size).toBe(1);
});

const next = 'Zt4Kq9XbW2mHr7NfLp0Vy6CsJd3GaEu8QiOxTwB1MvR';
const bytesOf = (text: string): Buffer => Buffer.from(text);

test('a node replaces the secret in a private file, if it still has the former one', async () => {
	const path = write(good);
	const file = secretFileAt(path);
	await file.replace(bytesOf(next), bytesOf(good)); // Another node was faster.
	expect(readFileSync(path, 'utf8').trim()).toBe(good);
	await file.replace(bytesOf(good), bytesOf(next));
	expect(readFileSync(path, 'utf8')).toBe(`${next}\n`);
	expect(statSync(path).mode & 0o777).toBe(0o600);
	expect(Buffer.from(file.read()!).toString()).toBe(next);
	expect(readdirSync(folder).toSorted()).toEqual(['secret', 'secret.lock']);
});

test('a secret file that somebody else manages is left alone', async () => {
	const shared = write(good, 0o640);
	await expect(secretFileAt(shared).replace(bytesOf(good), bytesOf(next))).rejects.toThrow(
		'can be read by a group (mode 0640)',
	);
	chmodSync(shared, 0o600);
	symlinkSync(shared, join(folder, 'link'));
	await expect(secretFileAt(join(folder, 'link')).replace(bytesOf(good), bytesOf(next))).rejects.toThrow(
		'is not a regular file',
	);
	expect(readFileSync(shared, 'utf8')).toBe(good);
	expect(secretFileAt(join(folder, 'missing')).read()).toBeUndefined();
});

test('two nodes that replace it at once leave the new secret', async () => {
	const path = write(good);
	await Promise.all(Array.from({length: 4}, () => secretFileAt(path).replace(bytesOf(good), bytesOf(next))));
	expect(readFileSync(path, 'utf8').trim()).toBe(next);
});

function write2(inside: string, text: string): string {
	const path = join(inside, 'big');
	writeFileSync(path, text, {mode: 0o600});
	return path;
}
