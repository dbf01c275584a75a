import eslint from '@eslint/js';
import pulumi from '@pulumi/eslint-plugin';
import tseslint from 'typescript-eslint';

// Programs that Node runs as they are, without a build.
const nodeGlobals = Object.fromEntries(
  ['process', 'console', 'fetch', 'AbortSignal', 'setTimeout', 'URL'].map((name) => [name, 'readonly']),
);

export default tseslint.config(
  {
    ignores: [
      'node_modules',
      '.local',
      '.cache',
      'coverage',
      'dist',
      'cloud-init/*/etc',
      'local/stand-ins/packages/*/usr',
    ],
  },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.mjs', 'vitest.config.mts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always'],
    },
  },
  {
    files: ['index.ts', 'components/**/*.ts'],
    plugins: { pulumi },
    rules: {
      'pulumi/no-output-in-template-literal': 'error',
      'pulumi/no-output-instance-in-template-literal': 'error',
    },
  },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: nodeGlobals },
  },
);
