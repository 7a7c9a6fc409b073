// A guest compiled against `wasi_unstable`, snapshot 0, gets the layouts of that snapshot.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const wabt = await require('wabt')();

// 1000: a filestat; 1100: the same by path; 1200: offsets; 1300: subscriptions; 1500: events; 1600:
// their number.
const GUEST = `(module
  (import "wasi_unstable" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "data.txt")
  (func $check (param i32) (if (local.get 0) (then (unreachable))))
  (func (export "_start")
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 0)
      (i64.const 0x8200026) (i64.const 0) (i32.const 0) (i32.const 8)))
    (call $check (call $fd_filestat_get (i32.const 4) (i32.const 1000)))
    (call $check (call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 8) (i32.const 1100)))
    ;; set is 2, cur is 0, end is 1
    (call $check (call $fd_seek (i32.const 4) (i64.const 3) (i32.const 2) (i32.const 1200)))
    (call $check (call $fd_seek (i32.const 4) (i64.const 2) (i32.const 0) (i32.const 1208)))
    (call $check (call $fd_seek (i32.const 4) (i64.const -1) (i32.const 1) (i32.const 1216)))
    ;; a clock: userdata 7, tag 0, identifier 99, clock 1, timeout 1 ms; and, 56 bytes on, fd_read of 4
    (i64.store (i32.const 1300) (i64.const 7)) (i64.store (i32.const 1316) (i64.const 99))
    (i32.store (i32.const 1324) (i32.const 1)) (i64.store (i32.const 1332) (i64.const 1000000))
    (i64.store (i32.const 1356) (i64.const 8)) (i32.store8 (i32.const 1364) (i32.const 1)) (i32.store (i32.const 1372) (i32.const 4))
    (call $check (call $poll_oneoff (i32.const 1300) (i32.const 1500) (i32.const 2) (i32.const 1600)))
    (call $check (call $poll_oneoff (i32.const 1300) (i32.const 1532) (i32.const 1) (i32.const 1604)))))`;

const module = new WebAssembly.Module(wabt.parseWat('guest.wat', GUEST).toBinary({}).buffer);

function run(t, options) {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-snapshot0-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'data.txt'), 'abcdefgh');
  // Not every runtime has more than milliseconds to compare with.
  utimesSync(join(dir, 'data.txt'), 1_000_000_000, 1_234_567_890.5);
  const wasi = new WASI({ ...options, returnOnExit: true, preopens: { '/': dir } });
  const instance = new WebAssembly.Instance(module, { wasi_unstable: wasi.wasiImport });
  wasi.start(instance);
  return {
    view: new DataView(instance.exports.memory.buffer),
    stat: statSync(join(dir, 'data.txt'), { bigint: true }),
  };
}

test('with version unstable, records are those of snapshot 0', (t) => {
  const { view, stat } = run(t, { version: 'unstable' });
  for (const at of [1000, 1100]) {
    assert.equal(view.getBigUint64(at, true), stat.dev);
    assert.equal(view.getBigUint64(at + 8, true), stat.ino);
    assert.equal(view.getUint8(at + 16), 4);
    assert.equal(view.getUint32(at + 20, true), 1);
    assert.equal(view.getBigUint64(at + 24, true), 8n);
    assert.equal(view.getBigUint64(at + 40, true), stat.mtimeNs);
    assert.equal(view.getBigUint64(at + 56, true), 0n, 'nothing is written behind the record');
  }
  assert.deepEqual(
    [1200, 1208, 1216].map((at) => view.getBigUint64(at, true)),
    [3n, 5n, 7n],
  );
  assert.equal(view.getUint32(1600, true), 1, 'the file is ready before the clock');
  assert.deepEqual(
    [view.getBigUint64(1500, true), view.getUint8(1510), view.getBigUint64(1516, true)],
    [8n, 1, 1n],
  );
  assert.equal(view.getUint32(1604, true), 1);
  assert.deepEqual(
    [view.getBigUint64(1532, true), view.getUint16(1540, true), view.getUint8(1542)],
    [7n, 0, 0],
  );
});

test('without version, the functions are those of preview1 under either name, as Node has it', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-snapshot0-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const wasi = new WASI({ preopens: { '/': dir } });
  const memory = new WebAssembly.Memory({ initial: 1 });
  wasi.start({ exports: { memory, _start() {} } });
  assert.equal(wasi.wasiImport.fd_filestat_get(3, 0), 0);
  const view = new DataView(memory.buffer);
  assert.equal(view.getUint32(20, true), 0);
  assert.equal(view.getBigUint64(24, true), BigInt(statSync(dir).nlink));
  assert.notEqual(view.getBigUint64(56, true), 0n, 'the time of the last change');
});
