/** Which folders other users of the machine could change. */
import {
	chmodSync,
	chownSync,
	lchownSync,
	mkdirSync,
	mkdtempSync,
	realpathSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {folderProblem} from '../../../core/io/trusted-folder.ts';
import {ownerIds} from '../../../core/platform.ts';

const {uid = 0, ownGid} = ownerIds() ?? {};
const isRoot = uid === 0 && process.platform !== 'win32';
const other = 54_321;

let base = '';
beforeEach(() => {
	base = realpathSync(mkdtempSync(join(tmpdir(), 'dapss-trusted-')));
});
afterEach(() => rmSync(base, {recursive: true}));

const folder = (name: string, mode = 0o700): string => {
	const path = join(base, name);
	mkdirSync(path);
	chmodSync(path, mode);
	return path;
};
const problem = (path: string, ids = {uid, ownGid}): string | undefined => folderProblem(path, ids)?.reason;

describe.runIf(process.platform !== 'win32')('a folder', () => {
	test.each([0o700, 0o755, 0o750, 0o500, 0o1755])('of this user with mode %o is safe', mode => {
		expect(problem(folder('own', mode))).toBeUndefined();
	});

	test('that is missing is safe: this user makes it', () => {
		expect(problem(join(base, 'missing', 'deep'))).toBeUndefined();
	});

	test.each([0o777, 0o702, 0o1777])('that everybody may write (mode %o) is not', mode => {
		const path = folder('open', mode);
		expect(folderProblem(path, {uid, ownGid})).toEqual({
			reason: 'open',
			problem: `to be closed to changes by others, the mode of ${path} is 0${mode.toString(8)}`,
			remedy: `chmod go-w ${path}`,
		});
	});

	test('that a group may write is safe if the group is only this user', () => {
		const path = folder('group', 0o770);
		chownSync(path, uid, process.getgid!());
		expect(problem(path, {uid, ownGid: process.getgid!()})).toBeUndefined();
		if (isRoot) chownSync(path, uid, other);
		if (isRoot || process.getgid!() !== 0) expect(problem(path, {uid, ownGid: undefined})).toBe('open');
	});

	test('below a sticky folder such as /tmp is safe, below one that others may change is not', () => {
		mkdirSync(join(folder('sticky', 0o1777), 'a'), {mode: 0o700});
		mkdirSync(join(folder('shared', 0o777), 'a'), {mode: 0o700});
		expect(problem(join(base, 'sticky', 'a'))).toBeUndefined();
		expect(problem(join(base, 'shared', 'a'))).toBe('open');
		expect(problem(join(base, 'shared', 'missing'))).toBe('open');
	});

	test('must be one', () => {
		writeFileSync(join(base, 'file'), '');
		expect(problem(join(base, 'file'))).toBe('no-folder');
	});

	test('may be a symbolic link of this user', () => {
		symlinkSync(folder('target'), join(base, 'link'));
		expect(problem(join(base, 'link'))).toBeUndefined();
		symlinkSync(folder('open', 0o777), join(base, 'to-open'));
		expect(problem(join(base, 'to-open'))).toBe('open');
		symlinkSync(join(base, 'nowhere'), join(base, 'dangling'));
		expect(problem(join(base, 'dangling'))).toBe('no-folder');
	});

	test('of another user is not safe, and of root it is', () => {
		const path = folder('own');
		expect(problem(path, {uid: other, ownGid: undefined})).toBe(isRoot ? undefined : 'not-yours');
		expect(problem('/')).toBeUndefined();
	});

	test.runIf(isRoot)('of another user, a link of another user, and a parent of another user are not safe', () => {
		const theirs = folder('theirs');
		chownSync(theirs, other, other);
		expect(folderProblem(theirs, {uid, ownGid})).toMatchObject({
			reason: 'not-yours',
			problem: `to be yours (user 0), it belongs to user ${other}`,
		});
		symlinkSync(folder('own'), join(base, 'link'));
		lchownSync(join(base, 'link'), other, other);
		expect(folderProblem(join(base, 'link'), {uid, ownGid})).toMatchObject({
			problem: `to be yours (user 0), it is a symbolic link of user ${other}`,
		});
		mkdirSync(join(theirs, 'mine'), {mode: 0o700});
		expect(folderProblem(join(theirs, 'mine'), {uid, ownGid})).toMatchObject({
			reason: 'not-yours',
			problem: expect.stringContaining(`${theirs} belongs to user ${other}`),
		});
	});

	test.runIf(isRoot)('of users outside of a user namespace is a safe parent, and no safe folder', () => {
		const outer = folder('outer', 0o755);
		chownSync(outer, 65_534, 65_534);
		mkdirSync(join(outer, 'mine'), {mode: 0o700});
		expect(problem(join(outer, 'mine'))).toBeUndefined();
		expect(problem(outer)).toBe('not-yours');
	});
});

test('Windows reports neither owners nor modes, so nothing is compared there', () => {
	expect(ownerIds({platform: 'win32', uid: undefined, env: {}, home: 'C:\\'})).toBeUndefined();
});

test('a group is the own one of a user if it has the same number', () => {
	const machine = {platform: 'linux', env: {}, home: '/', uid: 1000} as const;
	expect(ownerIds(machine, 1000)).toEqual({uid: 1000, ownGid: 1000});
	expect(ownerIds(machine, 100)).toEqual({uid: 1000, ownGid: undefined});
});
