// Compiled, not run, by `npm run lint`: wherever the declarations of `node:wasi` and ours describe the
// same thing, one can stand in for the other.
import * as node from 'node:wasi';
import * as ours from '../../index.js';
import { runThreads } from '../../threads.js';
import type {} from '../../register.js';
import * as hostFs from 'node:fs';
import { createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
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

// What is ours alone.
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
  limits: { openFiles: 1, deadlineMs: 1 },
  trace: ({ name, errno, ns }) => void [name, errno, ns],
  clock: { realtime: 1n, monotonic: { step: 1n } },
  random: 'seed',
});
const collected: Uint8Array | undefined = embedded.stdout;
const threaded: Promise<number> = runThreads(embedded, new Uint8Array(8), { maxThreads: 2 });
const worked: Promise<ours.WorkerResult> = ours.runInWorker(
  new Uint8Array(8),
  { stdin: 'ignore' },
  { timeoutMs: 1 },
);
declare const handle: FileHandle;
const inAnyForm = new ours.WASI({
  stdin: (): string | DataView | null => 'text',
  stdout: createWriteStream('file'),
  stderr: process.stderr,
  outputCap: undefined,
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
  exit,
  initialized,
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
