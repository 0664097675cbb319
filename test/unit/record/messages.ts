/** A DataRow message as PostgreSQL sends it. */
export function dataRow(...values: (string | Buffer | null)[]): Buffer {
  const columns = values.map((value) => {
    if (value === null) return Buffer.from([255, 255, 255, 255]);
    const bytes = Buffer.from(value);
    return Buffer.concat([uint32(bytes.length), bytes]);
  });
  return message('D', Buffer.concat([uint32(values.length).subarray(2), ...columns]));
}

/** A CopyData message. */
export function copyData(text: string): Buffer {
  return message('d', Buffer.from(text));
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), uint32(body.length + 4), body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
