/** Property tests draw from one seed, so that a failure repeats; `FC_SEED=n` sets another seed. */
import fc from 'fast-check';

fc.configureGlobal({seed: Number(process.env['FC_SEED'] ?? 20_261_124)});
