import fc from 'fast-check';
import {expect, test} from 'vitest';
import {identityKeyOf} from '../../../../core/access.ts';
import {defaults} from '../../../../core/config.ts';
import {clientIdentityOf, type ClientIdentity} from '../../../../core/io/net/client-identity.ts';
import {ConnectionQuotas} from '../../../../core/io/net/connection-quotas.ts';
import {createIdentity} from '../../../../core/wire/seal.ts';

const keyed = (name: string, host = '10.0.0.1'): ClientIdentity => ({name: `client ${name}`, hasIdentity: true, host});
const keyless = (host: string): ClientIdentity => ({name: `address ${host}`, hasIdentity: false, host});

/** Opens connections until one is refused. */
function fill(
	quotas: ConnectionQuotas,
	client: (index: number) => ClientIdentity,
): {readonly count: number; readonly why: string} {
	for (let count = 0; ; count++) {
		const usedUp = quotas.usedUp(client(count));
		if (usedUp) return {count, why: `${usedUp.quota}: ${usedUp.reason}`};
		quotas.add(client(count));
	}
}

test('one client, one address and all clients without an identity have quotas, which the refusal names', () => {
	const quotas = new ConnectionQuotas(defaults.limits);
	expect(fill(quotas, () => keyed('01'))).toEqual({
		count: 256,
		why: 'connections-per-client: Expected at most 256 connections of client 01 (limits.connections_per_client), got one more',
	});
	// Its other keys help it only up to the quota of its address.
	expect(fill(quotas, index => keyed(String(index + 2)))).toMatchObject({
		count: 256,
		why: expect.stringContaining('limits.connections_per_address'),
	});
	expect(fill(quotas, () => keyless('10.0.0.2'))).toMatchObject({
		count: 256,
		why: expect.stringContaining('256 connections of address 10.0.0.2'),
	});
	expect(fill(new ConnectionQuotas(defaults.limits), index => keyless(`10.0.${index % 250}.7`))).toMatchObject({
		count: 512,
		why: expect.stringContaining('limits.connections_without_identity'),
	});
});

test('clients leave room for members', () => {
	const {connections, connectionsReserved} = defaults.limits;
	expect(fill(new ConnectionQuotas(defaults.limits), index => keyed(String(index), `10.0.0.${index % 250}`))).toEqual(
		{
			count: connections - connectionsReserved,
			why: expect.stringContaining('limits.connections, less limits.connections_reserved for members') as string,
		},
	);
	// Of few connections, a quarter is left to members.
	expect(fill(new ConnectionQuotas({...defaults.limits, connections: 16}), index => keyed(String(index))).count).toBe(
		12,
	);
});

test('the count falls when a connection ends, once', () => {
	const quotas = new ConnectionQuotas({...defaults.limits, connectionsPerClient: 1});
	const counted = quotas.add(keyed('01'));
	expect(quotas.usedUp(keyed('01'))).toMatchObject({quota: 'connections-per-client'});
	counted[Symbol.dispose]();
	counted[Symbol.dispose]();
	expect(quotas.usedUp(keyed('01'))).toBeUndefined();
	quotas.add(keyed('01'));
	expect(quotas.usedUp(keyed('01'))).toMatchObject({quota: 'connections-per-client'});
});

test('any order of opening and closing leaves no count behind', () => {
	fc.assert(
		fc.property(fc.array(fc.nat(20), {maxLength: 200}), choices => {
			const quotas = new ConnectionQuotas({
				...defaults.limits,
				connectionsPerClient: 3,
				connectionsPerAddress: 5,
			});
			const open: Disposable[] = [];
			for (const choice of choices) {
				const client = choice % 2 === 0 ? keyed(String(choice % 3)) : keyless('10.0.0.1');
				if (choice > 15) open.shift()?.[Symbol.dispose]();
				else if (!quotas.usedUp(client)) open.push(quotas.add(client));
			}

			expect(open.length).toBeLessThanOrEqual(5);
			for (const one of open) one[Symbol.dispose]();
			expect(fill(quotas, () => keyed('01')).count).toBe(3);
		}),
	);
});

test('a client is named by its key, or by its address', () => {
	const {publicKey, id} = createIdentity();
	expect(clientIdentityOf({id: undefined, clientKey: publicKey}, '10.0.0.1')).toEqual({
		name: `identity ${identityKeyOf(publicKey)}`,
		hasIdentity: true,
		host: '10.0.0.1',
	});
	// One machine may have a whole network of IPv6.
	for (const last of ['1', 'ffff:2'])
		expect(clientIdentityOf({id: undefined}, `2001:db8::${last}`).name).toBe('address 2001:db8:0:0');
	expect(clientIdentityOf({id}, '10.0.0.1').name).toBe(`node ${id}`);
});
