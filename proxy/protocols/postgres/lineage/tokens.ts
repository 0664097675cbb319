/**
 * Finds every constant in the text of a query string, so that it can be redacted. The tree says where a constant
 * begins, never where it ends, and leaves out those that are no expressions (passwords, options).
 *
 * Follows PostgreSQL's lexer with standard_conforming_strings on, which the gateway keeps on.
 *
 * @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/scan.l
 */

/** A constant, as byte offsets. */
export interface Token {
  readonly start: number;
  readonly end: number;
}

const quote = 0x27;
const doubleQuote = 0x22;
const dollar = 0x24;
const backslash = 0x5c;

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
const isNewline = (byte: number) => byte === 0x0a || byte === 0x0d;
const isIdentifierStart = (byte: number) =>
  (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f || byte >= 0x80;
const isIdentifierPart = (byte: number) => isIdentifierStart(byte) || isDigit(byte) || byte === dollar;
const isNumberPart = (byte: number) => isDigit(byte) || isIdentifierStart(byte);

/** The constants of a text that the parser accepted, in order: strings, bit strings, dollar quotes and numbers. */
export function constantTokens(sql: Uint8Array): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const byte = sql[at] ?? 0;
    if (isSpace(byte)) at++;
    else if (byte === 0x2d && sql[at + 1] === 0x2d) at = afterLine(sql, at);
    else if (byte === 0x2f && sql[at + 1] === 0x2a) at = afterComment(sql, at);
    else if (byte === doubleQuote) at = afterQuoted(sql, at, doubleQuote, false);
    else if (byte === quote) at = string(sql, at, at, false, tokens);
    else if (isIdentifierStart(byte)) at = word(sql, at, tokens);
    else if (isDigit(byte) || (byte === 0x2e && isDigit(sql[at + 1] ?? 0))) at = number(sql, at, tokens);
    else if (byte === dollar) at = dollarQuoteOrParameter(sql, at, tokens);
    else at++;
  }
  return tokens;
}

function afterLine(sql: Uint8Array, from: number): number {
  let at = from;
  while (at < sql.length && !isNewline(sql[at] ?? 0)) at++;
  return at;
}

function afterComment(sql: Uint8Array, from: number): number {
  let depth = 1;
  let at = from + 2;
  while (at < sql.length && depth > 0) {
    if (sql[at] === 0x2f && sql[at + 1] === 0x2a) {
      depth++;
      at += 2;
    } else if (sql[at] === 0x2a && sql[at + 1] === 0x2f) {
      depth--;
      at += 2;
    } else at++;
  }
  return at;
}

/** Past the closing quote; a doubled one stands for itself. */
function afterQuoted(sql: Uint8Array, from: number, mark: number, escapes: boolean): number {
  let at = from + 1;
  while (at < sql.length) {
    if (escapes && sql[at] === backslash) at += 2;
    else if (sql[at] !== mark) at++;
    else if (sql[at + 1] === mark) at += 2;
    else return at + 1;
  }
  return sql.length;
}

/** A string, and what continues it after a line break. */
function string(sql: Uint8Array, start: number, open: number, escapes: boolean, tokens: Token[]): number {
  let end = afterQuoted(sql, open, quote, escapes);
  for (let next = continuation(sql, end); next !== undefined; next = continuation(sql, end)) {
    end = afterQuoted(sql, next, quote, escapes);
  }
  tokens.push({ start, end });
  return end;
}

/** Where a string goes on: after white space with a line break in it, comments to the end of a line allowed. */
function continuation(sql: Uint8Array, from: number): number | undefined {
  let at = from;
  let broken = false;
  for (;;) {
    const byte = sql[at] ?? 0;
    if (isSpace(byte)) {
      broken ||= isNewline(byte);
      at++;
    } else if (broken && byte === 0x2d && sql[at + 1] === 0x2d) at = afterLine(sql, at);
    else return broken && byte === quote ? at : undefined;
  }
}

/** An identifier, or the prefix of a string: E, B, X, N, U&. */
function word(sql: Uint8Array, start: number, tokens: Token[]): number {
  const letter = String.fromCharCode(sql[start] ?? 0).toLowerCase();
  const next = sql[start + 1];
  if (next === quote && 'ebxn'.includes(letter)) return string(sql, start, start + 1, letter === 'e', tokens);
  if (letter === 'u' && next === 0x26) {
    if (sql[start + 2] === quote) return string(sql, start, start + 2, false, tokens);
    if (sql[start + 2] === doubleQuote) return afterQuoted(sql, start + 2, doubleQuote, false);
  }
  let at = start;
  while (at < sql.length && isIdentifierPart(sql[at] ?? 0)) at++;
  return at;
}

/** Decimal, hexadecimal, octal and binary numbers, with underscores and exponents; `1..2` is two of them. */
function number(sql: Uint8Array, start: number, tokens: Token[]): number {
  let at = start;
  while (isNumberPart(sql[at] ?? 0)) at = afterExponentSign(sql, at, start) ?? at + 1;
  if (sql[at] === 0x2e && sql[at + 1] !== 0x2e) {
    at++;
    while (isNumberPart(sql[at] ?? 0)) at = afterExponentSign(sql, at, start) ?? at + 1;
  }
  tokens.push({ start, end: at });
  return at;
}

/** `e+` and `e-` belong to a decimal number. */
function afterExponentSign(sql: Uint8Array, at: number, start: number): number | undefined {
  const byte = sql[at];
  const sign = sql[at + 1];
  const hexadecimal = sql[start] === 0x30 && (sql[start + 1] === 0x78 || sql[start + 1] === 0x58);
  if (hexadecimal || (byte !== 0x65 && byte !== 0x45) || (sign !== 0x2b && sign !== 0x2d)) return undefined;
  return isDigit(sql[at + 2] ?? 0) ? at + 2 : undefined;
}

function dollarQuoteOrParameter(sql: Uint8Array, start: number, tokens: Token[]): number {
  let at = start + 1;
  if (isDigit(sql[at] ?? 0)) {
    while (isDigit(sql[at] ?? 0)) at++;
    return at;
  }
  if (isIdentifierStart(sql[at] ?? 0)) {
    while (at < sql.length && sql[at] !== dollar && isIdentifierPart(sql[at] ?? 0)) at++;
  }
  if (sql[at] !== dollar) return start + 1;
  const tag = Buffer.from(sql.buffer, sql.byteOffset + start, at + 1 - start);
  const close = Buffer.from(sql.buffer, sql.byteOffset, sql.length).indexOf(tag, at + 1);
  const end = close < 0 ? sql.length : close + tag.length;
  tokens.push({ start, end });
  return end;
}

/** The end of an identifier or keyword at `start`, for constants that are words (`true`, `null`). */
export function wordEnd(sql: Uint8Array, start: number): number {
  let at = start;
  while (at < sql.length && isIdentifierPart(sql[at] ?? 0)) at++;
  return at;
}
