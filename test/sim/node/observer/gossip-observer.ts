/**
Observes the requests that nodes send to each other for missing messages, and the subscriptions that they learn.
*/
import type {Node} from '../../../../core/node/node.ts';
import type {Violations} from '../../violations.ts';
import type {RepairChecks} from '../checks/repair-checks.ts';
import {RequestChecks} from '../checks/request-checks.ts';
import type {Host} from '../host/host.ts';

export class GossipObserver {
	readonly #requests = new RequestChecks();
	readonly #repairs: RepairChecks;
	readonly #violations: Violations;

	constructor(repairs: RepairChecks, violations: Violations) {
		this.#repairs = repairs;
		this.#violations = violations;
	}

	booted(host: Host, {data}: Node): void {
		const {gossip} = data;
		const step = gossip.step.bind(gossip);
		const ready = gossip.ready.bind(gossip);
		const setSubscriptions = data.setSubscriptions.bind(data);
		this.#requests.booted(host);
		Object.assign(gossip, {
			step: (...[from, packet]: Parameters<typeof step>) => {
				this.#requests.received(host, from, packet);
				step(from, packet);
			},
			ready: () => {
				const work = ready();
				for (const {to, packet} of work?.packets ?? [])
					this.#violations.check(this.#requests.sent(host, to, packet));
				return work;
			},
		});
		Object.assign(data, {
			setSubscriptions: (...given: Parameters<typeof setSubscriptions>) => {
				setSubscriptions(...given);
				this.#repairs.subscribed(host);
			},
		});
	}
}
