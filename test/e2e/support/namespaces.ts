/**
Networks for end-to-end tests: hosts in network namespaces of their own on a bridge, which also has one (the hub).
The program gets no notice of a cut: TCP connections hang, datagrams vanish, nothing is refused. Needs Linux,
root and `ip`; filters and mapped ports need `nft` as well.

```ts
// then a suite that runs if canMakeNetworks; canFilter where block() or mapped() is used
sayNotRun('test/e2e/x.test.ts');
// in beforeAll; names hold the process id and a count, so files run side by side
network = new Network();
const [a, b, c] = [network.host(), network.host(), network.host()];
// a NodeProcess (bench/cluster.ts) of the built command line, data kept over restarts
const node = a.start(cluster, ['--host', a.v4]);
const {code, stdout, stderr} = await b.run(['status', '--server', `${a.v4}:5000`, ...cluster.clientFlags]);
// in afterAll; ends what runs in the hosts, removes namespaces and hosts files
network[Symbol.dispose]();
```
- `network.host({v4, v6, more})`: a host with `eth` on the bridge: 10.77.0.N/24 and fd77::N/64 unless `false`; `more`
  are further interfaces `x0`, `x1`… with the given addresses, joined to nothing.
- `network.mapped({ports})`: a host in a private network: it has 172.30.0.2, the gateway maps `[outer, inner]` ports of TCP
  and UDP to it, `gateway.v4` is where others reach them.
- `network.cut(host)`, `network.heal(host)`: the host's port on the bridge goes down and up.
- `const unblock = network.block({protocol: 'tcp' | 'udp' | 'all', from, to, oneWay})`: frames between two hosts vanish;
  without `to`, between `from` and all others. `unblock()` ends it.
- `const missing = network.countDatagrams(new Map([[host, port], …]))`: `missing()` names the pairs of hosts between
  which no datagram has gone by now.
- `host.setAddresses(['10.77.0.9/24'])`: other addresses on `eth` from now on. `host.ip(...)`, `host.sysctl(name,
  value)`: whatever else.
- `host.setNames({name: [addresses]})`: an /etc/hosts of its own, for commands that start from now on.
- `host.spawn(program, arguments)`: any process in the host. `host.inside(program, arguments)`: the arguments of `ip`
  for it, for a terminal.
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

/** @throws what the program wrote to stderr */
const command = (program: string, words: readonly string[], input = ''): void =>
	void execFileSync(program, [...words], {input, stdio: ['pipe', 'ignore', 'pipe']});
const ip = (...words: string[]): void => command('ip', words);

export const canMakeNetworks =
	process.platform === 'linux' && process.getuid?.() === 0 && isDone('ip', 'netns', 'add', `${prefix}-try`);
export const canFilter =
	canMakeNetworks &&
	isDone(
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

/** For the head of a test file: tells why it does not run. */
export function sayNotRun(file: string, needsFilters = false): void {
	if (!canMakeNetworks) console.warn(`Not run: ${file} needs Linux, root and iproute2`);
	else if (needsFilters && !canFilter) console.warn(`Not run: ${file} needs nftables (nft)`);
}

export type HostOptions = {
	/** Its address on the bridge; `false`: none. @default 10.77.0.N */
	readonly v4?: boolean;
	/** @default fd77::N */
	readonly v6?: boolean;
	/** Addresses with their length (`192.168.7.1/24`), each on an interface of its own that leads nowhere. */
	readonly more?: readonly string[];
};
export type Block = {
	readonly protocol: 'tcp' | 'udp' | 'all';
	readonly from: Host;
	/** @default every other host */
	readonly to?: Host;
	/** Only what `from` sends. @default false */
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
	#isGone = false;

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

	/**
	A host that others reach through mapped ports of a gateway only: `ports` are pairs of the gateway's and the host's.
	*/
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

	/** By the ports of the bridge, so the addresses of a host do not matter. */
	block(block: Block): () => void {
		this.#blocks.add(block);
		this.#filter();
		return () => {
			this.#blocks.delete(block);
			this.#filter();
		};
	}

	/**
	Datagrams to the given port of each host from each other one, counted from now on: a function that tells those who
	have none yet.
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
		if (this.#isGone) return;
		this.#isGone = true;
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
	/** Its namespace. */
	readonly space: string;
	readonly v4: string;
	readonly v6: string;
	/** The hub's end of its cable. */
	readonly port: string;
	/** What programs keep for their user and machine: a host shares none of it. */
	readonly #home = mkdtempSync(join(tmpdir(), 'dapssnet-'));
	readonly #children = new Set<ChildProcess>();

	constructor(space: string, index: number, {v4 = true, v6 = true, more = []}: HostOptions, hub: string | undefined) {
		this.space = space;
		this.v4 = `10.77.0.${index}`;
		this.v6 = `fd77::${index.toString(16)}`;
		this.port = `port${index}`;
		ip('netns', 'add', space);
		// Else a v6 address can be bound a second later only.
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

	/** `ip` within this host. */
	ip(...words: string[]): void {
		ip('-n', this.space, ...words);
	}

	/** A setting under /proc/sys, `net/ipv4/ip_forward`. */
	sysctl(name: string, value: string): void {
		ip('netns', 'exec', this.space, 'sh', '-c', `echo ${value} > /proc/sys/${name}`);
	}

	/** With their length: `10.77.0.9/24`. Those that it had are gone. */
	setAddresses(addresses: readonly string[]): void {
		this.ip('-4', 'addr', 'flush', 'dev', 'eth');
		this.ip('-6', 'addr', 'flush', 'dev', 'eth', 'scope', 'global');
		for (const address of addresses)
			this.ip('addr', 'add', address, 'dev', 'eth', ...(isIPv6(address.split('/')[0]!) ? ['nodad'] : []));
	}

	/** Its own /etc/hosts, besides localhost. */
	setNames(names: Readonly<Record<string, readonly string[]>>): void {
		mkdirSync(`/etc/netns/${this.space}`, {recursive: true});
		const lines = Object.entries(names).flatMap(([name, addresses]) =>
			addresses.map(address => `${address} ${name}\n`),
		);
		writeFileSync(`/etc/netns/${this.space}/hosts`, `127.0.0.1 localhost\n${lines.join('')}`);
	}

	/** The arguments of `ip` that run a program in this host. */
	inside(program: string, words: readonly string[]): readonly string[] {
		return ['netns', 'exec', this.space, ...this.#env, program, ...words];
	}

	spawn(program: string, words: readonly string[]): ChildProcess {
		const child = spawn('ip', [...this.inside(program, words)], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {...process.env, NO_COLOR: '1'},
		});
		this.#children.add(child);
		child.once('close', () => this.#children.delete(child));
		return child;
	}

	/** A command of the command line, to its end. */
	run(words: readonly string[]): Promise<Ran> {
		return new Promise((resolve, reject) => {
			const child = this.spawn(process.execPath, [cli, ...words]);
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

	/**
	A node of the cluster on port 5000 (unless `flags` say otherwise), with a data folder that it finds again when it is
	started again.
	*/
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

function isDone(program: string, ...words: readonly string[]): boolean {
	return spawnSync(program, [...words]).status === 0;
}

function nft(space: string, rules: readonly string[]): void {
	command('ip', ['netns', 'exec', space, 'nft', '-f', '-'], `${rules.join('\n')}\n`);
}

/** A namespace exists as long as a process in it. */
function removeNamespace(space: string): void {
	const pids = spawnSync('ip', ['netns', 'pids', space], {encoding: 'utf8'}).stdout ?? '';
	for (const pid of pids.split('\n').filter(line => line !== '')) {
		try {
			process.kill(Number(pid), 'SIGKILL');
		} catch {
			// It has just ended.
		}
	}

	spawnSync('ip', ['netns', 'del', space]);
	rmSync(`/etc/netns/${space}`, {recursive: true, force: true});
	try {
		rmdirSync('/etc/netns');
	} catch {
		// Other hosts have files there, or there is none.
	}
}

/** Of test runs that were killed. */
function removeLeftovers(): void {
	for (const folder of [namespaceFolder, '/etc/netns']) {
		for (const name of existsSync(folder) ? readdirSync(folder) : []) {
			const pid = new RegExp(`^${family}(\\d+)-`).exec(name)?.[1];
			if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeNamespace(name);
		}
	}
}
