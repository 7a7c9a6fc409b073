// Which implementation of WASI is under test: the variable WASI_IMPL names a module or a path;
// without it, it is this package.

import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

export const BUILTIN = 'node:wasi';
export const PACKAGE = path.resolve(here, '../../index.js');
export const IMPLEMENTATION = process.env.WASI_IMPL || PACKAGE;

export async function loadWASI(implementation) {
  const isPath = implementation.startsWith('.') || path.isAbsolute(implementation);
  const specifier = isPath ? pathToFileURL(path.resolve(implementation)).href : implementation;
  const { WASI } = await import(specifier);
  return WASI;
}

// The flag by which a program may collect garbage.
export function collectorFlag() {
  return process.versions.deno ? '--v8-flags=--expose-gc' : '--expose-gc';
}

// The flags that the runtime needs to run a module that uses the implementation.
export function nodeFlags(implementation) {
  if (process.versions.bun) return [];
  if (process.versions.deno) return ['run', '--allow-all'];
  const major = Number(process.versions.node.split('.')[0]);
  const flags = ['--no-warnings'];
  if (implementation === BUILTIN && major < 20) flags.push('--experimental-wasi-unstable-preview1');
  return flags;
}
