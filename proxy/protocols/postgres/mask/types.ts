/** OIDs this folder treats by name. @see https://www.postgresql.org/docs/18/catalog-pg-type.html */
export const oids = { json: 114, jsonb: 3802 } as const;

/** name, text, xml, unknown, bpchar, varchar: UTF-8 text in both formats, and any text is a valid value to a client. */
const textOids: ReadonlySet<number> = new Set([19, 25, 142, 705, 1042, 1043]);

/** Whether any text is a value of the type, in the text and the binary format alike. */
export function isText(typeOid: number): boolean {
  return textOids.has(typeOid);
}

/**
 * The fixed value that stands for every value of a type, in the wire format asked for; `undefined` when the type has
 * none here, and NULL must stand for it. The two formats of a type are the same value.
 */
export function typeConstant(typeOid: number, format: 0 | 1): Uint8Array | undefined {
  const constant = constants.get(typeOid);
  return constant === undefined ? undefined : constant[format];
}

const zeros = (size: number): Uint8Array => new Uint8Array(size);

/** Type → text and binary. Dates and times are PostgreSQL's own epoch, whose binary form is zero. */
const constants: ReadonlyMap<number, readonly [text: Uint8Array, binary: Uint8Array]> = new Map(
  (
    [
      [16, 'f', zeros(1)], // bool
      [17, '\\x', zeros(0)], // bytea
      [20, '0', zeros(8)], // int8
      [21, '0', zeros(2)], // int2
      [23, '0', zeros(4)], // int4
      [26, '0', zeros(4)], // oid
      [650, '0.0.0.0/0', Uint8Array.of(2, 0, 1, 4, 0, 0, 0, 0)], // cidr: family, bits, is cidr, length, address
      [700, '0', zeros(4)], // float4
      [701, '0', zeros(8)], // float8
      [774, '00:00:00:00:00:00:00:00', zeros(8)], // macaddr8
      [829, '00:00:00:00:00:00', zeros(6)], // macaddr
      [869, '0.0.0.0', Uint8Array.of(2, 32, 0, 4, 0, 0, 0, 0)], // inet
      [1082, '2000-01-01', zeros(4)], // date
      [1083, '00:00:00', zeros(8)], // time
      [1114, '2000-01-01 00:00:00', zeros(8)], // timestamp
      [1184, '2000-01-01 00:00:00+00', zeros(8)], // timestamptz
      [1186, '00:00:00', zeros(16)], // interval
      [1266, '00:00:00+00', zeros(12)], // timetz
      [1700, '0', zeros(8)], // numeric: no digits, weight 0, positive, scale 0
      [2950, '00000000-0000-0000-0000-000000000000', zeros(16)], // uuid
    ] as const
  ).map(([oid, text, binary]) => [oid, [Buffer.from(text), binary]]),
);
