export { openEmbeddedStore } from './embedded.ts';
export { openPostgresStore, type PostgresStoreOptions } from './postgres.ts';
