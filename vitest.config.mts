import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    // The suites start engines and servers of their own: files of one suite run one after the other.
    fileParallelism: false,
    testTimeout: 30_000,
    coverage: {
      include: ['components/**/*.ts', 'cloud-init/**/*.ts', 'index.ts'],
      reporter: ['text'],
    },
  },
});
