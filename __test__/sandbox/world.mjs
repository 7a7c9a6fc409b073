// A temporary folder with what a guest may touch and, beside it, what it must not.
//
//   outside/secret.txt   outside/privatedir/SECRET-NAME   outside/inner-link -> SECRET-TARGET
//   outside/SECRET-ENTRY
//   sandbox/file.txt     sandbox/dir/sub/file.txt         sandbox/dir/file.txt
//   second/              the same again
//   elsewhere            where the host moves directories of the sandbox to
//
// All data that a guest can see of the outside has SECRET in it, or one of its serial numbers.

import fs from 'node:fs';
import path from 'node:path';
import { check, fail } from './guest.mjs';

/** Names outside that exist, as a file, a directory and a link, and one that does not. All have one
 * length, so that no limit treats them differently. */
export const TARGETS = ['secret.txt', 'privatedir', 'inner-link', 'missing.no'];

const SECRET = Buffer.from('SECRET');

export class World {
  /** Whether a serial number is that of a file of the outside whatever the device. */
  static anyDevice = false;

  constructor(folder) {
    this.folder = folder;
    this.outside = path.join(folder, 'outside');
    this.sandbox = path.join(folder, 'sandbox');
    this.second = path.join(folder, 'second');
    this.elsewhere = path.join(folder, 'elsewhere');
    for (const top of [this.sandbox, this.second]) fs.mkdirSync(top);
    this.plant();
    this.resetInside();
  }

  /** Makes the outside anew. */
  plant() {
    remove(this.outside);
    fs.mkdirSync(path.join(this.outside, 'privatedir'), { recursive: true });
    fs.writeFileSync(path.join(this.outside, 'secret.txt'), 'SECRET-CONTENT');
    fs.writeFileSync(path.join(this.outside, 'file.txt'), 'SECRET-FILE');
    fs.writeFileSync(path.join(this.outside, 'SECRET-ENTRY'), 'SECRET');
    fs.writeFileSync(path.join(this.outside, 'privatedir', 'SECRET-NAME'), 'SECRET-DEEP');
    fs.symlinkSync('SECRET-TARGET', path.join(this.outside, 'inner-link'));
    this.planted = this.look(this.outside);
    this.inos = new Set([...this.planted.values()].map(({ ino }) => ino));
    const above = fs.statSync(this.folder, { bigint: true });
    this.inos.add(above.ino);
    this.dev = above.dev;
  }

  /** All that can be seen of a tree, by path. */
  look(top) {
    const found = new Map();
    const visit = (place) => {
      const stat = fs.lstatSync(place, { bigint: true });
      found.set(place, stat);
      if (!stat.isDirectory()) return;
      for (const name of fs.readdirSync(place)) visit(path.join(place, name));
    };
    visit(top);
    return found;
  }

  /** Makes the inside anew, below the same two directories, which are preopens. */
  resetInside() {
    remove(this.elsewhere);
    for (const top of [this.sandbox, this.second]) {
      for (const name of fs.readdirSync(top)) remove(path.join(top, name));
      for (const place of ['dir', 'dir/sub']) fs.mkdirSync(path.join(top, place));
      for (const place of ['file.txt', 'dir/file.txt', 'dir/sub/file.txt']) {
        fs.writeFileSync(path.join(top, place), 'inside');
      }
    }
  }

  /**
   * The first difference between a tree and an earlier look at it; `undefined` if there is none.
   */
  changeOf(top, before) {
    const now = this.look(top);
    for (const [place, was] of before) {
      const stat = now.get(place);
      const name = path.relative(this.folder, place);
      if (!stat) return `${name} is gone`;
      if (stat.ino !== was.ino) return `${name} is another file`;
      if (stat.size !== was.size) return `the size of ${name} changed`;
      if (stat.mtimeNs !== was.mtimeNs) return `the time of ${name} changed`;
      if (stat.nlink !== was.nlink) return `${name} was linked`;
      if (stat.ctimeNs !== was.ctimeNs) return `${name} was changed`;
    }
    for (const place of now.keys()) {
      if (!before.has(place)) return `${path.relative(this.folder, place)} was created`;
    }
    return undefined;
  }

  /** Fails if the outside is not what it was, and repairs it. */
  checkOutside() {
    let why = this.changeOf(this.outside, this.planted);
    const tops = fs.readdirSync(this.folder).filter((name) => !KNOWN.has(name));
    if (tops.length > 0) {
      why = `${tops[0]} was created`;
      for (const name of tops) remove(path.join(this.folder, name));
    }
    if (why) {
      this.plant();
      fail(why);
    }
  }

  /** Fails if bytes or attributes that a guest got are of the outside. */
  checkGot({ bytes, stats }) {
    for (const some of bytes) {
      check(!some.includes(SECRET), `read from outside: ${some.toString('latin1').slice(0, 60)}`);
    }
    for (const { dev, ino } of stats) {
      const isThere = World.anyDevice || dev === this.dev;
      check(!isThere || !this.inos.has(ino), 'it told the attributes of a file outside');
    }
  }

  /** Fails if a name inside leads to a file of the outside: a hard link, or a file moved in. */
  checkInside() {
    const visit = (place) => {
      const stat = fs.lstatSync(place, { bigint: true });
      check(!this.inos.has(stat.ino), `${path.relative(this.folder, place)} is a file of outside`);
      if (!stat.isDirectory()) return;
      for (const name of fs.readdirSync(place)) visit(path.join(place, name));
    };
    visit(this.sandbox);
    if (fs.existsSync(this.elsewhere)) visit(this.elsewhere);
  }
}

/** The names that there may be in the folder. */
const KNOWN = new Set(['outside', 'sandbox', 'second', 'elsewhere']);

/** Removes a tree without following links, some times quicker than Node's own `rm`. */
export function remove(place) {
  try {
    fs.unlinkSync(place);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    for (const name of fs.readdirSync(place)) remove(path.join(place, name));
    fs.rmdirSync(place);
  }
}
