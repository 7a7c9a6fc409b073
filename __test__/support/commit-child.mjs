// A process that edits a directory in an overlay and commits: node commit-child.mjs DIR JSON
//
// JSON is `{ write: { path: text or size }, remove: [path], user, times }`; `user` is who commits,
// and `times` how often it is done. It prints what the commits gave.
import { createRequire } from 'node:module';
import { direct } from './direct.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../../index.js');

const [dir, json] = process.argv.slice(2);
const { write = {}, remove = [], user, times = 1 } = JSON.parse(json);
if (user !== undefined) {
  process.setgid(user);
  process.setuid(user);
}
const results = [];
for (let i = 0; i < times; i++) {
  const wasi = new WASI({ version: 'preview1', preopens: { '/w': { path: dir, overlay: true } } });
  const guest = direct(wasi);
  for (const [name, content] of Object.entries(write)) {
    const text = typeof content === 'number' ? 'n'.repeat(content) : content;
    // As many bytes as the guest's memory has room for.
    const fd = guest.open(name, { oflags: 1 | 8, rights: (1n << 28n) - 1n });
    for (let at = 0; fd >= 0 && at < text.length; at += 60_000) {
      const part = text.slice(at, at + 60_000);
      if (guest.writeFd(fd, part) !== part.length) throw new Error(`${name} is not written`);
    }
    if (fd >= 0) guest.close(fd);
  }
  for (const name of remove) guest.unlink(name);
  try {
    results.push({ done: wasi.commit().map(({ type, path }) => `${type} ${path}`) });
  } catch (error) {
    const { code, reason, path, done, kept, message } = error;
    if (code !== 'ERR_WASI_COMMIT') throw error;
    const names = done.map((change) => `${change.type} ${change.path}`);
    results.push({ reason, path, done: names, kept, message, left: wasi.changes().length });
  }
  wasi.close();
}
console.log(JSON.stringify(times === 1 ? results[0] : results));
