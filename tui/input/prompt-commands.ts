/**
The commands of the `:` prompt, named as on the command line. A line becomes a request; for a mistyped command the
nearest one is suggested. Pure.
*/
import leven from 'leven';
import type {FaultCommand} from '../../core/broker.ts';
import type {NodeId} from '../../core/message.ts';
import {membersCalled} from '../../core/observe/member-named.ts';
import {labelsOf, shortId} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';
import type {PaneId} from '../layout.ts';
import {lastWordStart, quoteWord, topicsOf, wordAt, wordsOf} from './line.ts';
import {parseAccess} from './access-line.ts';
import {parseTopic} from './topic-line.ts';
import type {Report, PromptRequest} from './prompt-request.ts';

type Word = {
	readonly usage: string;
	readonly help: string;
	readonly parse: (rest: string, context: CommandContext) => PromptRequest;
};
/** Members that a command may name by name, address, port or the first digits of the id. */
export type CommandContext = {
	readonly members: ReadonlyArray<
		Pick<MemberSnapshot, 'id' | 'name' | 'address'> & Partial<Pick<MemberSnapshot, 'self' | 'voter'>>
	>;
};

const pane = (id: PaneId, help: string): Word => ({usage: '', help, parse: () => ({type: 'focus', pane: id})});
const report = (name: Report, help: string): Word => ({usage: '', help, parse: () => ({type: 'report', report: name})});

export const words: Readonly<Record<string, Word>> = {
	subscribe: {
		usage: 'TOPIC…',
		help: 'this node receives these topics',
		parse: rest => parseTopics('subscribe', rest),
	},
	unsubscribe: {
		usage: 'TOPIC…',
		help: 'this node no longer receives these topics',
		parse: rest => parseTopics('unsubscribe', rest),
	},
	publish: {
		usage: 'TOPIC MESSAGE',
		help: 'the rest of the line is the message; put a topic with spaces in quotes',
		parse: parsePublish,
	},
	status: report('status', 'summary of the node'),
	peers: pane('peers', 'the members'),
	leader: {usage: '[transfer [NODE]]', help: 'the leader; or transfer leadership', parse: parseLeader},
	peer: {usage: 'remove NODE', help: 'remove a member permanently; asks for its name', parse: parsePeer},
	topics: pane('topics', 'topics and subscriptions'),
	topic: {
		usage: 'create NAME [--retain-age 12h] [--retain-bytes 64m] [--update] | delete NAME [--force] | list',
		help: 'create and delete topics',
		parse: parseTopic,
	},
	check: report('check', 'problems of the cluster, and what to do'),
	doctor: {
		usage: '',
		help: 'problems of the machine of this console, and what to do',
		parse: () => ({type: 'doctor'}),
	},
	events: pane('events', 'events of the node'),
	raft: pane('raft', 'leader, term, log and votes'),
	messages: pane('messages', 'delivered messages'),
	partition: pane('partition', 'partition, and the matrix of reachability'),
	quorum: report('quorum', 'how many voters can be lost, and what brings a quorum back'),
	elections: report('elections', 'the leaders of each term, and why they changed'),
	counters: report('counters', 'traffic, rejections and exceeded limits'),
	fault: {
		usage: 'cut NODE… [in|out] [for 10s] | isolate [for 10s] | delay 50ms [for 10s] | drop 20% [for 10s] | heal',
		help: 'inject faults, on nodes started with --faults',
		parse: parseFault,
	},
	filter: {
		usage: '[TEXT]',
		help: 'show only rows with this text in the focused list',
		parse: rest => ({type: 'filter', text: rest}),
	},
	pause: {usage: '', help: 'pause or continue the messages', parse: () => ({type: 'pause'})},
	zoom: {usage: '', help: 'maximize the focused pane, and back', parse: () => ({type: 'zoom'})},
	help: {usage: '', help: 'keys and commands', parse: () => ({type: 'help'})},
	access: {
		usage: 'list | add IDENTITY ROLE [NAME] | revoke NAME | default ROLE | admit NODE_ID',
		help: 'identities and their roles',
		parse: parseAccess,
	},
	attach: {
		usage: 'NODE | host:port',
		help: 'show another node, in a console that is attached',
		parse: parseAttach,
	},
	context: {
		usage: 'NAME',
		help: 'show another cluster: a context of the preferences',
		parse: parseContext,
	},
	leave: {usage: '', help: 'leave the cluster, then stop; asks first', parse: () => ({type: 'leave'})},
	quit: {usage: '', help: 'stop the node, or detach the console; asks first', parse: () => ({type: 'quit'})},
};

export function parseLine(line: string, context: CommandContext): PromptRequest {
	// Leading spaces are ignored. The rest of a publish line is the message, byte for byte.
	const match = /^[:\s]*(\S*)(?:\s(.*))?$/su.exec(line);
	const name = match?.[1] ?? '';
	if (name === '') return {type: 'nothing'};
	const word = Object.hasOwn(words, name) ? words[name] : undefined;
	if (!word) return {type: 'problem', text: `No command \`${name}\`${nearest(name)}`};
	return word.parse(match?.[2] ?? '', context);
}

/** Subcommands. */
const followers: Readonly<Record<string, readonly string[]>> = {
	leader: ['transfer'],
	peer: ['remove'],
	topic: ['create', 'delete', 'list'],
	fault: ['cut', 'isolate', 'delay', 'drop', 'heal'],
	access: ['list', 'add', 'revoke', 'default', 'admit'],
};

export type Completion = {
	/** The line, completed as far as it is unambiguous. */
	readonly text: string;
	/** What the last word can become. */
	readonly candidates: readonly string[];
};

/** Completes the last word of an unfinished line. @param isOffered whether a command is possible */
export function complete(
	line: string,
	topics: readonly string[],
	nodes: CommandContext['members'],
	isOffered: (word: string) => boolean = () => true,
): Completion {
	const first = /^(\s*)(\S*)$/u.exec(line);
	if (first) return completed(first[1]!, first[2]!, Object.keys(words).filter(isOffered), ' ');
	const second = /^(\s*(\S+)\s+)(\S*)$/u.exec(line);
	if (second && Object.hasOwn(followers, second[2]!))
		return completed(second[1]!, second[3]!, followers[second[2]!]!, ' ');
	const named = /^(\s*(?:leader\s+transfer|peer\s+remove|fault\s+cut|attach)\s(?:.*[\s,])?)([^\s,]*)$/u.exec(line);
	if (named) return completed(named[1]!, named[2]!, wordsFor(nodes, named[2]!), '');
	if (!/^\s*(?:subscribe|unsubscribe|publish|topic\s+(?:create|delete))\s/u.test(line))
		return {text: line, candidates: []};
	const start = lastWordStart(line);
	const topic = completeTopic(line.slice(start), topics);
	return {...topic, text: line.slice(0, start) + topic.text};
}

/** @param end follows a word that is unambiguous */
function completed(before: string, start: string, possible: readonly string[], end: string): Completion {
	const candidates = possible.filter(word => word.startsWith(start));
	const text = candidates.length === 1 ? `${candidates[0]}${end}` : commonStart(candidates) || start;
	return {text: before + text, candidates};
}

/** Names with this prefix; if there are none, ids. */
function wordsFor(nodes: CommandContext['members'], start: string): readonly string[] {
	const named = nodes.filter(({name}) => name !== '' && name.startsWith(start)).map(({name}) => printable(name));
	return named.length > 0 ? named : nodes.filter(({id}) => id.startsWith(start)).map(({id}) => shortId(id));
}

/** The topic with this prefix, in quotes if it needs them. */
export function completeTopic(start: string, topics: readonly string[]): Completion {
	const isOpen = start.startsWith('"');
	const candidates = topics
		.filter(topic => topic.startsWith(isOpen ? start.slice(1) : start))
		.map(topic => (isOpen ? `"${topic}"` : quoteWord(topic)));
	return {text: commonStart(candidates) || start, candidates};
}

function commonStart(candidates: readonly string[]): string {
	const [first = '', ...rest] = candidates;
	let length = first.length;
	for (const candidate of rest) while (!candidate.startsWith(first.slice(0, length))) length--;
	return first.slice(0, length);
}

function nearest(name: string): string {
	const ranked = Object.keys(words)
		.map(word => ({word, distance: word.startsWith(name) ? 0 : leven(name, word)}))
		.toSorted((a, b) => a.distance - b.distance);
	const best = ranked[0]!;
	return best.distance <= Math.max(2, Math.ceil(name.length / 3))
		? `. Did you mean \`:${best.word}\`?`
		: '. `?` lists them';
}

function parseTopics(type: 'subscribe' | 'unsubscribe', rest: string): PromptRequest {
	const parsed = wordsOf(rest, type === 'subscribe' ? {from: 'value'} : {});
	if ('problem' in parsed) return {type: 'problem', text: parsed.problem};
	const topics = topicsOf(parsed.words);
	const {from} = parsed.flags;
	// The feed shows only the messages that the node receives from now on.
	if (from !== undefined && from !== 'now')
		return {
			type: 'problem',
			text:
				'The console subscribes the node from now on; to read stored messages, use `dapss-tui subscribe ' +
				`${topics.map(topic => quoteWord(topic)).join(' ') || 'TOPIC'} --from ${quoteWord(from)}\``,
		};
	return topics.length === 0
		? {type: 'problem', text: `Expected a topic: \`:${type} weather\``}
		: {type: 'run', command: {type, topics}};
}

function parsePublish(rest: string): PromptRequest {
	const topic = wordAt(rest, 0);
	if (topic !== undefined && 'problem' in topic) return {type: 'problem', text: topic.problem};
	if (topic === undefined || topic.end === rest.length)
		return {type: 'problem', text: 'Expected a topic and a message: `:publish weather hello`'};
	// The message, byte for byte. Quotes around the whole message are removed, as a shell does.
	const body = rest.slice(topic.end + 1);
	const only = wordAt(body, 0);
	const isOneQuoted =
		only !== undefined &&
		!('problem' in only) &&
		only.isQuoted &&
		/^(?:"[^]*"|'[^]*')$/u.test(body.trim()) &&
		wordAt(body, only.end) === undefined;
	return {type: 'run', command: {type: 'publish', topic: topic.text, body: isOneQuoted ? only.text : body}};
}

function parseLeader(rest: string, {members}: CommandContext): PromptRequest {
	const [action, start, ...more] = argumentsOf(rest);
	if (action === undefined) return {type: 'report', report: 'leader'};
	if (action !== 'transfer' || more.length > 0)
		return {type: 'problem', text: 'Expected `:leader` or `:leader transfer [NODE]`'};
	if (start === undefined) return {type: 'run', command: {type: 'transfer', to: undefined}};
	const to = memberCalled(start, members);
	return typeof to === 'string' ? {type: 'run', command: {type: 'transfer', to}} : to;
}

function parsePeer(rest: string, {members}: CommandContext): PromptRequest {
	const [action, start, ...more] = argumentsOf(rest);
	if (action !== 'remove' || start === undefined || more.length > 0)
		return {type: 'problem', text: 'Expected `:peer remove NODE`'};
	const node = memberCalled(start, members);
	if (typeof node !== 'string') return node;
	const name = labelsOf(members)(node);
	return {
		type: 'confirm',
		command: {type: 'remove', node},
		name,
		title: `Remove ${name}`,
		lines: [
			`${name} is removed from the cluster for good. Its id is refused from then on, also with its data:`,
			'to come back, it must join as a new member, with an empty data folder.',
			'Messages that only this node has are lost.',
			'',
			...votesWithout(node, members),
		],
	};
}

/** What the removal of a member does to the quorum. */
function votesWithout(node: NodeId, members: CommandContext['members']): readonly string[] {
	const voters = members.filter(({voter}) => voter);
	if (!voters.some(({id}) => id === node)) return ['It has no vote, so the quorum stays as it is.'];
	const left = voters.length - 1;
	const needed = Math.floor(left / 2) + 1;
	return [
		`It has a vote: ${left} of ${voters.length} voters remain, and ${needed} of them are needed for every change.`,
		left - needed === 0 ? 'Then the cluster tolerates no further loss, until another member votes.' : '',
	].filter(line => line !== '');
}

function parseAttach(rest: string, {members}: CommandContext): PromptRequest {
	const [name, ...more] = argumentsOf(rest);
	if (name === undefined || more.length > 0)
		return {
			type: 'problem',
			text: 'Expected a node of this cluster, or an address: `:attach n2`, `:attach 10.0.0.7:5000`',
		};
	const found = membersCalled(name, members);
	// A node of this cluster that has just joined, or one of another cluster.
	if (found.length === 0 && /^(?:\S+:)?\d+$/u.test(name))
		return {type: 'run', command: {type: 'attach', server: name}};
	const node = memberCalled(name, members);
	if (typeof node !== 'string') return node;
	return {type: 'run', command: {type: 'attach', server: found[0]!.address}};
}

function parseContext(rest: string): PromptRequest {
	const [name, ...more] = argumentsOf(rest);
	return name === undefined || more.length > 0
		? {type: 'problem', text: 'Expected the name of a context of the preferences: `:context prod`'}
		: {type: 'run', command: {type: 'context', name}};
}

/** The words of a command without flags. A line with an open quote is one word, so that its error message shows it. */
function argumentsOf(rest: string): readonly string[] {
	const parsed = wordsOf(rest);
	return 'problem' in parsed ? [rest] : parsed.words.map(({text}) => text);
}

/** The member with that name, or the problem. */
function memberCalled(
	name: string,
	members: CommandContext['members'],
): NodeId | Extract<PromptRequest, {type: 'problem'}> {
	const matching = membersCalled(name, members);
	if (matching.length === 1) return matching[0]!.id;
	const label = labelsOf(members);
	const candidates = (matching.length === 0 ? members : matching)
		.map(({id}) => label(id))
		.slice(0, 8)
		.join(', ');
	return {
		type: 'problem',
		text:
			matching.length === 0
				? `No member has the name, address, port or first digits of the id \`${name}\`: ${candidates}`
				: `\`${name}\` could be ${matching.length} members: ${candidates}`,
	};
}

const faultUsage =
	'Expected `:fault cut NODE… [in|out] [for 10s]`, `isolate [for 10s]`, `delay 50ms [for 10s]`, ' +
	'`drop 20% [for 10s]` or `heal`';

function parseFault(rest: string, {members}: CommandContext): PromptRequest {
	const parsed = wordsOf(rest, {for: 'value', 'one-way': 'switch'});
	if ('problem' in parsed) return {type: 'problem', text: parsed.problem};
	const parts = topicsOf(parsed.words);
	const forAt = parts.indexOf('for');
	const time = forAt === -1 ? parsed.flags['for'] : (parts[forAt + 1] ?? '');
	const forMs = time === undefined ? 10_000 : parseDuration(time);
	const [kind, ...rawArguments] = forAt === -1 ? parts : parts.slice(0, forAt);
	// Every fault ends by itself: nobody may be there to end it.
	if (forMs === undefined || forMs === 0)
		return {type: 'problem', text: `Expected a time such as \`for 10s\`, got \`${time}\``};
	// Words without an effect are refused, because the user expects one.
	const isMore = 'one-way' in parsed.flags || rawArguments.length > (kind === 'heal' || kind === 'isolate' ? 0 : 1);
	if (kind !== 'cut' && isMore) return {type: 'problem', text: faultUsage};
	if (kind === 'heal')
		return time === undefined
			? fault({type: 'heal'})
			: {
					type: 'problem',
					text: `Expected \`:fault heal\` without a time, got \`${time}\`: it ends all faults`,
				};
	if (kind === 'isolate') {
		const peers = members.filter(({self}) => !self).map(({id}) => id);
		return peers.length === 0
			? {type: 'problem', text: 'This node is the only member, so there is nothing to isolate it from'}
			: fault({type: 'cut', peers, direction: 'both', forMs});
	}

	if (kind === 'delay') {
		const ms = parseDuration(rawArguments[0] ?? '');
		return ms === undefined ? {type: 'problem', text: faultUsage} : fault({type: 'delay', ms, forMs});
	}

	if (kind === 'drop') {
		const percent = Number((rawArguments[0] ?? '').replace(/%$/, '') || Number.NaN);
		return percent >= 0 && percent <= 100
			? fault({type: 'drop', percent, forMs})
			: {type: 'problem', text: faultUsage};
	}

	if (kind !== 'cut') return {type: 'problem', text: faultUsage};
	const direction = rawArguments.includes('in')
		? 'in'
		: rawArguments.includes('out') || 'one-way' in parsed.flags
			? 'out'
			: 'both';
	if (isTwoGroups(parsed.words.map(({text}) => text)))
		return {
			type: 'problem',
			text:
				'`:fault cut` cuts the node of this console from the given ones: name one group. ' +
				'`dapss-tui fault cut A,B C` cuts two groups',
		};
	const peers: NodeId[] = [];
	for (const start of rawArguments.filter(part => part !== 'in' && part !== 'out')) {
		const peer = memberCalled(start, members);
		if (typeof peer !== 'string') return peer;
		peers.push(peer);
	}

	return peers.length === 0 ? {type: 'problem', text: faultUsage} : fault({type: 'cut', peers, direction, forMs});
}

/** The command line cuts groups of nodes from each other: names with commas, then other names. */
function isTwoGroups(given: readonly string[]): boolean {
	const end = given.indexOf('for');
	const names = given.slice(1, end === -1 ? undefined : end).filter(word => word !== 'in' && word !== 'out');
	return names.length > 1 && names.some(name => /[^,],[^,]/u.test(name));
}

function fault(command: FaultCommand): PromptRequest {
	return {type: 'run', command: {type: 'fault', fault: command}};
}

/** `250ms`, `10s`, `2m`, or a bare number of seconds → milliseconds. */
export function parseDuration(text: string): number | undefined {
	const match = /^(\d+(?:\.\d+)?)(ms|s|m|min)?$/u.exec(text);
	if (!match) return undefined;
	const unit = match[2] ?? 's';
	return Number(match[1]) * (unit === 'ms' ? 1 : unit === 's' ? 1000 : 60_000);
}
