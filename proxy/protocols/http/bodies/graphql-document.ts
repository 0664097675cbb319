/** A GraphQL document without its schema: the operation that would run, its fields by their own names, their arguments. */
import {
  type ArgumentNode,
  type DirectiveNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  Lexer,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  Source,
  TokenKind,
  type ValueNode,
} from 'graphql';
import { limits } from '../../../core/limits.ts';
import type { Json, JsonObject } from '../../../core/types.ts';
import type { GraphqlOperation, Refused } from '../contract.ts';
import { malformed, refused } from '../refused.ts';
import { isExactNumber } from './digits.ts';

/** A document that is refused, thrown inside this file to get out of its recursion. */
class Unreadable extends Error {
  readonly result: Refused<400 | 413>;

  constructor(result: Refused<400 | 413>) {
    super(result.fault.message);
    this.result = result;
  }
}

/**
 * Reads the operation that would run.
 *
 * @param operationName - empty when the request names none; then there must be one operation only
 * @param variables - as the request has them
 */
export function readDocument(
  text: string,
  operationName: string,
  variables: JsonObject,
): { readonly operation: GraphqlOperation } | Refused<400 | 413> {
  try {
    const document = parseDocument(text);
    return { operation: new OperationReader(document, variables).read(chosenOperation(document, operationName)) };
  } catch (error) {
    if (error instanceof Unreadable) return error.result;
    throw error;
  }
}

/** Parses within bounds: the parser's recursion goes as deep as brackets do, so these are counted first. */
function parseDocument(text: string): DocumentNode {
  const { httpGraphqlTokensMax: maxTokens, httpGraphqlNestingMax } = limits;
  try {
    const lexer = new Lexer(new Source(text));
    let depth = 0;
    let tokens = 0;
    for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) {
      const { kind } = token;
      if (kind === TokenKind.BRACE_L || kind === TokenKind.BRACKET_L || kind === TokenKind.PAREN_L) depth++;
      if (kind === TokenKind.BRACE_R || kind === TokenKind.BRACKET_R || kind === TokenKind.PAREN_R) depth--;
      if (depth > httpGraphqlNestingMax || ++tokens > maxTokens) throw tooLarge();
    }
    return parse(text, { noLocation: true, maxTokens });
  } catch (error) {
    if (error instanceof Unreadable) throw error;
    // The parser's own words quote the document.
    throw new Unreadable(refused(400, 'operation_unparseable', 'The GraphQL document cannot be parsed.'));
  }
}

/** The operation of that name, or the only one (https://spec.graphql.org/October2021/#GetOperation()). */
function chosenOperation(document: DocumentNode, name: string): OperationDefinitionNode {
  const operations: OperationDefinitionNode[] = [];
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition);
    else if (definition.kind !== Kind.FRAGMENT_DEFINITION) throw unreadable('The GraphQL document defines types.');
  }
  const names = operations.map((operation) => operation.name?.value);
  if (new Set(names).size < names.length || (names.length > 1 && names.includes(undefined))) {
    throw unreadable('The GraphQL document has operations that cannot be told apart.');
  }
  const chosen = operations.filter((_, index) => name === '' || names[index] === name);
  const [operation, another] = chosen;
  if (operation === undefined) throw unreadable('The GraphQL document has no such operation.');
  if (another !== undefined) throw unreadable('The GraphQL document has several operations and none is chosen.');
  return operation;
}

class OperationReader {
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #given: JsonObject;
  readonly #variables = new Map<string, Json | undefined>();
  /** Fragments that are being spread out. */
  readonly #within = new Set<string>();
  /** Place in the answer → the path of the field there. */
  readonly #places = new Map<string, string>();
  /** Path and arguments as text → both. */
  readonly #fields = new Map<string, GraphqlOperation['fields'][number]>();
  #visited = 0;

  constructor(document: DocumentNode, variables: JsonObject) {
    this.#given = variables;
    for (const definition of document.definitions) {
      if (definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
      if (this.#fragments.has(definition.name.value)) throw unreadable('The GraphQL document has a fragment twice.');
      this.#fragments.set(definition.name.value, definition);
    }
  }

  read(operation: OperationDefinitionNode): GraphqlOperation {
    for (const { variable, defaultValue, directives } of operation.variableDefinitions ?? []) {
      const name = variable.name.value;
      if (this.#variables.has(name)) throw unreadable('The GraphQL operation has a variable twice.');
      this.#checkDirectives(directives);
      const fallback = defaultValue === undefined ? undefined : this.#value(defaultValue);
      this.#variables.set(name, Object.hasOwn(this.#given, name) ? this.#given[name] : fallback);
    }
    this.#checkDirectives(operation.directives);
    this.#select(operation.selectionSet, '', '');
    return {
      type: operation.operation,
      name: operation.name?.value ?? '',
      fields: [...this.#fields.values()],
      aliases: Object.fromEntries([...this.#places].filter(([place, path]) => place !== path)),
    };
  }

  /** @param path - of the field that is selected from, and @param place - where it is in the answer; both end in a dot */
  #select({ selections }: SelectionSetNode, path: string, place: string): void {
    for (const selection of selections) {
      if (++this.#visited > limits.httpGraphqlFieldsMax) throw tooLarge();
      this.#checkDirectives(selection.directives);
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        this.#select(selection.selectionSet, path, place);
      } else if (selection.kind === Kind.FRAGMENT_SPREAD) {
        this.#spread(selection.name.value, path, place);
      } else {
        const ownPath = path + selection.name.value;
        const ownPlace = place + (selection.alias ?? selection.name).value;
        this.#add(ownPath, ownPlace, this.#arguments(selection.arguments));
        if (selection.selectionSet !== undefined) this.#select(selection.selectionSet, `${ownPath}.`, `${ownPlace}.`);
      }
    }
  }

  #spread(name: string, path: string, place: string): void {
    const fragment = this.#fragments.get(name);
    if (fragment === undefined) throw unreadable('The GraphQL document spreads a fragment that it does not have.');
    if (this.#within.has(name)) throw unreadable('The GraphQL document has a fragment inside itself.');
    this.#checkDirectives(fragment.directives);
    this.#within.add(name);
    this.#select(fragment.selectionSet, path, place);
    this.#within.delete(name);
  }

  #add(path: string, place: string, given: JsonObject): void {
    const before = this.#places.get(place);
    // Possible on types that exclude each other; then nobody could say which field a value in the answer is of.
    if (before !== undefined && before !== path) throw unreadable('The GraphQL operation gives two fields one name.');
    this.#places.set(place, path);
    this.#fields.set(`${path} ${JSON.stringify(given)}`, { path, arguments: given });
  }

  #arguments(nodes: readonly ArgumentNode[] | undefined): JsonObject {
    return this.#members(nodes ?? [], 'argument');
  }

  #members(nodes: readonly { readonly name: { readonly value: string }; readonly value: ValueNode }[], what: string) {
    const members = new Map<string, Json>();
    for (const { name, value } of nodes) {
      if (members.has(name.value)) throw unreadable(`The GraphQL operation has an ${what} twice.`);
      const read = this.#value(value);
      // A variable without a value is as if the argument were not there.
      if (read !== undefined) members.set(name.value, read);
    }
    return Object.fromEntries(members);
  }

  #value(node: ValueNode): Json | undefined {
    switch (node.kind) {
      case Kind.VARIABLE: {
        const { value: name } = node.name;
        if (!this.#variables.has(name))
          throw unreadable('The GraphQL operation uses a variable that it does not have.');
        return this.#variables.get(name);
      }
      case Kind.INT:
      case Kind.FLOAT:
        if (!isExactNumber(node.value))
          throw unreadable('The GraphQL operation has a number that servers read differently.');
        return Number(node.value);
      case Kind.NULL:
        return null;
      case Kind.LIST:
        return node.values.map((value) => this.#value(value) ?? null);
      case Kind.OBJECT:
        return this.#members(node.fields, 'input field');
      default:
        return node.value;
    }
  }

  /** Only those that can leave something out: another may do anything. */
  #checkDirectives(directives: readonly DirectiveNode[] | undefined): void {
    for (const { name, arguments: given } of directives ?? []) {
      if (name.value !== 'skip' && name.value !== 'include') {
        throw new Unreadable(
          refused(400, 'operation_unsupported', 'The only GraphQL directives are @skip and @include.'),
        );
      }
      this.#arguments(given);
    }
  }
}

function unreadable(message: string): Unreadable {
  return new Unreadable(malformed(message));
}

function tooLarge(): Unreadable {
  return new Unreadable(refused(413, 'operation_too_large', 'The GraphQL document is too large or too deep.'));
}
