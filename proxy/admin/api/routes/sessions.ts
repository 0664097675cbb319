import { limits } from '../../../core/limits.ts';
import type { LiveSessions } from '../../../core/live.ts';
import type { AuditPort, Clock, RecordFrame } from '../../../core/ports.ts';
import type { JsonObject } from '../../../core/types.ts';
import { sessionDocument } from '../documents.ts';
import { Problem } from '../problem.ts';
import type { Route } from '../route.ts';
import { schemas } from '../schemas.ts';
import { viewed } from '../viewed.ts';

/** Open sessions: list, watch, end. */
export function sessionRoutes(live: LiveSessions, audit: AuditPort, clock: Clock): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/sessions',
      role: 'viewer',
      summary: 'Open sessions, the newest first.',
      answer: schemas.sessions,
      handle: () => ({ json: { sessions: live.list().map(sessionDocument) } }),
    },
    {
      method: 'DELETE',
      path: '/api/sessions/{id}',
      role: 'admin',
      summary: 'Ends a session; its client is told so, with the reason.',
      body: schemas.ending,
      answer: schemas.ended,
      handle({ parameters: { id = '' }, body, visitor, clientAddress }) {
        const reason = typeof body.reason === 'string' ? body.reason.trim() : '';
        const ending = { by: visitor.principal, reason, channel: visitor.channel, clientAddress };
        if (!live.end(id, ending)) throw notOpen();
        return { json: { id } };
      },
    },
    {
      method: 'GET',
      path: '/api/sessions/{id}/live',
      role: 'viewer',
      summary:
        'What the client of a session sees from now on, masked: an event `frame` for each frame of its recording, `counts` while it goes on, `lost` with the number of events that a slow reader missed, `closed` at its end.',
      answer: { type: 'text/event-stream', description: 'Server-sent events.' },
      handle(request) {
        const { id = '' } = request.parameters;
        if (live.get(id) === undefined) throw notOpen();
        viewed(audit, request, 'live', id);
        return {
          events(stream) {
            const startedMs = live.get(id)?.startedAtMs ?? clock.nowMs();
            let told = '';
            const counts = () => {
              const session = live.get(id);
              const document = session && sessionDocument(session);
              const text = JSON.stringify(document);
              if (document !== undefined && text !== told) stream.send('counts', document);
              told = text;
              return session !== undefined;
            };
            const stopWatching = live.watch(id, (frame) =>
              stream.send('frame', frameOf(frame, clock.nowMs() - startedMs)),
            );
            const stopListening = live.onChange((changed) => {
              if (changed !== id || counts()) return;
              stream.send('closed', { id });
              stream.end();
            });
            const timer = setInterval(counts, limits.consoleCountsIntervalMs);
            timer.unref();
            if (stopWatching === undefined) {
              stream.send('full', { watchers: limits.consoleWatchersPerSessionMax });
              stream.end();
            } else counts();
            return () => {
              clearInterval(timer);
              stopListening();
              stopWatching?.();
            };
          },
        };
      },
    },
  ];
}

function notOpen(): Problem {
  return new Problem(404, 'session_unknown', 'There is no such session, or it has ended.');
}

/** A frame for a watcher, made at once: what the recorder was given may be used again after this. */
function frameOf({ kind, decisionId, data }: RecordFrame, timeMs: number): JsonObject {
  const about = {
    time_ms: Math.max(0, Math.round(timeMs)),
    kind,
    ...(decisionId !== undefined && { decision_id: decisionId }),
  };
  if (!(data instanceof Uint8Array)) return { ...about, base64: false, data };
  const { byteOffset, byteLength } = data;
  const shown = Math.min(byteLength, limits.consoleWatchFrameBytesMax);
  const text = Buffer.from(data.buffer, byteOffset, shown).toString('base64');
  return { ...about, base64: true, data: text, ...(shown < byteLength && { left_out_bytes: byteLength - shown }) };
}
