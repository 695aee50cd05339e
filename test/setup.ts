/**
Property tests draw from one seed, so that a failure repeats; `FC_SEED=n` sets another seed. Programs under test keep
files of the user, such as identities, in a folder of their own.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';

fc.configureGlobal({seed: Number(process.env['FC_SEED'] ?? 20_261_124)});

const folder = mkdtempSync(join(tmpdir(), 'dapss-config-'));
process.env['XDG_CONFIG_HOME'] = folder;
process.env['CLUSTER_CONFIG_HOME'] = folder;
process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
