#!/usr/bin/env bash
# The Claude Agent SDK into .tools/agent, from the lock beside this file: about 400 MB, once. Runs nothing of what it
# installs. Its licence is Anthropic's; it is no part of Sallyport, and only `make demo-agent` and its test use it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
into="$here/../../.tools/agent"

cmp -s "$here/package-lock.json" "$into/.installed-from" && exit 0
echo 'sallyport: installing the Claude Agent SDK into .tools/agent (about 400 MB)' >&2
mkdir -p "$into"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$into/"
(cd "$into" && "$here/../with-node" --no-install npm ci --ignore-scripts --loglevel=error >&2)
cp "$here/package-lock.json" "$into/.installed-from"
