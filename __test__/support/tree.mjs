// Directory trees as plain objects: a string or a Buffer is a file, an object a directory, and what
// link() makes a symbolic link.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

class Link {
  constructor(target) {
    this.target = target;
  }
}

export function link(target) {
  return new Link(target);
}

export function makeTree(folder, tree) {
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, entry] of Object.entries(tree)) {
    const place = path.join(folder, name);
    if (entry instanceof Link) fs.symlinkSync(entry.target, place);
    else if (typeof entry === 'string' || Buffer.isBuffer(entry)) fs.writeFileSync(place, entry);
    else makeTree(place, entry);
  }
}

export function readTree(folder) {
  const tree = {};
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const place = path.join(folder, entry.name);
    if (entry.isSymbolicLink()) tree[entry.name] = link(fs.readlinkSync(place));
    else if (entry.isDirectory()) tree[entry.name] = readTree(place);
    else if (entry.isFile()) tree[entry.name] = fs.readFileSync(place, 'utf8');
    else tree[entry.name] = 'neither file nor directory';
  }
  return tree;
}

// Calls `use` with a new temporary folder and removes it whatever happens.
export async function withFolder(use) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-test-')));
  try {
    return await use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
