import {fileURLToPath} from 'node:url';
import {defineConfig} from 'vitest/config';

export default defineConfig({
	test: {
		root: fileURLToPath(new URL('..', import.meta.url)),
		include: ['test/**/*.test.{ts,tsx}'],
		pool: 'forks',
		maxWorkers: 2,
		testTimeout: 30_000,
		setupFiles: ['test/setup.ts'],
	},
});
