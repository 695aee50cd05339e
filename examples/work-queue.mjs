/**
A work queue: several workers share the jobs of the topic `jobs`, and publish to `results`.

	node examples/work-queue.mjs work 0/2 --server HOST:PORT        one process each for 0/2 and 1/2
	node examples/work-queue.mjs submit "a job" "another" --server HOST:PORT

Options: --server (also several times), --secret-file FILE, --cluster NAME. Start the nodes with
`--topics jobs,results`, so that each of them keeps both topics.

Each worker has a fixed share: the jobs whose sequence number leaves its index as the remainder. Workers do not claim
jobs, because nodes store messages in different orders: the first claim at one node may be the second at another.

- Two workers never do the same job, while every index runs once and all have the same count.
- A job is done at least once. A worker that starts again reads the old results, and does the jobs that have none. So a
  job is done twice if its worker ends before the result is published, or if its node does not have the result yet.
- No worker replaces another one. The jobs of a stopped worker wait until it runs again, on any machine.
- Jobs have no order among workers. Retention deletes old jobs, done or not (7 days or 256 MiB by default).
*/
import {randomUUID} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {follow, isDapssError} from 'dapss-tui';

const text = {type: 'string'};
const options = {server: {...text, multiple: true}, 'secret-file': text, cluster: text};
const {values, positionals} = parseArgs({allowPositionals: true, options});
const [role, ...words] = positionals;
const broker = await follow({servers: values.server, secretFile: values['secret-file'], cluster: values.cluster});

/** The identity of a message, the same at every node. */
const keyOf = ({origin, incarnation, seq}) => `${origin}:${incarnation}:${seq}`;
const textOf = ({body}) => Buffer.from(body).toString();

/** Publish until it is stored. It may be stored twice, if the server is lost before it answers. */
async function publish(topic, message) {
	try {
		await broker.publish(topic, [message]);
	} catch (error) {
		if (!['unreachable', 'closed', 'no-quorum'].some(code => isDapssError(error, code))) throw error;
		await sleep(500); // A pause before the next attempt.
		await publish(topic, message);
	}
}

/** Add the keys of the jobs that have a result, up to the marker. */
async function readResults(results, marker, done) {
	for await (const deliveries of results) {
		for (const result of deliveries) done.add(textOf(result).split(' ', 1)[0]);
		if (done.has(marker)) break;
	}
}

async function work(index, count) {
	const done = new Set();
	const marker = `start-${randomUUID()}`; // In the log of the node, earlier results come before it.
	await publish('results', marker);
	const results = broker.subscribe(['results'], {from: 'beginning'});
	// If the server is lost now, the marker may not arrive: then some jobs are done again.
	await Promise.race([readResults(results, marker, done), sleep(5000, undefined, {ref: false})]);
	await results[Symbol.asyncDispose]();
	console.log(`worker ${index} of ${count} is ready`);
	for await (const jobs of broker.subscribe(['jobs'], {from: 'beginning'})) {
		for (const job of jobs) {
			const key = keyOf(job);
			if (job.seq % count !== index || done.has(key)) continue;
			await publish('results', `${key} ${textOf(job).toUpperCase()}`); // The work itself.
			done.add(key);
			console.log(`did ${key}`);
		}
	}
}

async function submit(jobs) {
	const results = broker.subscribe(['results']);
	await results.agreed;
	const {origin, incarnation, firstSeq} = await broker.publish('jobs', jobs);
	const waiting = new Set(jobs.map((_, index) => keyOf({origin, incarnation, seq: firstSeq + index})));
	for await (const deliveries of results) {
		for (const [key, ...result] of deliveries.map(one => textOf(one).split(' ')))
			if (waiting.delete(key)) console.log(result.join(' ')); // A second result of a job is skipped.
		if (waiting.size === 0) break;
	}
}

const [index, count] = (words[0] ?? '').split('/').map(Number);
if (role === 'submit' && words.length > 0) await submit(words);
else if (role === 'work' && index >= 0 && index < count) await work(index, count);
else {
	console.error('Expected: work INDEX/COUNT, or: submit JOB…');
	process.exitCode = 2;
}

await broker[Symbol.asyncDispose]();
