import type { ApprovalDesk } from '../../core/approvals.ts';
import { Problem } from './problem.ts';

/** The desk of a gateway that holds nothing for approval. */
export const noApprovals: ApprovalDesk = {
  list: async () => [],
  get: async () => undefined,
  decide: async () => {
    throw new Problem(404, 'approval_unknown', 'There is no such request for approval.');
  },
  onChange: () => () => {},
};
