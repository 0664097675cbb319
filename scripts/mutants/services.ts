import type { Mutant } from './mutant.ts';

const gate = 'proxy/core/gate.ts';
const session = ['postgres-session'];
const enforcement = ['postgres-enforcement'];
const identity = ['identity'];
const audit = ['audit'];

/** The gate, identity, the trail, and what is read of a policy's answer. */
export const services: readonly Mutant[] = [
  {
    name: 'what policy does not allow is refused',
    file: gate,
    find: "if (decision.effect === 'allow') return this.#admit(",
    replace: "if (decision.effect !== 'require_approval') return this.#admit(",
    tests: ['postgres-statements'],
    only: 'more than one statement|may do still works',
  },
  {
    name: 'nothing is permitted that is not in the trail',
    file: gate,
    find: '      return this.#answers.refuse(held, fault, decision);\n    }\n    prepared.allowed.inc();',
    replace:
      '      if (fault.code !== fault.code) return this.#answers.refuse(held, fault, decision);\n    }\n    prepared.allowed.inc();',
    tests: session,
    only: 'a part of the gateway fails',
  },
  {
    name: 'an expired identity is permitted nothing',
    file: gate,
    find: 'if (this.clock.nowMs() >= session.identity.expiresAtMs) {',
    replace: 'if (this.clock.nowMs() < 0) {',
    tests: session,
    only: 'a token',
  },
  {
    name: 'a subject in quarantine is permitted nothing',
    file: gate,
    find: 'return this.#quarantines.find(session.identity);',
    replace: 'return undefined;',
    tests: session,
    only: 'that policy ends',
  },
  {
    name: 'quarantine ends the sessions of its subject',
    file: gate,
    find: 'if (same(other.identity, session.identity)) other.end(',
    replace: 'if (other === session) other.end(',
    tests: session,
    only: 'that policy ends',
  },
  {
    name: 'rates are counted',
    file: gate,
    find: 'if (exceeded !== undefined) return',
    replace: 'if (exceeded !== undefined && exceeded === undefined) return',
    tests: session,
    only: 'lookups|labels that change',
  },
  {
    name: 'a session whose recording failed is permitted nothing',
    file: gate,
    find: 'if (session.unrecorded) return',
    replace: 'if (session.unrecorded && !session.unrecorded) return',
    tests: audit,
  },
  {
    name: 'a recording is not written through a link',
    file: 'proxy/record/recorder.ts',
    find: 'constants.O_EXCL | constants.O_APPEND | constants.O_NOFOLLOW;',
    replace: 'constants.O_APPEND;',
    tests: audit,
  },
  {
    name: 'a trail that somebody else wrote to is not continued',
    file: 'proxy/audit/trail.ts',
    find: 'if (file.size > 0 && !this.#isExpected(file)) {',
    replace: 'if (file.size < 0 && !this.#isExpected(file)) {',
    tests: audit,
  },
  {
    name: 'each line of the trail is sealed',
    file: 'proxy/audit/verify.ts',
    find: '(key === undefined || sameText(expectedMac(key, line.hash), line.mac));',
    replace: '(key === undefined || sameText(expectedMac(key, line.hash), line.mac) || true);',
    tests: audit,
  },
  {
    name: 'a mask that the protocol cannot apply refuses',
    file: 'proxy/core/refusal.ts',
    find: 'if (masks[target].size > 0 && !supports.masks.includes(target)) {',
    replace: 'if (masks[target].size < 0) {',
    tests: enforcement,
    only: 'cannot be carried out|every type',
  },
  {
    name: 'an obligation that the protocol cannot honour refuses',
    file: 'proxy/core/refusal.ts',
    find: 'if (unknown === undefined) return undefined;',
    replace: 'if (unknown !== null) return undefined;',
    tests: enforcement,
    only: 'cannot be carried out|every type',
  },
  {
    name: 'a mask method that does not exist refuses',
    file: 'proxy/policy/result.ts',
    find: "throw new GatewayError('mask_unknown', 'The policy names a mask that does not exist.');",
    replace: "return { method: 'hash' };",
    tests: enforcement,
    only: 'cannot be carried out|every type',
  },
  {
    name: 'obligations are read by their shape',
    file: 'proxy/policy/result.ts',
    find: '    checkObligation(kind, properties);\n',
    replace: '',
    tests: enforcement,
    only: 'cannot be carried out|every type',
  },
  {
    name: 'a token is for this gateway',
    file: 'proxy/identity/verify.ts',
    find: '      audience: issuer.audience,\n',
    replace: '',
    tests: identity,
  },
  {
    name: 'algorithms by allow-list',
    file: 'proxy/identity/verify.ts',
    find: '      algorithms: [...issuer.algorithms],\n',
    replace: '',
    tests: identity,
  },
  {
    name: 'a token lives for a bounded time',
    file: 'proxy/identity/verify.ts',
    find: 'if (!(exp - iat <= issuer.tokenLifetimeSeconds))',
    replace: 'if (!(exp - iat <= Number.POSITIVE_INFINITY))',
    tests: identity,
  },
  {
    name: 'a token bound to a key is no bearer token',
    file: 'proxy/identity/verify.ts',
    find: 'if (payload.cnf !== undefined)',
    replace: 'if (payload.cnf === null)',
    tests: identity,
  },
  {
    name: 'a token is an access token',
    file: 'proxy/identity/verify.ts',
    find: "...(issuer.typ === 'at+jwt' ? { typ: 'at+jwt' } : {}),",
    replace: '',
    tests: identity,
  },
  {
    name: 'an actor is of the token’s own issuer',
    file: 'proxy/identity/claims.ts',
    find: 'if (claim.iss !== undefined && claim.iss !== issuer.issuer) {',
    replace: 'if (claim.iss === null) {',
    tests: identity,
  },
];
