/** The state of Raft: role, term, votes, log and voters. */
import {memo, type ReactNode} from 'react';
import type {Snapshot} from '../../core/snapshot.ts';
import {raftLines} from '../view/raft.ts';
import {wrapLines} from '../view/wrap.ts';
import {Lines} from '../widgets/lines.tsx';

type RaftProps = {readonly snapshot: Snapshot; readonly width: number; readonly height: number};

export const Raft = memo(({snapshot, width, height}: RaftProps): ReactNode => (
	<Lines lines={wrapLines(raftLines(snapshot, width), width)} width={width} height={height} />
));
