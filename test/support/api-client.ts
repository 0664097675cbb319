/** A client of the console's API that believes nothing: every answer is compared with the document that the API gives of itself. */
import { Ajv2020 } from 'ajv/dist/2020.js';

/** What came back, known to be what the document says. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the document was compared; tests name what they look at.
  readonly body: any;
}

/** Asks one API, as somebody. */
export type ApiClient = (
  method: string,
  path: string,
  options?: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> },
) => Promise<ApiAnswer>;

/** A client with a bearer token, or with whatever headers it is given. */
export async function apiClient(url: string, token?: string): Promise<ApiClient> {
  const document = Object(await (await fetch(`${url}/api/openapi.json`)).json());
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'api');
  return async (method, path, { body, headers = {} } = {}) => {
    const answered = await fetch(url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      redirect: 'manual',
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answered.text();
    const type = answered.headers.get('content-type') ?? '';
    const pointer = schemaPointer(document, method, path, answered.status, type);
    const parsed: unknown = /json/.test(type) ? JSON.parse(text) : text;
    if (pointer !== undefined) {
      const validate = ajv.getSchema(`api#${pointer}`);
      if (validate === undefined || validate(parsed) !== true) {
        throw new Error(`${method} ${path}: not as documented: ${ajv.errorsText(validate?.errors)}\n${text}`);
      }
    }
    return { status: answered.status, headers: answered.headers, body: parsed };
  };
}

/** Where the document has the schema of an answer. */
// biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document as it came.
function schemaPointer(document: any, method: string, path: string, status: number, type: string): string | undefined {
  if (type === 'application/problem+json') return '/components/schemas/Problem';
  const bare = path.split('?', 1)[0] ?? '';
  const template = Object.keys(document.paths).find((one) =>
    new RegExp(`^${one.replaceAll(/\{\w+\}/g, '[\\w-]+')}$`).test(bare),
  );
  if (template === undefined) return undefined;
  const schema = document.paths[template][method.toLowerCase()]?.responses[status]?.content['application/json']?.schema;
  if (type !== 'application/json' || schema === undefined) return undefined;
  const escaped = template.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
  return `/paths/${escaped}/${method.toLowerCase()}/responses/${status}/content/application~1json/schema`;
}
