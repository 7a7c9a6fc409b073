// Compiled, not run, by `npm run lint`: wherever the declarations of `node:wasi` and ours describe the
// same thing, one can stand in for the other.
import * as node from 'node:wasi';
import * as ours from '../../index.js';

type Shared = 'start' | 'initialize' | 'finalizeBindings' | 'wasiImport';

declare const nodeOptions: node.WASIOptions;
declare const nodeBindings: node.FinalizeBindingsOptions;
declare const nodeInstance: node.WASI;
declare const ourOptions: ours.WASIOptions & { version: 'preview1' };
declare const ourBindings: ours.FinalizeBindingsOptions;
declare const ourInstance: ours.WASI;

// A program written for node:wasi compiles with ours.
const options: ours.WASIOptions = nodeOptions;
const bindings: ours.FinalizeBindingsOptions = nodeBindings;
const constructor: typeof node.WASI = ours.WASI;
const instance: node.WASI = ourInstance;

// And back, where Node has it too.
const optionsOfNode: node.WASIOptions = ourOptions;
const bindingsOfNode: node.FinalizeBindingsOptions = ourBindings;
const instanceOfNode: Pick<ours.WASI, Shared> = nodeInstance;

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
// @ts-expect-error: a descriptor is a number
new ours.WASI({ stdin: 'pipe' });

export {
  bindings,
  bindingsOfNode,
  code,
  constructor,
  imported,
  instance,
  instanceOfNode,
  options,
  optionsOfNode,
};
