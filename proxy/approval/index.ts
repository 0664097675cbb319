export { type ApprovalOptions, Approvals } from './desk.ts';
