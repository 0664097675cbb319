export { openEmbeddedStore } from './embedded.ts';
