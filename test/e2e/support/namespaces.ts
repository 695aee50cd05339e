/**
Networks for end-to-end tests. Each host is a network namespace; a bridge in another namespace (the hub) connects them.
The program does not notice a cut: TCP connections hang, datagrams vanish, nothing is refused. Needs Linux, root and
`ip`; filters and mapped ports also need `nft`.

```ts
// then describe.runIf(canMakeNetworks), or canFilter for block() and mapped()
sayNotRun('test/e2e/x.test.ts');
// in beforeAll; names contain the process id and a count, so test files can run at the same time
network = new Network();
const [a, b, c] = [network.host(), network.host(), network.host()];
// a NodeProcess (bench/cluster.ts) of the built command line, with the same data after each start
const node = a.start(cluster, ['--host', a.v4]);
const {code, stdout, stderr} = await b.run(['status', '--server', `${a.v4}:5000`, ...cluster.clientFlags]);
// in afterAll; ends the processes in the hosts, removes the namespaces and their files
network[Symbol.dispose]();
```
- `network.host({v4, v6, more})`: a host whose interface `eth` is on the bridge, with 10.77.0.N/24 and fd77::N/64, each
  unless `false`. `more` are addresses of further interfaces `x0`, `x1`…, which are connected to nothing.
- `network.mapped({ports})`: a host (172.30.0.2) in a private network. Its gateway maps each `[outer, inner]` port of TCP
  and UDP to it; others reach it at `gateway.v4`.
- `network.cut(host)`, `network.heal(host)`: set the host's port of the bridge down and up.
- `const unblock = network.block({protocol: 'tcp' | 'udp' | 'all', from, to, oneWay})`: drop frames between two hosts, or
  between `from` and all others without `to`. `unblock()` ends it.
- `const missing = network.countDatagrams(new Map([[host, port], …]))`: `missing()` lists the pairs of hosts without a
  datagram so far.
- `host.setAddresses(['10.77.0.9/24'])`: replace the addresses of `eth`. `host.ip(...)`, `host.sysctl(name, value)`: any
  other change.
- `host.setNames({name: [addresses]})`: an /etc/hosts of its own, for commands that start later.
- `host.spawn(program, arguments)`: any process in the host. `host.inside(program, arguments)`: the arguments of `ip`
  that start it, for a terminal.
*/
import {execFileSync, spawn, spawnSync, type ChildProcess} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync} from 'node:fs';
import {isIPv6} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {NodeProcess, type Cluster} from '../../../bench/cluster.ts';
import {cli} from './command.ts';

const family = 'dapssnet';
const prefix = `${family}${process.pid}`;
const namespaceFolder = '/run/netns';
const nodePort = 5000;

/** @throws with the stderr of the program */
const runCommand = (program: string, args: readonly string[], input = ''): void =>
	void execFileSync(program, [...args], {input, stdio: ['pipe', 'ignore', 'pipe']});
const ip = (...args: string[]): void => runCommand('ip', args);

export const canMakeNetworks =
	process.platform === 'linux' && process.getuid?.() === 0 && succeeds('ip', 'netns', 'add', `${prefix}-try`);
export const canFilter =
	canMakeNetworks &&
	succeeds(
		'ip',
		'netns',
		'exec',
		`${prefix}-try`,
		'nft',
		'add table bridge try; add table ip try; add chain ip try try { type nat hook prerouting priority -100; }',
	);
if (canMakeNetworks) {
	ip('netns', 'del', `${prefix}-try`);
	removeLeftovers();
}

/** Prints the reason if the test file does not run. */
export function sayNotRun(file: string, needsFilters = false): void {
	if (!canMakeNetworks) console.warn(`Not run: ${file} needs Linux, root and iproute2`);
	else if (needsFilters && !canFilter) console.warn(`Not run: ${file} needs nftables (nft)`);
}

export type HostOptions = {
	/** `false`: no IPv4 address on the bridge. @default 10.77.0.N */
	readonly v4?: boolean;
	/** `false`: no IPv6 address on the bridge. @default fd77::N */
	readonly v6?: boolean;
	/** Addresses with their length (`192.168.7.1/24`), each on an interface that is connected to nothing. */
	readonly more?: readonly string[];
};
export type Block = {
	readonly protocol: 'tcp' | 'udp' | 'all';
	readonly from: Host;
	/** @default every other host */
	readonly to?: Host;
	/** Drop only frames of `from`. @default false */
	readonly oneWay?: boolean;
};
export type Ran = {readonly code: number | null; readonly stdout: string; readonly stderr: string};

let networks = 0;

export class Network implements Disposable {
	readonly #name = `${prefix}-${++networks}`;
	readonly #hub = `${this.#name}-hub`;
	readonly #hosts: Host[] = [];
	readonly #blocks = new Set<Block>();
	readonly #onExit = (): void => this[Symbol.dispose]();
	#isDisposed = false;

	constructor() {
		process.once('exit', this.#onExit); // A test run that ends early leaves no namespaces.
		ip('netns', 'add', this.#hub);
		ip('-n', this.#hub, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0');
		ip('-n', this.#hub, 'link', 'set', 'bridge', 'up');
	}

	host(options: HostOptions = {}): Host {
		const index = this.#hosts.length + 1;
		const host = new Host(`${this.#name}-${index}`, index, options, this.#hub);
		this.#hosts.push(host);
		return host;
	}

	/** A host that others reach only through mapped ports of a gateway. */
	mapped({ports}: {readonly ports: ReadonlyArray<readonly [outer: number, inner: number]>}): {
		readonly gateway: Host;
		readonly host: Host;
	} {
		const gateway = this.host({v6: false});
		const host = new Host(`${gateway.space}-in`, 0, {v4: false, v6: false}, undefined);
		this.#hosts.push(host);
		ip('link', 'add', 'eth', 'netns', host.space, 'type', 'veth', 'peer', 'name', 'inner', 'netns', gateway.space);
		gateway.ip('addr', 'add', '172.30.0.1/24', 'dev', 'inner');
		gateway.ip('link', 'set', 'inner', 'up');
		gateway.sysctl('net/ipv4/ip_forward', '1');
		host.ip('addr', 'add', '172.30.0.2/24', 'dev', 'eth');
		host.ip('link', 'set', 'eth', 'up');
		host.ip('route', 'add', 'default', 'via', '172.30.0.1');
		const maps = ports.flatMap(([outer, inner]) =>
			['tcp', 'udp'].map(
				protocol => `add rule ip nat in iifname eth ${protocol} dport ${outer} dnat to 172.30.0.2:${inner}`,
			),
		);
		nft(gateway.space, [
			'add table ip nat',
			'add chain ip nat in { type nat hook prerouting priority -100; }',
			'add chain ip nat out { type nat hook postrouting priority 100; }',
			...maps,
			'add rule ip nat out oifname eth masquerade',
		]);
		return {gateway, host};
	}

	cut(host: Host): void {
		ip('-n', this.#hub, 'link', 'set', host.port, 'down');
	}

	heal(host: Host): void {
		ip('-n', this.#hub, 'link', 'set', host.port, 'up');
	}

	/** Matches the ports of the bridge, not the addresses of the hosts. */
	block(block: Block): () => void {
		this.#blocks.add(block);
		this.#filter();
		return () => {
			this.#blocks.delete(block);
			this.#filter();
		};
	}

	/**
	Counts the datagrams from each host to the given port of each other one, from now on. The result lists the pairs
	without a datagram.
	*/
	countDatagrams(ports: ReadonlyMap<Host, number>): () => readonly string[] {
		const pairs = [...ports.keys()].flatMap(from =>
			[...ports].filter(([to]) => to !== from).map(([to, port]) => ({from, to, port})),
		);
		nft(this.#hub, [
			'add table bridge count',
			'delete table bridge count',
			'add table bridge count',
			'add chain bridge count forward { type filter hook forward priority -1; }',
			...pairs.map(
				({from, to, port}) =>
					`add rule bridge count forward iifname ${from.port} oifname ${to.port} udp dport ${port} counter comment "${from.port} to ${to.port}"`,
			),
		]);
		return () => {
			const list = execFileSync(
				'ip',
				['netns', 'exec', this.#hub, 'nft', 'list', 'chain', 'bridge', 'count', 'forward'],
				{encoding: 'utf8'},
			);
			return [...list.matchAll(/counter packets 0 bytes 0 comment "(?<pair>[^"]*)"/g)].map(
				match => match.groups!['pair']!,
			);
		};
	}

	[Symbol.dispose](): void {
		if (this.#isDisposed) return;
		this.#isDisposed = true;
		process.off('exit', this.#onExit);
		for (const host of this.#hosts) host[Symbol.dispose]();
		removeNamespace(this.#hub);
	}

	#filter(): void {
		const rules = [...this.#blocks].flatMap(({protocol, from, to, oneWay = false}) => {
			const matches = protocol === 'all' ? '' : `meta l4proto ${protocol} `;
			const path = (source: Host | undefined, destination: Host | undefined): string =>
				[
					'add rule bridge cut forward',
					...(source ? [`iifname ${source.port}`] : []),
					...(destination ? [`oifname ${destination.port}`] : []),
					`${matches}drop`,
				].join(' ');
			return [path(from, to), ...(oneWay ? [] : [path(to, from)])];
		});
		nft(this.#hub, [
			'add table bridge cut',
			'delete table bridge cut',
			'add table bridge cut',
			'add chain bridge cut forward { type filter hook forward priority 0; }',
			...rules,
		]);
	}
}

export class Host implements Disposable {
	/** The name of its namespace. */
	readonly space: string;
	readonly v4: string;
	readonly v6: string;
	/** Its port of the bridge. */
	readonly port: string;
	/** The folder of the files that programs store for their user and machine. Hosts share none of them. */
	readonly #home = mkdtempSync(join(tmpdir(), 'dapssnet-'));
	readonly #children = new Set<ChildProcess>();

	constructor(space: string, index: number, {v4 = true, v6 = true, more = []}: HostOptions, hub: string | undefined) {
		this.space = space;
		this.v4 = `10.77.0.${index}`;
		this.v6 = `fd77::${index.toString(16)}`;
		this.port = `port${index}`;
		ip('netns', 'add', space);
		// Without this a program can bind an IPv6 address only after a second.
		for (const name of ['all', 'default']) this.sysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
		this.ip('link', 'set', 'lo', 'up');
		if (hub !== undefined) {
			if (!v6) this.sysctl('net/ipv6/conf/default/disable_ipv6', '1');
			ip('link', 'add', 'eth', 'netns', space, 'type', 'veth', 'peer', 'name', this.port, 'netns', hub);
			ip('-n', hub, 'link', 'set', this.port, 'master', 'bridge', 'up');
			this.setAddresses([...(v4 ? [`${this.v4}/24`] : []), ...(v6 ? [`${this.v6}/64`] : [])]);
			this.ip('link', 'set', 'eth', 'up');
		}

		for (const [count, address] of more.entries()) {
			ip('-n', space, 'link', 'add', `x${count}`, 'type', 'veth', 'peer', 'name', `y${count}`);
			for (const end of ['x', 'y']) this.ip('link', 'set', `${end}${count}`, 'up');
			this.ip('addr', 'add', address, 'dev', `x${count}`);
		}
	}

	/** Runs `ip` in this host. */
	ip(...args: string[]): void {
		ip('-n', this.space, ...args);
	}

	/** Sets a file under /proc/sys, such as `net/ipv4/ip_forward`. */
	sysctl(name: string, value: string): void {
		ip('netns', 'exec', this.space, 'sh', '-c', `echo ${value} > /proc/sys/${name}`);
	}

	/** Replaces the addresses on the bridge. @param addresses with their length: `10.77.0.9/24` */
	setAddresses(addresses: readonly string[]): void {
		this.ip('-4', 'addr', 'flush', 'dev', 'eth');
		this.ip('-6', 'addr', 'flush', 'dev', 'eth', 'scope', 'global');
		for (const address of addresses)
			this.ip('addr', 'add', address, 'dev', 'eth', ...(isIPv6(address.split('/')[0]!) ? ['nodad'] : []));
	}

	/** Sets the names in its own /etc/hosts, besides localhost. */
	setNames(names: Readonly<Record<string, readonly string[]>>): void {
		mkdirSync(`/etc/netns/${this.space}`, {recursive: true});
		const lines = Object.entries(names).flatMap(([name, addresses]) =>
			addresses.map(address => `${address} ${name}\n`),
		);
		writeFileSync(`/etc/netns/${this.space}/hosts`, `127.0.0.1 localhost\n${lines.join('')}`);
	}

	/** The arguments of `ip` that run a program in this host. */
	inside(program: string, args: readonly string[]): readonly string[] {
		return ['netns', 'exec', this.space, ...this.#env, program, ...args];
	}

	spawn(program: string, args: readonly string[]): ChildProcess {
		const child = spawn('ip', [...this.inside(program, args)], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {...process.env, NO_COLOR: '1'},
		});
		this.#children.add(child);
		child.once('close', () => this.#children.delete(child));
		return child;
	}

	/** Runs a command of the command line until it ends. */
	run(args: readonly string[]): Promise<Ran> {
		return new Promise((resolve, reject) => {
			const child = this.spawn(process.execPath, [cli, ...args]);
			let [stdout, stderr] = ['', ''];
			child.stdout!.setEncoding('utf8').on('data', (text: string) => {
				stdout += text;
			});
			child.stderr!.setEncoding('utf8').on('data', (text: string) => {
				stderr += text;
			});
			child.once('error', reject);
			child.once('close', code => resolve({code, stdout, stderr}));
		});
	}

	/** Starts a node of the cluster, by default on port 5000. Each start on this host has the same data folder. */
	start(cluster: Cluster, flags: readonly string[]): NodeProcess {
		return new NodeProcess(
			nodePort,
			[
				'netns',
				'exec',
				this.space,
				...this.#env,
				process.execPath,
				cli,
				'--headless',
				'-o',
				'jsonl',
				...(flags.includes('--port') ? [] : ['--port', String(nodePort)]),
				...cluster.clientFlags,
				'--data',
				`${cluster.folder}/${this.space}`,
				...flags,
			],
			true,
			'ip',
		);
	}

	[Symbol.dispose](): void {
		for (const child of this.#children) child.kill('SIGKILL');
		removeNamespace(this.space);
		rmSync(this.#home, {recursive: true, force: true});
	}

	get #env(): readonly string[] {
		return ['env', `XDG_RUNTIME_DIR=${this.#home}/run`, `XDG_STATE_HOME=${this.#home}/state`];
	}
}

function succeeds(program: string, ...args: readonly string[]): boolean {
	return spawnSync(program, [...args]).status === 0;
}

function nft(space: string, rules: readonly string[]): void {
	runCommand('ip', ['netns', 'exec', space, 'nft', '-f', '-'], `${rules.join('\n')}\n`);
}

/** Ends the processes in the namespace first, because they keep it. */
function removeNamespace(space: string): void {
	const pids = spawnSync('ip', ['netns', 'pids', space], {encoding: 'utf8'}).stdout ?? '';
	for (const pid of pids.split('\n').filter(line => line !== '')) {
		try {
			process.kill(Number(pid), 'SIGKILL');
		} catch {
			// The process has ended in the meantime.
		}
	}

	spawnSync('ip', ['netns', 'del', space]);
	rmSync(`/etc/netns/${space}`, {recursive: true, force: true});
	try {
		rmdirSync('/etc/netns');
	} catch {
		// The folder has files of other hosts, or does not exist.
	}
}

/** Removes the namespaces of killed test runs. */
function removeLeftovers(): void {
	for (const folder of [namespaceFolder, '/etc/netns']) {
		for (const name of existsSync(folder) ? readdirSync(folder) : []) {
			const pid = new RegExp(`^${family}(\\d+)-`).exec(name)?.[1];
			if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeNamespace(name);
		}
	}
}
