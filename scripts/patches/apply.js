// Applies the patches of this folder after an install in a checkout; a patch that does not apply fails the install.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
let program;
try {
  program = createRequire(join(root, 'package.json')).resolve('patch-package/index.js');
} catch {
  // Without development dependencies nothing can be patched. The gateway then says so before it serves SSH.
  console.error('sallyport: patch-package is not installed, so ssh2 stays as it is and SSH listeners will not start');
}
if (program !== undefined) {
  const args = [program, '--patch-dir', 'scripts/patches', '--error-on-fail'];
  process.exitCode = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}
