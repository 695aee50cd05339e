/**
An operator who gives identities roles and takes them back, through any node that runs. Each identity is used once, so
the checks need no order of changes: an acknowledged grant is in the state of every member, and an acknowledged
revocation is not undone.
*/
import type {IdentityKey, Role} from '../../../core/access.ts';
import type {Host} from './host/host.ts';

const grantable = ['observer', 'client', 'operator'] as const satisfies readonly Role[];
type Granted = {readonly role: (typeof grantable)[number]; isAgreed: boolean; isRevoking: boolean; isRevoked: boolean};

export class AccessOperator {
	readonly #granted = new Map<IdentityKey, Granted>();

	/** How many changes were acknowledged. */
	get agreed(): number {
		return [...this.#granted.values()].reduce(
			(sum, {isAgreed, isRevoked}) => sum + Number(isAgreed) + Number(isRevoked),
			0,
		);
	}

	/** Grants a role to a new identity, or revokes the oldest agreed one. @param draw a random number */
	act({node}: Host, draw: number): void {
		const present = [...this.#granted].find(([, {isAgreed, isRevoking}]) => isAgreed && !isRevoking);
		if (present && draw % 3 === 0) {
			const [identity, granted] = present;
			granted.isRevoking = true;
			node!.changeAccess({type: 'revoke', identity}).then(
				() => {
					granted.isRevoked = true;
				},
				() => undefined,
			);
			return;
		}

		const identity = this.#granted.size.toString(16).padStart(64, '0') as IdentityKey;
		const granted: Granted = {
			role: grantable[draw % grantable.length]!,
			isAgreed: false,
			isRevoking: false,
			isRevoked: false,
		};
		this.#granted.set(identity, granted);
		node!.changeAccess({type: 'grant', identity, role: granted.role, name: '', topics: []}).then(
			() => {
				granted.isAgreed = true;
			},
			() => undefined,
		);
	}

	/** What members lack after the heal. @param hosts those of the members that run */
	remaining(hosts: readonly Host[]): readonly string[] {
		return hosts.flatMap(({id, node}) => {
			const roles = new Map(node?.control.state.access.grants.map(({identity, role}) => [identity, role]));
			return [...this.#granted].flatMap(([identity, {role, isAgreed, isRevoking, isRevoked}]) => {
				if (isRevoked && roles.has(identity)) return [`${id} still gives ${identity} access`];
				if (isAgreed && !isRevoking && roles.get(identity) !== role)
					return [`${id} does not give ${identity} the agreed role ${role}`];
				return [];
			});
		});
	}
}
