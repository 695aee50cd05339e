/**
The quotas of client connections. Links of members are not counted: room for them is reserved. A client is counted under
its identity. Clients without one are counted under their address and share one more quota. A client can make any number
of identities, so an address has a quota too.
*/
import type {Config} from '../../config.ts';
import type {ClientIdentity} from './client-identity.ts';

/** The quotas, as bounds are counted. */
export const connectionQuotas = [
	'connections',
	'connections-per-client',
	'connections-per-address',
	'connections-without-identity',
] as const;
export type ConnectionQuota = (typeof connectionQuotas)[number];

export type QuotaLimits = Pick<
	Config['limits'],
	| 'connections'
	| 'connectionsReserved'
	| 'connectionsPerClient'
	| 'connectionsPerAddress'
	| 'connectionsWithoutIdentity'
>;

/** A quota that is used up, with the text for the client that is refused. */
export type UsedUp = {readonly quota: ConnectionQuota; readonly reason: string};

/** At least this share of all connections is left to clients. */
const clientShare = 0.75;

export class ConnectionQuotas {
	readonly #limits: QuotaLimits;
	readonly #counts = new Map<string, number>();

	constructor(limits: QuotaLimits) {
		this.#limits = limits;
	}

	/** The first quota without room for one more connection of the client. */
	usedUp(client: ClientIdentity): UsedUp | undefined {
		const full = this.#quotasOf(client).find(({key, max}) => (this.#counts.get(key) ?? 0) >= max);
		return (
			full && {
				quota: full.quota,
				reason: `Expected at most ${full.max} connections ${full.of} (${full.setting}), got one more`,
			}
		);
	}

	/** Counts a connection until disposed. */
	add(client: ClientIdentity): Disposable {
		const keys = this.#quotasOf(client).map(({key}) => key);
		for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
		return {
			[Symbol.dispose]: () => {
				for (const key of keys.splice(0)) {
					const left = this.#counts.get(key)! - 1;
					if (left > 0) this.#counts.set(key, left);
					else this.#counts.delete(key);
				}
			},
		};
	}

	#quotasOf({name, hasIdentity, host}: ClientIdentity) {
		const {
			connections,
			connectionsReserved,
			connectionsPerClient,
			connectionsPerAddress,
			connectionsWithoutIdentity,
		} = this.#limits;
		const forClients = Math.max(connections - connectionsReserved, Math.ceil(connections * clientShare));
		return [
			{
				quota: 'connections',
				setting: 'limits.connections, less limits.connections_reserved for members',
				key: 'clients',
				max: forClients,
				of: 'of clients',
			},
			{
				quota: 'connections-per-client',
				setting: 'limits.connections_per_client',
				key: name,
				max: connectionsPerClient,
				of: `of ${name}`,
			},
			{
				quota: 'connections-per-address',
				setting: 'limits.connections_per_address',
				key: `all of ${host}`,
				max: connectionsPerAddress,
				of: `of clients at ${host}`,
			},
			...(hasIdentity
				? []
				: [
						{
							quota: 'connections-without-identity',
							setting: 'limits.connections_without_identity',
							key: 'without identity',
							max: connectionsWithoutIdentity,
							of: 'of clients without an identity',
						} as const,
					]),
		] as const;
	}
}
