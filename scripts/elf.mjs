// Reads addons for Linux, in the ELF format: the versions of glibc's symbols that one needs, and
// whether it has a symbol table.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fail, say } from './process.mjs';

/** The oldest glibc that Node's own builds run with, from Node 18 on. */
export const OLDEST_GLIBC = '2.28';

// The fields that are read, by their names in the specification.
const EI_CLASS = 4;
const ELFCLASS64 = 2;
const EI_DATA = 5;
const ELFDATA2LSB = 1;
const E_SHOFF = 40;
const E_SHENTSIZE = 58;
const E_SHNUM = 60;
const SHT_SYMTAB = 2;
const SHT_GNU_VERNEED = 0x6ffffffe;

/** The headers of a file's sections. */
function sectionsOf(bytes) {
  const isElf = bytes.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
  if (!isElf || bytes[EI_CLASS] !== ELFCLASS64 || bytes[EI_DATA] !== ELFDATA2LSB) {
    throw new Error('not an ELF file of 64 bits, little-endian');
  }
  const sections = Number(bytes.readBigUInt64LE(E_SHOFF));
  const size = bytes.readUInt16LE(E_SHENTSIZE);
  const count = bytes.readUInt16LE(E_SHNUM);
  if (count === 0) throw new Error('an ELF file without sections');
  return Array.from({ length: count }, (_, index) => {
    const at = sections + index * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      link: bytes.readUInt32LE(at + 40),
      entries: bytes.readUInt32LE(at + 44),
    };
  });
}

/** @returns {boolean} whether a file has a symbol table beside that of its dynamic symbols */
export function hasSymbolTable(path) {
  return sectionsOf(readFileSync(path)).some(({ type }) => type === SHT_SYMTAB);
}

/**
 * The versions of symbols that a shared library of Linux needs from others.
 *
 * @param {Buffer} bytes of the library: ELF of 64 bits, little-endian
 * @returns {{ library: string, version: string }[]} such as `libc.so.6` and `GLIBC_2.28`
 */
export function neededVersions(bytes) {
  const sections = sectionsOf(bytes);
  const found = [];
  for (const needed of sections) {
    if (needed.type !== SHT_GNU_VERNEED) continue;
    const { offset: strings } = sections[needed.link];
    const text = (at) => bytes.toString('latin1', strings + at, bytes.indexOf(0, strings + at));
    // A record for each library, and a list of versions for each record.
    for (let i = 0, record = needed.offset; i < needed.entries; i++) {
      const library = text(bytes.readUInt32LE(record + 4));
      let version = record + bytes.readUInt32LE(record + 8);
      for (let j = 0; j < bytes.readUInt16LE(record + 2); j++) {
        found.push({ library, version: text(bytes.readUInt32LE(version + 8)) });
        version += bytes.readUInt32LE(version + 12);
      }
      record += bytes.readUInt32LE(record + 12);
    }
  }
  return found;
}

/** @returns {string | undefined} the newest glibc of a list of versions: `2.28` */
export function newestGlibc(versions) {
  return versions
    .map(({ version }) => /^GLIBC_(\d+(?:\.\d+)+)$/.exec(version)?.[1])
    .filter((version) => version !== undefined)
    .sort(compare)
    .at(-1);
}

/** Compares versions by their numbers. */
function compare(one, other) {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Ends the script if an addon cannot be loaded with the oldest glibc. */
export function checkGlibc(path) {
  let needed;
  try {
    needed = neededVersions(readFileSync(path));
  } catch (error) {
    return fail(`${basename(path)}: ${error.message}`);
  }
  const newest = newestGlibc(needed);
  if (newest === undefined) fail(`${basename(path)} does not say which glibc it needs`);
  if (compare(newest, OLDEST_GLIBC) > 0) {
    const how = 'make it by `node scripts/build.mjs target TARGET`';
    fail(`${basename(path)} needs glibc ${newest}; it must load with ${OLDEST_GLIBC}: ${how}`);
  }
  return say(`${basename(path)} needs glibc ${newest}`);
}
