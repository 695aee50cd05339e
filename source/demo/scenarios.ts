/**
The scenarios of the demo. Each is a list of steps; a step says what happens and what to look at, does it, and says how
it ended.
*/
import {timeText} from '../output/units.ts';
import {bounds, BrokenPromise, listText, type Stage} from './stage.ts';

export type Step = {
	readonly name: string;
	/** What happens now, and where to look. */
	readonly says: (stage: Stage) => string;
	/** Resolves with the outcome. @throws `BrokenPromise` */
	readonly run: (stage: Stage) => Promise<string>;
};

export const scenarioNames = ['split', 'failover', 'churn'] as const;
export type ScenarioName = (typeof scenarioNames)[number];
export type Scenario = {
	readonly title: string;
	/** Nodes that it needs. */
	readonly nodesMin: number;
	readonly steps: readonly Step[];
};

/** Messages of each publisher that pass before a step ends. */
const fewMessages = 8;

const begin: Step = {
	name: 'start',
	says: ({names}) =>
		`${names.length} nodes run here, ${names[0]!} to ${names.at(-1)!}. Each publishes 5 messages a second to ` +
		'weather and reads it. Watch 1 Peers: who is alive; 2 Raft: who leads; 4 Messages: what arrives.',
	async run(stage) {
		await stage.published(stage.names, fewMessages);
		return `${stage.leader()} leads. Messages of all ${stage.names.length} nodes flow.`;
	},
};

const check: Step = {
	name: 'check',
	says: () =>
		'The publishers stop for a moment. Every reader must have every message that was acknowledged since the ' +
		'start of the scenario, exactly once.',
	async run(stage) {
		const {messages, readers} = await stage.settle();
		return (
			`All ${messages} acknowledged messages were delivered exactly once to each of ${readers} readers. ` +
			'No term had two leaders.'
		);
	},
};

/** The smaller side; the node of the console is on the larger one. */
const minority = ({names}: Stage): readonly string[] => names.slice(-Math.floor((names.length - 1) / 2));
const majority = (stage: Stage): readonly string[] => stage.names.filter(name => !minority(stage).includes(name));
const isOrAre = (names: readonly string[]): string => `${listText(names)} ${names.length === 1 ? 'is' : 'are'}`;

const split: Scenario = {
	title: 'A network that splits',
	nodesMin: 3,
	steps: [
		begin,
		{
			name: 'cut',
			says: stage =>
				`${isOrAre(minority(stage))} cut off from ${listText(majority(stage))} now. Watch 5 Partition: the ` +
				'sides appear, and which has the quorum. 1 Peers says who is unreachable.',
			async run(stage) {
				const tookMs = await stage.cut(minority(stage));
				return (
					`Every node reported the partition within ${timeText(tookMs)}. ` +
					`${listText(majority(stage))} have the quorum and the leader ${stage.leader()}.`
				);
			},
		},
		{
			name: 'publish',
			says: stage =>
				'Both sides go on publishing. Watch 4 Messages: nothing of ' +
				`${listText(minority(stage))} arrives. 5 Partition counts what waits for the heal.`,
			async run(stage) {
				await stage.published(stage.names, fewMessages);
				const [far] = minority(stage);
				const refusal = await stage.refusal(far!);
				if (refusal === undefined) throw new BrokenPromise('a side without the quorum agrees on nothing');
				return `Each node stored messages of its own side. ${far!} refuses a new subscription: ${refusal}.`;
			},
		},
		{
			name: 'heal',
			says: () =>
				'The cut ends now. Watch 5 Partition: the sides compare what they have and send only what is ' +
				'missing. 6 Events reports healed, then repaired.',
			async run(stage) {
				const {tookMs, arrived} = await stage.heal();
				const counts = [...arrived].map(([name, count]) => `${name} ${count}`).join(', ');
				return `Repaired within ${timeText(tookMs)}. Messages that came in: ${counts}.`;
			},
		},
		check,
	],
};

const failover: Scenario = {
	title: 'A leader that dies',
	nodesMin: 3,
	steps: [
		begin,
		{
			name: 'kill',
			says: stage =>
				`The leader ${stage.leader()} is killed now (kill -9). Watch 2 Raft: the others elect a leader in a ` +
				'new term. 1 Peers: down. A console that was attached to it goes to another node.',
			async run(stage) {
				const {was, now, tookMs} = await stage.crashLeader();
				return `${now} leads instead of ${was}; all other nodes knew that ${timeText(tookMs)} after the kill.`;
			},
		},
		{
			name: 'publish',
			says: stage =>
				`Messages flow without ${listText(stage.down())}. Watch 4 Messages: they do not wait for a leader.`,
			async run(stage) {
				await stage.published(stage.up(), fewMessages);
				return `${listText(stage.up())} acknowledged ${stage.traffic.ledger.acknowledged} messages so far.`;
			},
		},
		{
			name: 'restart',
			says: stage =>
				`${listText(stage.down())} starts again, with the data on its disk. Watch 1 Peers: it comes back and ` +
				'fetches what it missed.',
			async run(stage) {
				const [name] = stage.down();
				const tookMs = await stage.start(name!);
				await stage.delivered();
				return `${name!} was back after ${timeText(tookMs)}, and has every message it missed.`;
			},
		},
		check,
	],
};

const churn: Scenario = {
	title: 'Nodes that come and go',
	nodesMin: 3,
	steps: [
		begin,
		{
			name: 'restart',
			says: stage =>
				`${stage.follower()} is stopped and started again, as for an upgrade. Watch 1 Peers: it left on ` +
				'purpose, so nobody suspects a failure.',
			async run(stage) {
				const name = stage.follower();
				await stage.stop(name);
				await stage.published(stage.up(), fewMessages);
				const tookMs = await stage.start(name);
				return `${name} was back ${timeText(tookMs)} after its start, while messages flowed.`;
			},
		},
		{
			name: 'join',
			says: () =>
				'A new node joins. Watch 1 Peers: one more row. It learns the agreed state, then copies the messages.',
			async run(stage) {
				const {name, tookMs} = await stage.join();
				await stage.published([name], fewMessages);
				return `${name} was a member with a reader after ${timeText(tookMs)}, and publishes.`;
			},
		},
		{
			name: 'crash',
			says: stage =>
				`${stage.crashable()} is killed now (kill -9), and started again. Watch 1 Peers: down, then alive.`,
			async run(stage) {
				const name = stage.crashable();
				await stage.crash(name);
				await stage.published(stage.up(), fewMessages);
				const tookMs = await stage.start(name);
				return `${name} was back ${timeText(tookMs)} after its start.`;
			},
		},
		{
			name: 'leave',
			says: stage =>
				`${stage.names.at(-1)!} leaves for good. Watch 1 Peers: it hands over its vote and its row goes.`,
			async run(stage) {
				const name = stage.names.at(-1)!;
				await stage.leave(name);
				return `${name} left. ${stage.names.length} members remain, and ${stage.leader()} leads.`;
			},
		},
		check,
	],
};

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {split, failover, churn};

/** The bounds that the demo checks, as a sentence. */
export const boundsText =
	`a partition is detected within ${bounds.detected / 1000} s, a leader elected within ${bounds.leader / 1000} s, ` +
	`a healed partition repaired within ${bounds.repaired / 1000} s`;
