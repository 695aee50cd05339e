/**
`doctor` judges facts, for any platform. The tests reach every outcome of the table, with its remedy.
*/
import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import type {RegisteredNode} from '../../../core/io/files/registry.ts';
import type {NodeId} from '../../../core/message.ts';
import {judgeRegistry, judgeSecret, judgeSettings} from '../../../source/doctor/access.ts';
import {judgeClock, type ClockFacts} from '../../../source/doctor/clock.ts';
import type {DiskFacts} from '../../../source/doctor/disk-facts.ts';
import {
	isFolderOf,
	isUserOf,
	judgeFileSystem,
	judgeFolder,
	judgeSpace,
	judgeSpeed,
} from '../../../source/doctor/disk.ts';
import {examine} from '../../../source/doctor/examine.ts';
import {judgeIdentity} from '../../../source/doctor/identity.ts';
import {
	judgeMemory,
	judgeNodeVersion,
	judgeOpenFiles,
	judgeSystem,
	type MachineFacts,
} from '../../../source/doctor/machine.ts';
import {
	judgeAddress,
	judgeMulticast,
	judgeNeighbours,
	judgePort,
	type NeighbourFacts,
	type PortFacts,
} from '../../../source/doctor/network.ts';
import {compareClocks, judgeOffsets, offsetOf, type ComparedClock} from '../../../source/doctor/offset.ts';
import {levelOf, outcomes, type Check} from '../../../source/doctor/outcome.ts';
import {loadSettings} from '../../../source/settings/settings.ts';
import {healthy} from '../../tui/support/fixtures.ts';
import {isMatch, rowsOf} from '../docs/troubleshooting-page.ts';

const MiB = 1024 * 1024;
const reached = new Set<string>();
/** The outcome. It is recorded as reached. */
function outcome(check: Check): string {
	const {code, level, reason, remedy, found} = check;
	expect(remedy === null, `${code}: a problem has a remedy, an ok outcome has none`).toBe(reason === null);
	// A remedy has no full stop, because it may end in a command or a path.
	if (remedy !== null) expect(remedy).toMatch(/^\S.*[^.\s]$/u);
	// The troubleshooting page has the same text.
	const row = reason === null ? undefined : rowsOf(code).find(({name}) => name === reason);
	if (reason !== null)
		expect({level: row?.cells[0], isMatch: isMatch(row?.cells[1] ?? '', found), found}).toEqual({
			level,
			isMatch: true,
			found,
		});
	reached.add(`${code} ${reason ?? 'ok'}`);
	return `${level} ${reason ?? ''}`.trim();
}

describe('the machine', () => {
	const facts: MachineFacts = {
		nodeVersion: '24.21.0',
		platform: 'linux',
		release: '6.1',
		arch: 'x64',
		processors: 4,
		nativeProblem: undefined,
		memoryBytes: 8192 * MiB,
		memoryLimitBytes: undefined,
		memoryFreeBytes: 4096 * MiB,
		heapBytesMax: 2048 * MiB,
		descriptorsMax: 20_000,
	};

	test('the version of Node is judged', () => {
		expect(outcome(judgeNodeVersion(facts))).toBe('ok');
		expect(outcome(judgeNodeVersion({...facts, nodeVersion: '22.12.0'}))).toBe('problem unsupported');
		expect(outcome(judgeNodeVersion({...facts, nodeVersion: '28.0.0'}))).toBe('warning untested');
	});

	test('the system is judged with the native checksum', () => {
		for (const platform of ['linux', 'darwin', 'win32'])
			expect(outcome(judgeSystem({...facts, platform}))).toBe('ok');
		expect(outcome(judgeSystem({...facts, platform: 'freebsd'}))).toBe('warning untested');
		expect(outcome(judgeSystem({...facts, nativeProblem: 'Cannot find native binding'}))).toBe('warning no-binary');
	});

	test('memory is judged by the limit of a container, too', () => {
		expect(outcome(judgeMemory(facts, defaults.limits))).toBe('ok');
		expect(outcome(judgeMemory({...facts, memoryFreeBytes: 50 * MiB}, defaults.limits))).toBe('warning used-up');
		const contained = judgeMemory({...facts, memoryLimitBytes: 200 * MiB}, defaults.limits);
		expect(outcome(contained)).toBe('warning little');
		expect(contained.remedy).toContain(`lower limits.out_queue_total_bytes to ${72 * MiB}`);
		expect(outcome(judgeMemory({...facts, memoryLimitBytes: 64 * MiB}, defaults.limits))).toBe(
			'problem too-little',
		);
		expect(judgeMemory({...facts, memoryBytes: 64 * MiB}, defaults.limits).remedy).toContain(
			'a machine with more memory',
		);
	});

	test('the limit of open files is judged, with the commands of each platform', () => {
		expect(outcome(judgeOpenFiles(facts, defaults.limits))).toBe('ok');
		expect(outcome(judgeOpenFiles({...facts, descriptorsMax: Infinity}, defaults.limits))).toBe('ok');
		const few = judgeOpenFiles({...facts, descriptorsMax: 256}, defaults.limits);
		expect(outcome(few)).toBe('warning few');
		expect(few.remedy).toMatch(/^ulimit -n 1344 .*LimitNOFILE=1344/);
		// The remedy is sufficient.
		expect(judgeOpenFiles({...facts, descriptorsMax: 1344}, defaults.limits).level).toBe('ok');
		expect(
			judgeOpenFiles({...facts, descriptorsMax: 256, platform: 'darwin'}, defaults.limits).remedy,
		).not.toContain('systemd');
		expect(outcome(judgeOpenFiles({...facts, descriptorsMax: 64}, defaults.limits))).toBe('problem too-few');
	});
});

describe('the files of a start', () => {
	test('wrong settings are a problem, and ignored ones a warning', () => {
		const settings = loadSettings({flags: {port: '5001'}, env: {HOME: '/nowhere'}, cwd: '/nowhere'});
		expect(outcome(judgeSettings({settings}, []))).toBe('ok');
		expect(judgeSettings({settings}, []).values['changed']).toEqual(['port (--port)']);
		expect(outcome(judgeSettings({settings}, ['preferences.json cannot be read']))).toBe('warning left-out');
		expect(outcome(judgeSettings({problem: 'port (--port): Expected a whole number'}, []))).toBe('problem wrong');
		const unusedConfig = {path: '/w/config.json', why: 'because', isMeant: true};
		const meant = judgeSettings({settings: {...settings, unusedConfig}}, []);
		expect(outcome(meant)).toBe('warning left-out');
		expect(meant).toMatchObject({found: '/w/config.json is not used: because', values: {unused: '/w/config.json'}});
		const other = judgeSettings({settings: {...settings, unusedConfig: {...unusedConfig, isMeant: false}}}, []);
		expect(outcome(other)).toBe('ok');
		expect(other.found).toContain('No config.json is used; 1 of');
		expect(other.found).toContain('/w/config.json is not used: because');
	});

	test('a secret is a problem if it is lost, unusable, or cannot be made', () => {
		const missing = {path: '/s', isNamed: false, found: 'missing'} as const;
		expect(outcome(judgeSecret({...missing, found: 'usable'}, true))).toBe('ok');
		expect(outcome(judgeSecret(missing, false))).toBe('ok');
		expect(
			outcome(judgeSecret({...missing, closed: {code: 'EROFS', message: 'read-only file system'}}, false)),
		).toBe('problem not-makable');
		expect(outcome(judgeSecret(missing, true))).toBe('problem lost');
		expect(outcome(judgeSecret({...missing, isNamed: true}, false))).toBe('problem missing');
		expect(
			outcome(
				judgeSecret(
					{
						...missing,
						found: {access: 'can be read or changed by others (mode 0644)', remedy: 'chmod 600 /s'},
					},
					true,
				),
			),
		).toBe('problem not-private');
		expect(outcome(judgeSecret({...missing, found: {content: 'it is empty'}}, true))).toBe('problem no-secret');
		expect(
			outcome(judgeSecret({...missing, found: {failure: '/s is a folder', remedy: 'Move it away'}}, true)),
		).toBe('problem unreadable');
	});

	test('an identity is a problem if it is named and missing, or unusable', () => {
		const missing = {path: '/i', isNamed: false, closed: undefined, found: 'missing'} as const;
		expect(outcome(judgeIdentity({...missing, found: 'usable'}))).toBe('ok');
		expect(outcome(judgeIdentity(missing))).toBe('ok');
		expect(outcome(judgeIdentity({...missing, isNamed: true}))).toBe('problem missing');
		expect(outcome(judgeIdentity({...missing, found: {problem: 'others can read it'}}))).toBe('problem unusable');
		expect(outcome(judgeIdentity({...missing, closed: {code: 'EROFS', message: 'read-only file system'}}))).toBe(
			'warning not-makable',
		);
	});

	test('a closed registry of nodes is a warning', () => {
		expect(outcome(judgeRegistry('/run', undefined))).toBe('ok');
		const closed = judgeRegistry('/run', {code: 'EROFS', message: 'read-only file system'});
		expect(outcome(closed)).toBe('warning closed');
		expect(closed.remedy).toMatch(/mounted read-only.*--server/u);
	});

	test('a registry of nodes that other users can change is a warning', () => {
		const open = judgeRegistry('/shared/dapss', undefined, {
			reason: 'open',
			problem: 'to be closed to changes by others, the mode of /shared is 0777',
			remedy: 'chmod go-w /shared',
		});
		expect(outcome(open)).toBe('warning open');
		expect(open.found).toContain('expected /shared/dapss to be closed to changes by others');
		expect(open.remedy).toMatch(/^chmod go-w \/shared; or name another folder in XDG_RUNTIME_DIR.*--server/u);
	});
});

const running: RegisteredNode = {
	pid: 42,
	born: '1',
	port: 5000,
	address: '127.0.0.1:5000',
	cluster: 'dapss',
	clusterId: 'c1',
	id: 'aaaaaaaaaaaaaaaa',
	phase: 'running',
	name: '',
};

describe('the disk', () => {
	const facts: DiskFacts = {
		path: '/data',
		stats: {mode: 0o40700, uid: 1000, isFolder: true},
		self: 1000,
		closed: undefined,
		holder: 'free',
		node: {id: running.id, clusterId: 'c1'},
		fileSystem: 0xef_53,
		freeBytes: 2 ** 40,
		hasReserve: true,
		usedBytes: 0,
		newestMs: undefined,
		sync: {medianMs: 1, longestMs: 3},
	};
	const folder = (changed: Partial<DiskFacts>, own?: RegisteredNode, others: readonly RegisteredNode[] = []): Check =>
		judgeFolder({...facts, ...changed}, own, others);

	test('a folder may exist, be missing, or belong to the running node', () => {
		expect(outcome(folder({}))).toBe('ok');
		expect(outcome(folder({stats: undefined, node: undefined}))).toBe('ok');
		expect(outcome(folder({holder: {pid: 42}}, running))).toBe('ok');
		expect(folder({holder: {pid: 42}}, running).found).toContain('which runs now');
	});

	test('wrong permissions are a problem, with a remedy for each case', () => {
		const open = folder({stats: {mode: 0o42770, uid: 1000, isFolder: true}});
		expect([outcome(open), open.remedy]).toEqual(['problem open', 'chmod 700 /data']);
		expect(
			folder({stats: {mode: 0o40755, uid: 1000, isFolder: true}, closed: {code: 'EROFS', message: ''}}).remedy,
		).toBe('its disk is mounted read-only, choose another --data');
		const others = folder({stats: {mode: 0o40700, uid: 0, isFolder: true}});
		expect([outcome(others), others.remedy]).toEqual([
			'problem not-yours',
			'as root, chown -R 1000 /data; or choose another --data',
		]);
		// Windows has no numeric owners and modes.
		expect(outcome(folder({self: undefined, stats: {mode: 0o40777, uid: 0, isFolder: true}}))).toBe('ok');
		const readOnly = folder({closed: {code: 'EROFS', message: 'read-only file system'}});
		expect(outcome(readOnly)).toBe('problem not-writable');
		expect(readOnly.remedy).toMatch(/mount it for writing/u);
		expect(folder({stats: undefined, closed: {code: 'EACCES', message: 'permission denied'}}).found).toContain(
			'cannot be made',
		);
		expect(outcome(folder({stats: {mode: 0o100600, uid: 1000, isFolder: false}}))).toBe('problem no-folder');
	});

	test('the process that uses the folder and its content are judged', () => {
		const other = folder({holder: {pid: 43}}, undefined, [{...running, pid: 43, port: 5007}]);
		expect(outcome(other)).toBe('problem in-use');
		expect(other.found).toContain('node aaaaaaaa of cluster dapss on port 5007 (process 43)');
		expect(outcome(folder({holder: {pid: 43}}, running))).toBe('problem in-use');
		expect(outcome(folder({holder: {problem: 'The lock cannot be taken: rm -r /data/lock'}}))).toBe(
			'problem bad-lock',
		);
		expect(outcome(folder({node: {problem: 'its version is 9', newer: 'format 9'}}))).toBe('problem newer');
		expect(outcome(folder({node: {problem: 'its checksum is not that of its content'}}))).toBe('warning damaged');
	});

	test('the running node is the examined one if it uses the folder, not only the port', () => {
		const isOwn = (changed: Partial<DiskFacts>): boolean =>
			isFolderOf({...facts, holder: {pid: 42}, ...changed}, running);
		expect(isOwn({})).toBe(true);
		// The process id is of another namespace, or unknown.
		for (const pid of [1, undefined]) expect(isOwn({holder: {pid}})).toBe(true);
		expect([
			isOwn({stats: undefined, node: undefined, holder: 'free'}),
			isOwn({node: undefined, holder: 'free'}),
		]).toEqual([false, false]);
		expect(isOwn({node: {id: 'bbbbbbbbbbbbbbbb', clusterId: 'c1'}})).toBe(false);
		expect(isUserOf({...facts, holder: {pid: 42}}, running)).toBe(true);
		expect(isUserOf({...facts, holder: {pid: 43}}, running)).toBe(false); // Two processes of one identity.
		expect(isOwn({holder: 'free'})).toBe(false); // A copy of the folder.
		expect([isOwn({node: undefined}), isOwn({node: undefined, holder: {pid: 43}})]).toEqual([true, false]);
		// Only the problem of the folder is reported.
		expect([
			isOwn({stats: {mode: 0o40755, uid: 1000, isFolder: true}, node: undefined, holder: 'free'}),
			isOwn({closed: {code: 'EROFS', message: ''}, holder: 'free'}),
		]).toEqual([true, true]);
	});

	test('a file system in memory, on a network or in a layer is a warning', () => {
		expect(outcome(judgeFileSystem(facts))).toBe('ok');
		expect(outcome(judgeFileSystem({...facts, fileSystem: undefined}))).toBe('ok');
		expect(outcome(judgeFileSystem({...facts, fileSystem: 0x01_02_19_94}))).toBe('warning memory');
		expect(outcome(judgeFileSystem({...facts, fileSystem: 0x69_69}))).toBe('warning network');
		expect(outcome(judgeFileSystem({...facts, fileSystem: 0x79_4c_76_30}))).toBe('warning layer');
	});

	test('the free space is judged for the reserve and for the limit of topics', () => {
		const space = (freeBytes: number | undefined, hasReserve = false, usedBytes = 0): Check =>
			judgeSpace({...facts, freeBytes, hasReserve, usedBytes}, defaults.limits);
		expect(outcome(space(2 ** 40))).toBe('ok');
		expect(outcome(space(MiB))).toBe('problem full');
		expect(outcome(space(10 * MiB))).toBe('problem short');
		const less = space(10 * MiB, true);
		expect(outcome(less)).toBe('warning less-than-limit');
		const advised = Number(/Set limits.disk_bytes to (\d+)/u.exec(less.remedy!)![1]);
		expect(judgeSpace({...facts, freeBytes: 10 * MiB, hasReserve: true}, {diskBytes: advised}).level).toBe('ok');
		expect(space(1024 * MiB, true, 16 * 1024 * MiB).level).toBe('ok');
		expect(outcome(space(undefined))).toBe('warning unknown');
	});

	test('a slow fsync is a warning, and a very slow one a problem', () => {
		const speed = (sync: DiskFacts['sync']): string => outcome(judgeSpeed({...facts, sync}, defaults.raft));
		expect(speed({medianMs: 2, longestMs: 40})).toBe('ok');
		expect(speed({medianMs: 80, longestMs: 90})).toBe('warning slow');
		expect(speed({medianMs: 600, longestMs: 900})).toBe('problem too-slow');
		expect(speed({problem: 'permission denied'})).toBe('warning not-measured');
	});
});

test('a disk that hangs delays the other checks for a bounded time only', async () => {
	const load = () =>
		loadSettings({flags: {discovery: false, port: '45000'}, env: {HOME: '/nowhere'}, cwd: '/nowhere'});
	const {checks, left} = await examine({
		load,
		env: {HOME: '/nowhere'},
		lookAtDisk: () => new Promise(() => undefined),
		diskMsMax: 5,
	});
	expect(outcome(checks.find(({code}) => code === 'data-folder')!)).toBe('problem silent');
	expect(left).toEqual(['file-system', 'disk-space', 'disk-speed', 'clock']);
	expect(checks.some(({code}) => code === 'tcp-port')).toBe(true);
});

test('a clock before a known past time is a problem, and one far ahead a warning', () => {
	const hourMs = 3_600_000;
	const now = Date.UTC(2026, 5, 1);
	const facts: ClockFacts = {
		wallMs: now,
		uptimeMs: 10 * hourMs,
		programMs: 0,
		newestMs: now - hourMs,
		kept: {nowMs: now - hourMs, uptimeMs: 9 * hourMs, aheadMs: 0},
	};
	const judged = (changed: Partial<ClockFacts>): Check => judgeClock({...facts, ...changed}, defaults.storage);
	expect(outcome(judged({}))).toBe('ok');
	expect(outcome(judged({newestMs: undefined, kept: undefined}))).toBe('ok');
	expect(outcome(judged({newestMs: now + hourMs}))).toBe('problem behind');
	expect(judged({programMs: now + hourMs}).found).toContain('the program itself');
	const ahead = judged({wallMs: now + 5 * hourMs});
	expect(outcome(ahead)).toBe('warning ahead');
	expect(ahead.found).toContain('5.0 h ahead');
});

describe('the network', () => {
	const facts: PortFacts = {
		host: '127.0.0.1',
		port: 5000,
		isExplicit: true,
		problem: undefined,
		running: undefined,
		holder: undefined,
		next: 5001,
		addresses: ['127.0.0.1', '10.0.0.5'],
	};

	test.each(['TCP', 'UDP'] as const)('a %s port that the node cannot use is a problem, with a remedy', protocol => {
		const port = (changed: Partial<PortFacts>): Check => judgePort(protocol, {...facts, ...changed});
		expect(outcome(port({}))).toBe('ok');
		const own = port({problem: 'EADDRINUSE', running});
		expect([outcome(own), own.found]).toEqual([
			'ok',
			`${protocol} port 5000 is that of node aaaaaaaa of this cluster, which runs here (process 42)`,
		]);
		const used = port({problem: 'EADDRINUSE', holder: 'nginx (pid 7)'});
		expect([outcome(used), used.remedy]).toEqual([
			'problem in-use',
			'Stop that process, or choose another port: --port 5001',
		]);
		expect(used.found).toContain('nginx (pid 7)');
		expect(outcome(port({problem: 'EADDRINUSE', isExplicit: false}))).toBe('warning moved');
		expect(outcome(port({problem: 'EADDRINUSE', isExplicit: false, next: undefined}))).toBe('problem in-use');
		expect(port({problem: 'EADDRNOTAVAIL', host: '10.9.9.9'}).remedy).toContain('10.0.0.5');
		expect(outcome(port({problem: 'EADDRNOTAVAIL'}))).toBe('problem not-here');
		for (const problem of ['ENOTFOUND', 'EAI_AGAIN']) expect(outcome(port({problem}))).toBe('problem not-found');
		expect(outcome(port({problem: 'EACCES', port: 80}))).toBe('problem not-allowed');
		expect(outcome(port({problem: 'EAFNOSUPPORT'}))).toBe('problem unusable');
	});

	test('an ambiguous advertised address is a problem', () => {
		expect(judgeAddress({address: '127.0.0.1:5000'}).found).toContain('from this machine only');
		expect(outcome(judgeAddress({address: '10.0.0.5:5000'}))).toBe('ok');
		const unclear = judgeAddress({
			problem: 'host 0.0.0.0 listens on 10.0.0.5 and 172.17.0.1',
			remedy: 'use --advertise to choose the one for other nodes',
		});
		expect([outcome(unclear), unclear.remedy]).toEqual([
			'problem unclear',
			'Use --advertise to choose the one for other nodes',
		]);
	});

	test('failing multicast is a warning, with its interfaces', () => {
		const probed = (...problems: ReadonlyArray<string | undefined>) =>
			judgeMulticast(
				{paths: problems.map((problem, index) => ({at: `10.0.0.${index}`, problem})), nodes: [], foreign: 0},
				defaults.discovery,
			);
		expect(outcome(judgeMulticast(undefined, defaults.discovery))).toBe('ok');
		expect(outcome(probed(undefined, undefined))).toBe('ok');
		const some = probed(undefined, 'what was sent did not come back');
		expect([outcome(some), some.values['fails']]).toEqual(['warning some', ['10.0.0.1']]);
		expect(outcome(probed('ENODEV'))).toBe('warning none');
	});

	test('heard nodes are listed; a duplicate node is a problem, and another cluster a warning', () => {
		const beacon = (id: string, address: string, clusterId = 'c1') =>
			({id: id as NodeId, incarnation: 1, clusterId, address, phase: 'member', topics: [], name: ''}) as const;
		const judged = (...nodes: ReadonlyArray<ReturnType<typeof beacon>>): Check =>
			judgeNeighbours({
				heard: {nodes, foreign: 2},
				listenMs: 1500,
				local: [running],
				asked: [],
				self: {id: running.id, clusterId: 'c1'},
				user: running,
				isUnused: false,
				address: '127.0.0.1:5000',
			});
		const alone = judged();
		expect([outcome(alone), alone.found]).toEqual([
			'ok',
			'No node heard within 1.5 s; 2 datagrams of other clusters, or with another secret; on this machine: ' +
				'aaaaaaaa at 127.0.0.1:5000',
		]);
		expect(
			judged(beacon(running.id, '127.0.0.1:5000'), beacon('bbbbbbbbbbbbbbbb', '10.0.0.6:5000')).found,
		).toContain('aaaaaaaa at 127.0.0.1:5000 (this node), bbbbbbbb at 10.0.0.6:5000 (member) heard');
		expect(outcome(judged(beacon(running.id, '10.0.0.9:5000')))).toBe('problem double');
		expect(outcome(judged(beacon('bbbbbbbbbbbbbbbb', '10.0.0.6:5000', 'c2')))).toBe('warning two-clusters');
		expect(
			judgeNeighbours({
				heard: undefined,
				listenMs: 0,
				local: [],
				asked: [],
				self: undefined,
				user: undefined,
				isUnused: true,
				address: undefined,
			}).found,
		).toBe('Not examined');
	});

	test('without discovery, a duplicate node is known from the list of this machine, or from its answer', () => {
		const other: RegisteredNode = {...running, id: 'bbbbbbbbbbbbbbbb', address: '127.0.0.1:5001'};
		const judged = (changed: Partial<NeighbourFacts>): Check =>
			judgeNeighbours({
				heard: undefined,
				listenMs: 0,
				local: [other],
				asked: [{id: other.id, advertised: other.address}],
				self: {id: running.id, clusterId: 'c1'},
				user: undefined,
				isUnused: true,
				address: '127.0.0.1:5007',
				...changed,
			});
		expect(outcome(judged({}))).toBe('ok');
		const copied = judged({local: [other, running]});
		expect([outcome(copied), copied.found]).toEqual([
			'problem double',
			'A process at 127.0.0.1:5000 uses the identity of this data folder (aaaaaaaa)',
		]);
		const answer = {id: running.id, advertised: '10.0.0.9:5000'};
		expect(outcome(judged({asked: [answer]}))).toBe('problem double');
		// The address of the examined folder, which no process uses.
		expect(outcome(judged({asked: [answer], address: answer.advertised}))).toBe('problem double');
		expect(outcome(judged({self: undefined, local: [running], asked: [answer]}))).toBe('ok');
		// The process uses this folder itself, on the port of the examined node or on another one.
		const used = {local: [running], user: running, isUnused: false};
		expect(outcome(judged({...used, asked: [{id: running.id, advertised: running.address}]}))).toBe('ok');
		expect(outcome(judged({...used, asked: [answer]}))).toBe('problem double');
		// Another process uses this folder: a copy of the folder of the listed node.
		const copy = {...running, pid: 43, address: '127.0.0.1:5007'};
		expect(outcome(judged({...used, local: [running, copy], user: copy}))).toBe('problem double');
		// Which process uses the folder is unknown.
		expect(outcome(judged({...used, user: undefined, asked: []}))).toBe('ok');
	});
});

describe('clocks of other nodes', () => {
	const compared = (changed: Partial<ComparedClock>): ComparedClock => ({
		id: 'bbbbbbbbbbbbbbbb',
		name: 'west',
		address: '10.0.0.6:5000',
		advertised: '10.0.0.6:5000',
		isHere: false,
		offsetMs: 12,
		uncertaintyMs: 1,
		...changed,
	});
	const judged = (...clocks: ReadonlyArray<Partial<ComparedClock>>): Check =>
		judgeOffsets({compared: clocks.map(clock => compared(clock)), failures: []});

	test('the offset is relative to the middle of the round trip, and the shortest round trip is used', () => {
		expect(offsetOf([{sentMs: 1000, receivedMs: 1010, nodeMs: 1005}])).toEqual({offsetMs: 0, uncertaintyMs: 5});
		expect(
			offsetOf([
				{sentMs: 0, receivedMs: 400, nodeMs: 9000},
				{sentMs: 1000, receivedMs: 1004, nodeMs: 7002},
			]),
		).toEqual({offsetMs: 6000, uncertaintyMs: 2});
	});

	test('an offset is reported only if it is certain', () => {
		expect(outcome(judged({}))).toBe('ok');
		expect(outcome(judged({offsetMs: 5001, uncertaintyMs: 0.5}))).toBe('warning apart');
		expect(outcome(judged({offsetMs: 5001, uncertaintyMs: 2}))).toBe('ok');
		const behind = judged({}, {id: 'cccccccccccccccc', name: '', offsetMs: 60_000});
		expect([outcome(behind), behind.found]).toEqual([
			'warning apart',
			'The clock of this machine is 1 min 0 s (± 1 ms) behind that of cccccccc (10.0.0.6:5000); ' +
				'of 2 compared, 1 is more than 5.0 s away',
		]);
		expect(judged({offsetMs: -7200_000}).found).toContain('is 2.0 h (± 1 ms) ahead of that of west');
		expect(judged({offsetMs: 9000}, {offsetMs: 9001}).remedy).toMatch(/NTP.*this one first/u);
	});

	test('clocks that were not compared are reported with the reason', () => {
		const none = judgeOffsets({compared: [], failures: []});
		expect([outcome(none), none.found]).toEqual(['ok', 'Not compared with other nodes: no node answered']);
		expect(judgeOffsets({compared: [], failures: ['10.0.0.6:5000: connection refused']}).found).toBe(
			'Not compared with other nodes: 10.0.0.6:5000: connection refused',
		);
		expect(judged({isHere: true}).found).toMatch(/all of them run on this machine, with its clock$/u);
	});

	test('members that a node reports are asked, too; a silent node does not delay the result', async () => {
		let nowMs = 0;
		const clock = {wallMs: () => 1_000_000 + nowMs, monotonicMs: () => nowMs};
		const asked: string[] = [];
		const {compared: clocks, failures} = await compareClocks({
			addresses: ['127.0.0.1:5000', '127.0.0.1:5000'],
			local: new Set(['127.0.0.1:5000']),
			clock,
			async connect(address) {
				asked.push(address);
				if (address === '127.0.0.1:5002') throw new Error('connection refused');
				const index = address === '127.0.0.1:5000' ? 0 : 1;
				return {
					async snapshot() {
						nowMs += 4;
						return {
							...healthy,
							self: healthy.members[index]!.id,
							atMs: 1_000_000 + nowMs - 2 + index * 6000,
						};
					},
					async [Symbol.asyncDispose]() {},
				};
			},
		});
		expect(asked).toEqual(['127.0.0.1:5000', '127.0.0.1:5001', '127.0.0.1:5002']);
		expect(clocks.map(({offsetMs, uncertaintyMs, isHere}) => ({offsetMs, uncertaintyMs, isHere}))).toEqual([
			{offsetMs: 0, uncertaintyMs: 2, isHere: true},
			{offsetMs: 6000, uncertaintyMs: 2, isHere: false},
		]);
		expect(failures).toEqual(['127.0.0.1:5002: connection refused']);
	});

	test('a member with the examined identity is asked before the other members', async () => {
		const asked: string[] = [];
		await compareClocks({
			addresses: ['127.0.0.1:5000'],
			local: new Set(),
			self: healthy.members[2]!.id,
			async connect(address) {
				asked.push(address);
				return {snapshot: async () => healthy, async [Symbol.asyncDispose]() {}};
			},
		});
		expect(asked).toEqual(['127.0.0.1:5000', '127.0.0.1:5002', '127.0.0.1:5001']);
	});
});

test('the worst level is the verdict', () => {
	const warning = judgeMulticast({paths: [{at: 'x', problem: 'y'}], nodes: [], foreign: 0}, defaults.discovery);
	const problem = judgeSettings({problem: 'z'}, []);
	expect([levelOf([]), levelOf([warning]), levelOf([warning, problem])]).toEqual(['ok', 'warning', 'problem']);
});

test('docs/troubleshooting.md has every outcome, and no other', () => {
	for (const [code, reasons] of Object.entries(outcomes))
		expect(
			rowsOf(code)
				.map(({name}) => name)
				.toSorted(),
			code,
		).toEqual(Object.keys(reasons).toSorted());
});

test('the tests above reach every outcome of the table', () => {
	const all = Object.entries(outcomes).flatMap(([code, reasons]) => [
		`${code} ok`,
		...Object.keys(reasons).map(reason => `${code} ${reason}`),
	]);
	expect([...reached].toSorted()).toEqual(all.toSorted());
});
