import type { ApprovalDesk, ApprovalState } from '../../../core/approvals.ts';
import { approvalDocument } from '../documents.ts';
import { Problem } from '../problem.ts';
import { limitOf } from '../query.ts';
import type { Route } from '../route.ts';
import { parameters, schemas } from '../schemas.ts';

/** Requests for approval, and people's word on them. The desk says who may decide what. */
export function approvalRoutes(desk: ApprovalDesk): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/approvals',
      role: 'viewer',
      summary: 'Requests for approval, the newest first.',
      query: { state: parameters.states, limit: parameters.limit, after: parameters.after },
      answer: schemas.approvals,
      async handle({ query }) {
        const states = query.state?.split(',').filter(isState);
        const limit = limitOf(query);
        const found = await desk.list({ limit, ...(states && { states }), ...(query.after && { after: query.after }) });
        return { json: { approvals: found.map(approvalDocument) } };
      },
    },
    {
      method: 'GET',
      path: '/api/approvals/{id}',
      role: 'viewer',
      summary: 'One request for approval.',
      answer: schemas.approval,
      async handle({ parameters: { id = '' } }) {
        const approval = await desk.get(id);
        if (approval === undefined)
          throw new Problem(404, 'approval_unknown', 'There is no such request for approval.');
        return { json: approvalDocument(approval) };
      },
    },
    {
      method: 'POST',
      path: '/api/approvals/{id}/decision',
      role: 'approver',
      summary: 'Approves or denies a request, as the one who asks.',
      body: schemas.verdict,
      answer: schemas.approval,
      async handle({ parameters: { id = '' }, body, visitor, clientAddress }) {
        const { principal, channel } = visitor;
        const verdict = body.verdict === 'approve' ? 'approve' : 'deny';
        const reason = typeof body.reason === 'string' ? body.reason.trim() : '';
        return {
          json: approvalDocument(
            await desk.decide(id, { approver: principal, verdict, reason, channel, clientAddress }),
          ),
        };
      },
    },
    {
      method: 'POST',
      path: '/api/approvals/{id}/break-glass',
      // Whose request it is need not be an approver; the desk lets nobody else.
      role: 'viewer',
      summary: 'Lets one own request through without approvers, where policy offers that. It is told to everybody.',
      body: schemas.brokenGlass,
      answer: schemas.approval,
      async handle({ parameters: { id = '' }, body, visitor, clientAddress }) {
        const { principal, channel } = visitor;
        const reason = typeof body.reason === 'string' ? body.reason.trim() : '';
        return {
          json: approvalDocument(await desk.breakGlass(id, { approver: principal, reason, channel, clientAddress })),
        };
      },
    },
  ];
}

const states: readonly string[] = [
  'pending',
  'approved',
  'denied',
  'expired',
  'withdrawn',
  'used',
] satisfies ApprovalState[];

function isState(text: string): text is ApprovalState {
  return states.includes(text);
}
