/** Which nodes the leader of a cluster with an operator makes members. */
import {expect, test} from 'vitest';
import {hashOfToken, identityKeyOf, type AccessChange} from '../../../core/access.ts';
import {accessProtocol} from '../../../core/cluster-state/cluster-state.ts';
import type {Control, ControlOptions} from '../../../core/control/control.ts';
import {endorse, isEndorsed} from '../../../core/membership/endorsement.ts';
import {parseJoin, type JoinAnswer, type JoinRequest} from '../../../core/membership/joining.ts';
import type {NodeId} from '../../../core/message.ts';
import {createIdentity} from '../../../core/wire/seal.ts';
import {encodeControl} from '../../../core/wire/wire.ts';
import {createControl, foundedStore, leader, self as node} from './support/control-node.ts';

const operator = createIdentity(Buffer.alloc(32, 1));
const user = createIdentity(Buffer.alloc(32, 2));
const other = 'cccccccccccccccc' as NodeId;
const token = `join-${'a'.repeat(22)}`;
const facts = {protocol: accessProtocol, version: '1.0.0', incarnation: 1, instance: '00000000000000aa'};
const request: JoinRequest = {id: node, address: '127.0.0.1:2', clusterId: '', facts};
const wait = (reason: string): JoinAnswer => ({type: 'wait', reason});
const unadmitted = `an operator must admit this node: dapss-tui access admit ${node}`;

/** A leader of a cluster that the operator has founded; every address is of `node` unless `more` says otherwise. */
async function founded(
	more: Partial<ControlOptions> = {},
	isOpen = false,
): Promise<{readonly control: Control; readonly change: (asked: AccessChange) => Promise<void>}> {
	let nowMs = 0;
	const control = createControl({
		self: leader,
		store: await foundedStore({
			protocol: accessProtocol,
			...(isOpen ? {} : {operator: identityKeyOf(operator.publicKey)}),
		}),
		nowMs: () => nowMs,
		wallMs: () => 1000,
		protocolMax: accessProtocol,
		dialBack: async () => node,
		isGenuine: () => true,
		...more,
	});
	for (
		let tick = 0;
		control.raft.role !== 'leader' || control.state.applied < control.raft.status().lastIndex;
		tick++
	) {
		if (tick > 2000) throw new Error('Expected a leader within 2000 ticks');
		nowMs += 25;
		control.tick();
		await new Promise(setImmediate);
	}

	return {
		control,
		change: asked => control.propose({type: 'access', node: leader, by: undefined, isOwner: true, change: asked}),
	};
}

test('a node without consent waits, and the answer has the command of an operator', async () => {
	const {control} = await founded();
	expect(await control.join(request)).toEqual(wait(unadmitted));
	expect(control.state.address(node)).toBeUndefined();
});

test('a node whose user is an operator joins by itself', async () => {
	const {control} = await founded();
	expect(await control.join({...request, endorsement: endorse(operator, 'dapss', node)})).toMatchObject({
		type: 'joined',
	});
});

test.each([
	['of a user without a role', () => endorse(user, 'dapss', node)],
	['for another node', () => endorse(operator, 'dapss', other)],
	['for another cluster', () => endorse(operator, 'staging', node)],
	[
		'in the name of an operator',
		() => ({...endorse(user, 'dapss', node), identity: identityKeyOf(operator.publicKey)}),
	],
] as const)('an endorsement %s admits nobody', async (_name, endorsement) => {
	const {control} = await founded();
	expect(await control.join({...request, endorsement: endorsement()})).toEqual(wait(unadmitted));
});

test('a node that an operator admitted joins, once', async () => {
	const {control, change} = await founded();
	await change({type: 'admit', node});
	expect(control.state.access.admissions.admitted).toEqual([node]);
	expect(await control.join(request)).toMatchObject({type: 'joined'});
	expect(control.state.access.admissions.admitted).toEqual([]);
});

test('a join token admits as many nodes as it says', async () => {
	const {control, change} = await founded({dialBack: async address => (address.endsWith(':2') ? node : other)});
	await change({type: 'token', hash: hashOfToken(token), uses: 1, untilMs: 2000});
	expect(await control.join({...request, token})).toMatchObject({type: 'joined'});
	expect(control.state.access.admissions.tokens).toEqual([]);
	expect(await control.join({...request, id: other, address: '127.0.0.1:3', token})).toEqual(
		wait(`its join token is not valid; an operator must admit this node: dapss-tui access admit ${other}`),
	);
});

test('an expired token and a withdrawn one admit nobody', async () => {
	const {control, change} = await founded();
	await change({type: 'token', hash: hashOfToken(token), uses: 5, untilMs: 1000});
	expect(await control.join({...request, token})).toEqual(wait(`its join token has expired; ${unadmitted}`));
	await change({type: 'withdraw', hash: hashOfToken(token)});
	expect(await control.join({...request, token})).toEqual(wait(`its join token is not valid; ${unadmitted}`));
});

test('a node that replaces a member with a lost disk joins, also after that member was removed', async () => {
	const {control} = await founded({
		isReachable: id => id !== other,
		dialBack: async at => (at.endsWith(':3') ? other : node),
	});
	const endorsement = endorse(operator, 'dapss', other);
	expect(await control.join({...request, id: other, address: '127.0.0.1:3', endorsement})).toMatchObject({
		type: 'joined',
	});
	const resignations = [{id: other, publicKey: new Uint8Array(32), signature: new Uint8Array(64)}];
	expect(await control.join({...request, resignations})).toEqual(
		wait(`node ${other}, whose data folder was lost, is being removed`),
	);
	await expect.poll(() => control.state.isRemoved(other)).toBe(true);
	expect(control.state.access.admissions.admitted).toEqual([node]);
	expect(await control.join({...request, resignations})).toMatchObject({type: 'joined'});
});

test('a cluster without an operator admits every node with the secret, as before', async () => {
	const {control} = await founded({}, true);
	expect(await control.join(request)).toMatchObject({type: 'joined'});
});

test('an address at which nothing answers, or another node, makes no member', async () => {
	const {control: silent} = await founded(
		{
			dialBack: async () => {
				throw new Error('refuses connections');
			},
		},
		true,
	);
	expect(await silent.join(request)).toEqual(
		wait('the leader cannot call it at its address 127.0.0.1:2 (refuses connections): is --advertise right?'),
	);
	const {control: foreign} = await founded({dialBack: async () => other}, true);
	expect(await foreign.join(request)).toEqual(
		wait('another node answers at its address 127.0.0.1:2: is --advertise right?'),
	);
	expect([silent.state.members().length, foreign.state.members().length]).toEqual([1, 1]);
});

test('a request carries the endorsement and the token, and drops malformed ones', () => {
	const endorsement = endorse(operator, 'dapss', node);
	const parsed = parseJoin(encodeControl('join', {...request, endorsement, token}))!;
	expect(parsed.token).toBe(token);
	expect(isEndorsed(parsed.endorsement!, 'dapss', node)).toBe(true);
	expect(
		parseJoin(
			encodeControl('join', {...request, endorsement: {...endorsement, identity: 'x'}, token: 'join-short'}),
		),
	).toEqual({id: node, address: '127.0.0.1:2', clusterId: ''});
});
