import type { Detector } from './detectors/detector.ts';
import { creditCard, email, iban, ipv4, phone, socialSecurityNumber } from './detectors/personal.ts';
import {
  awsAccessKey,
  githubToken,
  googleApiKey,
  jsonWebToken,
  passwordHash,
  privateKey,
  slackToken,
  stripeKey,
} from './detectors/secrets.ts';
import { awsSecretKey, bearerToken, genericSecret, urlCredentials } from './detectors/values.ts';

export type { Detector } from './detectors/detector.ts';

/**
 * The built-in detectors by the names that `masks.text` uses.
 *
 * Of people: `email`, `us_ssn`, `credit_card` (with its checksum), `iban` (with its checksum), `phone`, `ipv4`.
 *
 * Secrets known by their shape: `private_key` (PEM), `password_hash` (`$6$…`, as in shadow files), `jwt`, `aws_access_key`
 * (the id), `github_token`, `slack_token`, `google_api_key`, `stripe_key`.
 *
 * Secrets known by what stands before them, of which the value alone is hidden: `url_credentials`
 * (`scheme://user:password@host`), `bearer_token` (`Authorization: Bearer …`, Basic, Token), `aws_secret_key`,
 * `generic_secret` (`password=…`, `secret: …`, `api_key=…`).
 *
 * What they cannot see: values written in words, split by other characters than the usual separators, encoded, or spread
 * over lines; `us_ssn` and `phone` look at shapes, so they also hide other numbers of that shape, and `generic_secret`
 * at names, so it also hides harmless values with such a name.
 */
export const detectors: ReadonlyMap<string, Detector> = new Map<string, Detector>([
  ['private_key', privateKey],
  ['password_hash', passwordHash],
  ['jwt', jsonWebToken],
  ['aws_access_key', awsAccessKey],
  ['aws_secret_key', awsSecretKey],
  ['github_token', githubToken],
  ['slack_token', slackToken],
  ['google_api_key', googleApiKey],
  ['stripe_key', stripeKey],
  ['url_credentials', urlCredentials],
  ['bearer_token', bearerToken],
  ['generic_secret', genericSecret],
  ['credit_card', creditCard],
  ['iban', iban],
  ['us_ssn', socialSecurityNumber],
  ['email', email],
  ['phone', phone],
  ['ipv4', ipv4],
]);
