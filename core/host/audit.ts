/** Writes the events of a node that an audit needs to the audit log in its data folder. */
import type {RecordedEvent} from '../events.ts';
import {AuditLog} from '../io/files/audit-log.ts';
import type {Node} from '../node/node.ts';
import type {AsyncStack} from '../stack.ts';

/** Changes of the cluster and of the node, requests for them, and refusals. */
const audited: ReadonlySet<RecordedEvent['type']> = new Set([
	'ready',
	'admitted',
	'stopped',
	'audit',
	'access',
	'keys',
	'topic',
	'leader',
	'transfer',
	'voters',
	'member',
	'named',
	'protocol',
	'fault',
	'refused',
	'rejected',
	'duplicate',
	'quarantined',
]);

/** Start to write; the last lines are written when the resources are disposed. @param path the data folder */
export function openAudit(node: Node, path: string, resources: AsyncStack): void {
	const log = resources.use(
		new AuditLog({
			folder: path,
			failed(problem) {
				node.journal.bound('audit');
				node.journal.record({type: 'warning', text: `The audit log is incomplete: ${problem}`});
			},
		}),
	);
	const watch = node.journal.watch();
	const take = (): void => {
		for (const event of watch.take()) if (audited.has(event.type)) log.add(event);
		if (watch.isClosed) watch[Symbol.dispose]();
	};

	watch.onNews = take;
	take();
}
