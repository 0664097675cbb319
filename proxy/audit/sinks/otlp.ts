import type { JsonObject } from '../../core/types.ts';
import type { TrailLine } from '../follow.ts';

/** What becomes an attribute of a log record, so that it can be searched without parsing its body. */
const attributes = ['event', 'session', 'protocol', 'upstream', 'effect', 'code', 'decision_id'] as const;

/** Severities of the data model: a refusal stands out. */
const severities = {
  info: { severityNumber: 9, severityText: 'INFO' },
  warn: { severityNumber: 13, severityText: 'WARN' },
};

/**
 * Lines as an export request for logs, the line itself as the body of its record.
 * @see https://opentelemetry.io/docs/specs/otel/logs/data-model/
 */
export function otlpLogs(lines: readonly TrailLine[]): JsonObject {
  const logRecords = lines.map(({ seq, text }) => {
    const line: JsonObject = JSON.parse(text);
    const refused = line.effect === 'deny' || line.effect === 'require_approval' || line.event === 'rejected';
    return {
      timeUnixNano: `${Date.parse(String(line.time))}000000`,
      ...(refused ? severities.warn : severities.info),
      body: { stringValue: text },
      attributes: [
        { key: 'sallyport.seq', value: { intValue: String(seq) } },
        ...attributes.flatMap((name) => {
          const value = line[name];
          return typeof value === 'string' ? [{ key: `sallyport.${name}`, value: { stringValue: value } }] : [];
        }),
      ],
    };
  });
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'sallyport' } }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'sallyport.audit' }, logRecords }] }] };
}
