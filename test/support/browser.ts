/** A real Chromium for tests of pages. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, test } from '@jest/globals';
import { type Browser, chromium, type Page } from 'playwright-core';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

function findBrowser(): string | undefined {
  const named = process.env.SALLYPORT_CHROMIUM;
  return [...(named === undefined ? [] : [named]), ...places].find((path) => existsSync(path));
}

/** Whether there is one. */
export const hasBrowser = findBrowser() !== undefined;

/** Starts it. Root has no sandbox. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error('no Chromium');
  return await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Signs somebody in to the console at `url`, at the provider of `oidc-people.ts`. */
export async function signIn(page: Page, url: string, subject: string): Promise<void> {
  await page.goto(url);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: subject }).click();
  await page.waitForURL((to) => to.origin === url);
}

/** What axe finds wrong with a page as it is now. */
export async function violationsOf(page: Page): Promise<unknown[]> {
  await page.evaluate(await readFile(axe, 'utf8'));
  return await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => ({ id, where: nodes.map(({ html }) => html) })))',
  );
}

/** A block of tests that need a browser: skipped under a name that says so where there is none; in CI that is a failure. */
export function describeBrowser(title: string, tests: () => void): void {
  if (hasBrowser) {
    describe(title, tests);
    return;
  }
  const missing = 'Chromium is not installed (apt-get install chromium, or name it in SALLYPORT_CHROMIUM)';
  if (process.env.CI === 'true') {
    test(title, () => {
      throw new Error(missing);
    });
  } else test.skip(`${title}: ${missing}`, () => {});
}
