export { type Audit, type AuditOptions, openAudit } from './audit.ts';
export { trailFiles } from './file.ts';
export { headMembers, isSigned, parseHead, readPublicKey, readSigningKey, type SignedHead, signHead } from './head.ts';
export { type SinkOptions, Sinks } from './sinks/index.ts';
export type { Head } from './tail.ts';
export { type Defect, type Proof, type Verification, verifyAudit } from './verify.ts';
