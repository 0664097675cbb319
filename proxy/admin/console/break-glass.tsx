/** The way past the approvers, for emergencies: apart from the ordinary decision, in two steps, and loud. */
import { useState } from 'preact/hooks';
import { ApiError, ask } from './api.ts';
import { Trouble } from './parts.tsx';
import type { Approval, Me } from './types.ts';

/** Whether policy offers it, and to this person; the desk says so too. */
export function mayBreakGlass({ break_glass: offered, state, subject, chain }: Approval, { principal }: Me): boolean {
  const mine = [subject, ...chain].some(({ issuer, id }) => issuer === principal.issuer && id === principal.id);
  return offered && state === 'pending' && mine;
}

/** A button that asks again, and for a reason. */
export function BreakGlass({ approval, decided }: { approval: Approval; decided: (approval: Approval) => void }) {
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  if (!open) {
    return (
      <div class="verdict">
        <button type="button" class="danger" onClick={() => setOpen(true)}>
          Break the glass…
        </button>
      </div>
    );
  }
  const breakIt = async () => {
    if (reason.trim() === '') {
      setError(new ApiError(400, 'approval_reason_required', 'Write a reason first.'));
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      decided(await ask<Approval>('POST', `/api/approvals/${approval.id}/break-glass`, { reason: reason.trim() }));
    } catch (thrown) {
      if (thrown instanceof ApiError) setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="verdict" aria-label="Break the glass" onSubmit={(event) => event.preventDefault()}>
      <p role="alert">
        <strong>This lets it run although nobody else has looked at it.</strong> It is for emergencies. It is recorded
        under your name, and the approvers are told.
      </p>
      <label>
        <span>
          Why it cannot wait <span class="muted">(needed)</span>
        </span>
        <input
          value={reason}
          maxLength={1000}
          autocomplete="off"
          aria-required
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <button type="button" class="danger solid" disabled={busy} onClick={breakIt}>
          Break the glass and run it
        </button>
        <button type="button" disabled={busy} onClick={() => setOpen(false)}>
          Cancel
        </button>
      </div>
      <Trouble error={error} />
    </form>
  );
}
