// Compiled, not run, by `npm run lint`: wherever the declarations of `node:wasi` and ours describe the
// same thing, one can stand in for the other.
import * as node from 'node:wasi';
import * as ours from '../../index.js';
import * as p2 from '../../p2.js';
import { runThreads } from '../../threads.js';
import type {} from '../../register.js';
import * as hostFs from 'node:fs';
import { createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import * as hostPromises from 'node:fs/promises';
import { fs as memfs } from 'memfs';

declare const nodeOptions: node.WASIOptions;
declare const nodeBindings: node.FinalizeBindingsOptions;
declare const nodeInstance: node.WASI;
declare const ourOptions: ours.WASIOptions;
declare const ourBindings: ours.FinalizeBindingsOptions;
declare const ourInstance: ours.WASI;

// A program written for node:wasi compiles with ours: all of it can be replaced at once, and each
// part alone.
const options: ours.WASIOptions = nodeOptions;
const bindings: ours.FinalizeBindingsOptions = nodeBindings;
const constructor: typeof node.WASI = ours.WASI;
const instance: node.WASI = ourInstance;
const wholeModule: Pick<typeof node, 'WASI'> = ours;

// And back, in all that Node has too. It wants a `version`, and its options have no more than its own.
type Overlap<Ours, Nodes> = Pick<Ours, keyof Ours & keyof Nodes>;
type NodesOptions = Overlap<ours.WASIOptions, node.WASIOptions> & Pick<node.WASIOptions, 'version'>;
const optionsOfNode: node.WASIOptions = ourOptions as NodesOptions;
const bindingsOfNode: node.FinalizeBindingsOptions = ourBindings;
const instanceOfNode: Overlap<ours.WASI, node.WASI> = nodeInstance;
const constructorOfNode: new (options: NodesOptions) => Overlap<ours.WASI, node.WASI> = node.WASI;

// Nothing of Node's is missing: this is an error if one of the two is not `never`.
const missing: Exclude<keyof node.WASI, keyof ours.WASI> extends never ? true : false = true;
const missingOptions: Exclude<keyof node.WASIOptions, keyof ours.WASIOptions> extends never
  ? true
  : false = true;

// Both are interchangeable as the other's parameters, too.
declare function takesNodes(wasi: node.WASI, options: node.WASIOptions): void;
takesNodes(new ours.WASI({ version: 'preview1' }), { version: 'unstable' });
declare function takesOurs(wasi: Overlap<ours.WASI, node.WASI>, options: ours.WASIOptions): void;
takesOurs(new node.WASI({ version: 'preview1' }), nodeOptions);

// Declarations that `node:wasi` does not have.
const withoutVersion = new ours.WASI({ args: ['a'], env: process.env, preopens: { '/': '.' } });
const code: number = withoutVersion.start({ exports: {} });
const imported: unknown = withoutVersion.getImportObject().wasi_snapshot_preview1?.fd_read;
{
  using disposable = new ours.WASI();
  disposable.close();
}

// @ts-expect-error: no such version
new ours.WASI({ version: 'preview2' });
// @ts-expect-error: nothing can be read from a pipe that is collected
new ours.WASI({ stdin: 'pipe' });
const embedded = new ours.WASI({
  stdin: (maxBytes: number) => (maxBytes > 0 ? new Uint8Array(1) : null),
  stdout: 'pipe',
  stderr: (chunk: Uint8Array) => void chunk.length,
  preopens: {
    '/a': 'path',
    '/b': { path: 'path', readOnly: true, symlinks: 'deny' },
    '/c': { file: 'path' },
    '/d': { memory: { 'e/f': 'text', g: new Uint8Array(1) }, maxBytes: 1 },
  },
  timeoutMs: 1,
  limits: { openFiles: 1, outputBytes: 1 },
  trace: ({ name, errno, ns }) => void [name, errno, ns],
  clock: { realtime: 1n, monotonic: { step: 1n } },
  random: 'seed',
});
const collected: Uint8Array | undefined = embedded.stdout;
const threaded: Promise<number> = runThreads(embedded, new Uint8Array(8), { maxThreads: 2 });
const text: Promise<ours.RunResult<string>> = ours.run('a.wasm', { stdin: 'text', timeoutMs: 1 });
const worked: Promise<ours.RunResult<Uint8Array>> = ours.run(new Uint8Array(8), {
  encoding: 'buffer',
  limits: { memoryBytes: 1, outputBytes: 1 },
  signal: AbortSignal.timeout(1),
});
async function ends(): Promise<string> {
  const result = await ours.run(fetch('https://example.com/a.wasm'));
  if (result.reason === 'exit') return `${result.exitCode.toFixed()} ${result.stdout.length}`;
  // @ts-expect-error: there is no exit code then
  result.exitCode.toFixed();
  if (result.reason === 'timeout') return result.error.limit;
  return result.error.message;
}
async function pooled(): Promise<Uint8Array> {
  await using pool = new ours.Pool({ size: 1, maxQueue: 5 });
  const program: ours.Program = await ours.compile('a', { limits: { tableElements: 1 } });
  // @ts-expect-error: that is the pool's
  await pool.run(program, { isolation: 'thread' });
  const { stdout } = await pool.run(program, { encoding: 'buffer', stdin: new Uint8Array(1) });
  return stdout;
}
async function spawned(): Promise<number | null> {
  await using guest = ours.spawn(new URL('file:///a'), { tty: { columns: 80, rows: 25 } });
  guest.stdin.end('a');
  guest.stdout.pipe(process.stdout);
  guest.kill();
  guest.resize(1, 1);
  const status = await guest.exited;
  if (status.reason === 'aborted') throw status.error;
  return status.exitCode;
}
// @ts-expect-error: a function cannot leave the thread
ours.run('a', { stdout: (chunk: Uint8Array) => void chunk });
// @ts-expect-error: nor can this one
ours.run('a', { trace: () => {} });
// @ts-expect-error: no other version
ours.run('a', { version: 'unstable' });
// @ts-expect-error: these are limits of a module
new ours.WASI({ limits: { memoryBytes: 1 } });
const limit: Error & { code: 'ERR_WASI_LIMIT'; limit: string } = new ours.WASILimitError('a', 'b');
declare const handle: FileHandle;
const inAnyForm = new ours.WASI({
  stdin: (): string | DataView | null => 'text',
  stdout: createWriteStream('file'),
  stderr: process.stderr,
  timeoutMs: undefined,
  limits: undefined,
  trace: undefined,
  stats: undefined,
  clock: undefined,
  random: new SharedArrayBuffer(1),
  sortedReaddir: undefined,
  preopens: {
    '/a': new URL('file:///a'),
    '/b': { path: new URL('file:///b'), lazy: true, create: true },
    '/c': { file: new URL('file:///c'), lazy: true },
    '/d': { memory: { e: new ArrayBuffer(1), f: new Uint16Array(1) } },
    '/e': { tar: new Uint8Array(512), maxBytes: 1 },
    '/f': { tar: new URL('file:///e.tar') },
    '/g': { fs: hostFs, readOnly: true },
    '/h': { fs: memfs },
    '/i': { fs: hostPromises },
    '/j': { fs: { promises: memfs.promises } },
  },
});
new ours.WASI({ stdin: handle, stdout: { fd: 1 } });
const truncated: boolean | undefined = inAnyForm.stdoutTruncated ?? inAnyForm.stderrTruncated;
const files: string[] = inAnyForm.listFiles();
const typed: { path: string; type: 'file' | 'symlink' }[] = inAnyForm.listFiles({
  withTypes: true,
});
// @ts-expect-error: what opens nothing is no file system
new ours.WASI({ preopens: { '/': { fs: { lstatSync: hostFs.lstatSync } } } });
// @ts-expect-error: an archive is never changed
new ours.WASI({ preopens: { '/': { tar: 'e.tar', readOnly: false } } });
// @ts-expect-error: nobody waits for a promise
new ours.WASI({ stdin: async () => null });
const suspending = new ours.WASI({
  suspend: true,
  stdin: async (maxBytes: number) => (maxBytes > 0 ? 'text' : null),
  stdout: createWriteStream('there'),
  stderr: async (chunk: Uint8Array) => void chunk.length,
});
new ours.WASI({ suspend: true, stdin: process.stdin, stdout: process.stdout });
new ours.WASI({ suspend: true, stdin: new Blob(['x']).stream(), stdout: new WritableStream() });
const exitCodeLater: Promise<number> = suspending.startAsync({ exports: {} });
const { signal } = new AbortController();
const preparedLater: Promise<number | void> = suspending.initializeAsync(
  { exports: {} },
  { signal },
);
const addLater: (a: number, b: number) => Promise<number> = suspending.promising(
  (a: number, b: number) => a + b,
);
const unread: Uint8Array | undefined = suspending.unreadInput;
const components = new p2.WASI({ suspend: true, stdin: process.stdin, interfaces: {} });
new p2.WASI({ preopens: { '/': { memory: {} } }, stdout: 'pipe', limits: { hostCalls: 5 } });
// @ts-expect-error: components have no sockets of preview1
new p2.WASI({ sockets: [{ port: 0 }] });
const codeLater: Promise<number> = components.startAsync({ run: { run() {} } }, { signal });
const exportLater: (a: bigint) => Promise<string> = components.promising(
  async (a: bigint) => `${a}`,
);
const unreadOfComponent: Uint8Array | undefined = components.unreadInput;
// @ts-expect-error: a key of no preopen
new ours.WASI({ preopens: { '/': { path: '.', readonly: true } } });
// @ts-expect-error: no such limit
new ours.WASI({ limits: { openFile: 1 } });
const exit: Error & { code: 'ERR_WASI_EXIT'; exitCode: number } = new ours.WASIExitError(1);
const initialized: number | void = embedded.initialize({});
// @ts-expect-error: a policy names what it is for
new ours.WASI({ preopens: { '/': { readOnly: true } } });

// @ts-expect-error: Node's option is not optional
const withoutVersionForNode: node.WASIOptions = {};
// @ts-expect-error: Node's instances have no such method
nodeInstance.close();

export {
  bindings,
  collected,
  bindingsOfNode,
  code,
  constructor,
  ends,
  exit,
  initialized,
  limit,
  pooled,
  spawned,
  text,
  constructorOfNode,
  files,
  imported,
  instance,
  instanceOfNode,
  missing,
  missingOptions,
  options,
  optionsOfNode,
  truncated,
  typed,
  wholeModule,
  threaded,
  withoutVersionForNode,
  worked,
};

// Sockets.
const withSockets = new ours.WASI({
  sockets: [
    { host: '::1', port: 0, backlog: 5, nonblock: false },
    { path: '/run/x.sock' },
    { fd: 5, nonblock: true },
  ],
});
const listening: { fd: number; address: string; family: string; port?: number }[] = [
  ...withSockets.sockets,
];
const peers: Record<string, number> | undefined = withSockets.stats()?.sock_accept?.peers;
// @ts-expect-error: a port is a number
new ours.WASI({ sockets: [{ host: '::1', port: '80' }] });
// @ts-expect-error: there is no address without a port
new ours.WASI({ sockets: [{ host: '::1' }] });
void [listening, peers];

// WASI 0.2: the options of preview1's class, but for sockets.
const checked: Promise<void> = p2.checkComponent(new Uint8Array(8));
// @ts-expect-error Bytes, not the path of a file.
p2.checkComponent('program.wasm');

const component = new p2.WASI({
  args: ['app'],
  preopens: { '/data': { path: '/data', readOnly: true } },
  stdout: 'pipe',
  stdin: new Uint8Array(1),
  limits: { openFiles: 10, outputBytes: 100 },
  timeoutMs: 100,
  stats: true,
  returnOnExit: true,
  interfaces: { 'wasi:http/outgoing-handler': { handle: () => undefined } },
});
const ended: number | Promise<number> = component.start({ run: { run: () => undefined } });
const printed: Uint8Array | undefined = component.stdout;
const counted: number | undefined = component.stats()?.['wasi:io/poll#poll']?.calls;
// @ts-expect-error: components have no sockets
new p2.WASI({ sockets: [] });
p2.configure({ args: ['app'], trace: true });
// `undefined` is absent, as everywhere.
const waited: Promise<number> = component.startAsync({}, { signal: undefined });
void [ended, printed, counted, waited];
