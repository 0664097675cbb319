/** ip: showing links, addresses and routes. It takes abbreviations of everything, so only whole words are known. */
import type { Call } from '../call.ts';

const options = new Set(
  '-4 -6 -s -d -o -br -brief -j -p -c -color=never -details -statistics -oneline -json'.split(' '),
);
const objects = new Map([
  ['a', 'addr'],
  ['addr', 'addr'],
  ['address', 'addr'],
  ['l', 'link'],
  ['link', 'link'],
  ['r', 'route'],
  ['ro', 'route'],
  ['route', 'route'],
  ['n', 'neigh'],
  ['neigh', 'neigh'],
  ['rule', 'rule'],
]);

/** `ip [options] object [show|list|get …]`. */
export function ip(call: Call): void {
  let index = 1;
  while (options.has(call.text(index) ?? '')) index++;
  const object = objects.get(call.text(index) ?? '');
  if (object === undefined) {
    call.unknown('unknown_subcommand');
    return;
  }
  const verb = call.text(index + 1) ?? (index + 1 < call.args.length ? '' : 'show');
  if (!/^(?:show|list|ls|get)$/.test(verb)) {
    call.unknown('unknown_subcommand');
    return;
  }
  call.subcommands.push(object, verb);
  for (let at = index + 2; at < call.args.length; at++) {
    if (!/^[\w.:@-]+(?:\/\d{1,3})?$/.test(call.text(at) ?? '-')) call.unknown('unknown_operand');
  }
}
