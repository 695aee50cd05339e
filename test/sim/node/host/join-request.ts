/**
One join request, over a connection of its own.
*/
import {DapssError} from '../../../../core/errors.ts';
import {parseJoin} from '../../../../core/membership/joining.ts';
import type {NodeId} from '../../../../core/message.ts';
import {encodeControl} from '../../../../core/wire/wire.ts';
import type {HostProcess} from './host-process.ts';
import type {Host} from './host.ts';

export type JoinAnswer = {readonly id: NodeId; readonly frame: Buffer};

const unreachableMs = 500;
const answerMs = 5000;

/** Resolves to the answer of the node at the address. @throws if it refuses, does not answer or cannot be reached */
export function requestJoin(process: HostProcess, address: string, frame: Buffer): Promise<JoinAnswer> {
	const {
		host,
		host: {
			options: {fabric, schedule, random},
		},
	} = process;
	return new Promise((resolve, reject) => {
		const later = (work: () => void): void => schedule.after(random.between(1, 20), work);
		const fail = (error = new Error('unreachable')): void =>
			schedule.after(unreachableMs, () => process.run(() => reject(error)));
		later(() => {
			const found = fabric.ask(process, address);
			if (found && 'code' in found)
				return fail(
					new DapssError(found.code === 'not-authenticated' ? found.code : 'refused', found.reason, {
						cause: {code: found.code},
					}),
				);
			const other = found?.endpoint as Host | undefined;
			const node = other?.node;
			if (!other || !node) return fail();
			const request = parseJoin(frame)!;
			// Facts from the hello of the connection.
			const {
				incarnation,
				instance,
				protocols: [, newest],
				version,
			} = process.hello();
			const facts = {protocol: Math.min(newest, host.protocol, other.protocol), version, incarnation, instance};
			const answered = (answer: object): void => {
				if (fabric.isCut(host.key, other.key)) fail();
				else process.run(() => resolve({id: other.id, frame: encodeControl('joined', answer)}));
			};

			other.run(() => void node.onJoin({...request, facts}).then(answer => later(() => answered(answer))));
			schedule.after(answerMs, () => process.run(() => reject(new Error('no answer'))));
		});
	});
}
