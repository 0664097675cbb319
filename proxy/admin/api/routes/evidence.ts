import { limits } from '../../../core/limits.ts';
import type { LiveSessions } from '../../../core/live.ts';
import type { AuditPort } from '../../../core/ports.ts';
import type { Json } from '../../../core/types.ts';
import { frameDocument, recordingDocument } from '../documents.ts';
import type { Evidence, RecordingSummary, ShownFrame } from '../evidence.ts';
import { Problem } from '../problem.ts';
import { instantOf, limitOf } from '../query.ts';
import type { Route } from '../route.ts';
import { parameters, schemas } from '../schemas.ts';
import { viewed } from '../viewed.ts';

const { limit, after, name, own, time } = parameters;

/** Recordings and decisions that were kept. Opening a recording is an event of the trail. */
export function evidenceRoutes(evidence: Evidence, live: LiveSessions, audit: AuditPort): readonly Route[] {
  const document = (recording: RecordingSummary) =>
    recordingDocument(recording, live.get(recording.session) !== undefined);
  return [
    {
      method: 'GET',
      path: '/api/recordings',
      role: 'viewer',
      summary: 'Recordings of sessions, open ones among them, the newest first. All that is given must match.',
      query: {
        ...{ limit, after, since: time, until: time, own },
        ...{ subject: name, upstream: name, protocol: name, resource: name, label: name, outcome: name, code: name },
      },
      answer: schemas.recordings,
      handle({ query }) {
        const { after: before, since, until, own: ours, limit: _, ...terms } = query;
        const times = { sinceMs: instantOf(since), untilMs: instantOf(until) };
        const found = evidence.recordings({
          ...terms,
          ...times,
          before,
          own: ours === 'include',
          limit: limitOf(query),
        });
        return { json: { recordings: found.map(document) } };
      },
    },
    {
      method: 'GET',
      path: '/api/recordings/{id}',
      role: 'viewer',
      summary: 'One recording: its frames as JSON, or what a terminal showed as an asciicast.',
      query: { format: parameters.format },
      answer: schemas.replay,
      also: { type: 'application/x-asciicast', description: 'An asciicast of the version that was asked for.' },
      async handle(request) {
        const { id = '' } = request.parameters;
        const { format = 'json' } = request.query;
        const recording = evidence.recording(id);
        if (recording === undefined) throw new Problem(404, 'recording_unknown', 'There is no such recording.');
        viewed(audit, request, 'recording', id);
        if (format === 'json') return { json: await replay(document(recording), evidence.frames(id)) };
        const lines = await evidence.cast(id, format === 'asciicast-v2' ? 2 : 3);
        if (lines === 'nothing') throw new Problem(404, 'nothing_to_show', 'Nothing in it was on a terminal.');
        if (lines === 'locked') throw new Problem(409, 'recording_locked', 'The gateway has no key that opens it.');
        return { type: 'application/x-asciicast', lines };
      },
    },
    {
      method: 'GET',
      path: '/api/decisions',
      role: 'viewer',
      summary: 'Recent decisions with the rules that made them, as the trail has them, the newest first.',
      query: { limit, after, subject: name, session: after, effect: parameters.effect, own },
      answer: schemas.decisions,
      async handle({ query }) {
        return { json: { decisions: [...(await evidence.decisions({ ...query, limit: limitOf(query) }))] } };
      },
    },
  ];
}

/** As many frames as one answer may have; `complete` says whether those are all. */
async function replay(recording: Json, frames: AsyncIterable<ShownFrame>): Promise<Json> {
  const shown: Json[] = [];
  let bytes = 0;
  for await (const frame of frames) {
    bytes += JSON.stringify(frame.data).length;
    if (shown.length >= limits.consoleReplayFramesMax || bytes > limits.consoleReplayBytesMax) {
      return { recording, frames: shown, complete: false };
    }
    shown.push(frameDocument(frame));
  }
  return { recording, frames: shown, complete: true };
}
