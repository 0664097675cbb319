/** A real Chromium for tests of pages. */
import { existsSync } from 'node:fs';
import { describe, test } from '@jest/globals';
import { type Browser, chromium } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

function findBrowser(): string | undefined {
  const named = process.env.SALLYPORT_CHROMIUM;
  return [...(named === undefined ? [] : [named]), ...places].find((path) => existsSync(path));
}

/** Starts it. Root has no sandbox. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error('no Chromium');
  return await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** A block of tests that need a browser: skipped under a name that says so where there is none; in CI that is a failure. */
export function describeBrowser(title: string, tests: () => void): void {
  if (findBrowser() !== undefined) {
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
