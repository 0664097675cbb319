import { availableParallelism } from 'node:os';

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  testSequencer: '<rootDir>/test/sequencer.js',
  testTimeout: 60_000,
  // Most of what a test waits for are other processes: two files at once are quicker even where there are two processors.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  // Modules of a test file are not given back when it ends: a process that has grown is replaced before the next file.
  workerIdleMemoryLimit: '1500MB',
};
