export { type Audit, type AuditOptions, openAudit } from './audit.ts';
export { trailFiles } from './file.ts';
export type { Head } from './tail.ts';
export { type Defect, type Verification, verifyAudit } from './verify.ts';
