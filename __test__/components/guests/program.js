// A program that uses each kind of interface, in JavaScript: `program.c` is the same in C.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.12';
import { exit } from 'wasi:cli/exit@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { now, subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { now as wallNow } from 'wasi:clocks/wall-clock@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';
import { getRandomBytes } from 'wasi:random/random@0.2.12';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
let stdout;

function print(...words) {
  stdout ??= getStdout();
  stdout.blockingWriteAndFlush(encoder.encode(`${words.join(' ')}\n`));
}

function check(what, holds) {
  if (holds) return;
  print('FAILED', what);
  throw undefined;
}

/** The code of an error of an interface. */
const codeOf = (error) => error.payload ?? error;

function blocked(directory, path) {
  try {
    const [bytes] = directory
      .openAt({ symlinkFollow: true }, path, {}, { read: true })
      .read(100n, 0n);
    print('OPENED', path, decoder.decode(bytes));
  } catch (error) {
    print('blocked:', codeOf(error));
  }
}

function inputOf(take) {
  const stdin = getStdin();
  try {
    for (;;) take(stdin.blockingRead(4096n));
  } catch (error) {
    check('the end of the input', codeOf(error).tag === 'closed');
  }
}

function sleep(ms) {
  const start = now();
  subscribeDuration(BigInt(ms) * 1_000_000n).block();
  print(now() - start >= BigInt(ms) * 1_000_000n ? 'slept enough' : 'SLEPT LESS');
}

function work() {
  const [[data]] = getDirectories();
  const CREATE = { create: true };
  data.createDirectoryAt('one');
  data.createDirectoryAt('one/two');
  const one = data.openAt({}, 'one', { directory: true }, { read: true, mutateDirectory: true });
  const file = one.openAt({}, 'file', CREATE, { read: true, write: true });
  let at = 0n;
  const large = encoder.encode('x'.repeat(100_000));
  while (at < 100_000n) at += file.write(large.subarray(Number(at)), at);
  file.appendViaStream().blockingWriteAndFlush(encoder.encode('end'));
  check('the size', file.stat().size === 100_003n);
  check('the end', decoder.decode(file.read(100n, 99_998n)[0]) === 'xxend');
  one.renameAt('file', data, 'one/two/renamed');
  one.symlinkAt('two/renamed', 'link');
  check('the link', one.readlinkAt('link') === 'two/renamed');
  const names = [];
  const listing = one.readDirectory();
  for (let entry; (entry = listing.readDirectoryEntry()) !== undefined;) names.push(entry.name);
  print('listed:', ...names.sort());
  for (let number = 0; number < 100; number++) {
    const made = data.openAt({}, `one/two/${number}`, CREATE, { write: true });
    made.write(encoder.encode(String(number)), 0n);
  }
  for (let number = 0; number < 100; number++) data.unlinkFileAt(`one/two/${number}`);
  for (const path of ['out/secret', '../outside/secret', '/etc/passwd']) blocked(data, path);
  one.unlinkFileAt('link');
  one.unlinkFileAt('two/renamed');
  one.removeDirectoryAt('two');
  data.removeDirectoryAt('one');
  check('the time', wallNow().seconds > 1_500_000_000n && now() <= now());
  check('random', new Set(getRandomBytes(32n)).size > 4);
  let count = 0;
  inputOf((bytes) => (count += bytes.length));
  print('input:', count, 'bytes');
}

export const run = {
  run() {
    const args = getArguments().slice(1);
    print('arguments:', ...args);
    const [, value = '(none)'] = getEnvironment().find(([name]) => name === 'VARIABLE') ?? [];
    print(`VARIABLE=${value}`);
    if (args[0] === 'exit') exit(args[1] === '0' ? { tag: 'ok' } : { tag: 'err' });
    else if (args[0] === 'sleep') sleep(Number(args[1]));
    else if (args[0] === 'echo') inputOf((bytes) => print(`line: ${decoder.decode(bytes).trim()}`));
    else work();
  },
};
