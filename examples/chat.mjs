/**
A chat between machines: it prints the messages of a room, and sends the lines of its standard input.

	node examples/chat.mjs --name ann --server 127.0.0.1:5000

Options: --room NAME, --server HOST:PORT (also several times), --secret-file FILE, --cluster NAME. With several servers
the chat continues at the next one when a server is lost.

To chat between machines, start a node that listens on an address of the network (`dapss-tui --headless --host
10.0.0.1`), and copy the cluster's secret file to the other machines. docs/operating.md, "Several hosts", has the
steps.

Any user with the secret may write under any name. Lines that are typed while no server answers are not sent.
*/
import {userInfo} from 'node:os';
import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';
import {follow} from 'dapss-tui';

const text = {type: 'string'};
const {values} = parseArgs({
	options: {name: text, room: text, server: {...text, multiple: true}, 'secret-file': text, cluster: text},
});
const {name = userInfo().username, room = 'chat'} = values;

const broker = await follow({servers: values.server, secretFile: values['secret-file'], cluster: values.cluster});
// It reconnects by itself; this only reports it.
broker.onLink(news => {
	if (news.state === 'connected') console.error(`(connected to ${news.server})`);
	else console.error(`(lost ${news.server}: ${news.why})`);
});

const subscription = broker.subscribe([room]);
await subscription.agreed; // From now on no message is missed.
console.error(`(${name} is in ${room}, through ${broker.server})`);
const printing = (async () => {
	for await (const messages of subscription) {
		for (const {body} of messages) {
			const line = Buffer.from(body).toString();
			console.log(line.replaceAll(/[\p{Cc}\p{Cf}]/gu, '')); // Control characters could change the terminal.
		}
	}
})();

for await (const line of createInterface({input: process.stdin})) {
	await broker.publish(room, [`${name}: ${line}`]).catch(error => console.error(`(not sent: ${error.message})`));
}

await broker[Symbol.asyncDispose]();
await printing;
