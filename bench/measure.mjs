// Measures rows of one kind with one implementation, in a process of its own: `node measure.mjs
// JOB`. What it finds goes to descriptor 3, a line of JSON for each row: `begin`, then `ns` or
// `error`.
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { BUFFER, ENTRIES, OUT, PAGES, nameAt } from './guest.mjs';
import { growingRows, rows } from './rows.mjs';

const REPORT = 3;
/**
 * The descriptors of `native with-pipes`: both ends of a pipe, one that is filled, one that is
 * emptied.
 */
const PIPE_IN = 10;
const PIPE_OUT = 11;
const FILLED = 12;
const EMPTIED = 13;

/** Rights of files that are read and written, and of directories. */
const FILE_RIGHTS = 0x08e0_01ffn;
// Nothing that writes to the directory as if it were a file.
const DIRECTORY_RIGHTS = 0x0fbf_feben;
const ALL_RIGHTS = 0x0fff_ffffn;
const READING = 0x0820_00a6n;

/**
 * @typedef {object} Job
 * @property {'wasi-rs' | 'node:wasi' | 'floor' | 'floor/checks'} implementation
 * @property {string} root the package
 * @property {string} folder the prepared folder
 * @property {string} wasm the guest
 * @property {Record<string, number>} descriptors
 * @property {string[]} names the rows
 * @property {string} fixture
 * @property {boolean} growing the rows are those of growth.mjs
 * @property {boolean} pipes the pipes are there
 * @property {number} [turns] each row runs so often, once, instead of being measured
 * @property {number} warm ms for which a row runs before it is measured
 * @property {number} budget ms for which it is measured
 * @property {number} sample ms that one sample takes at least
 */

/** @type {Job} */
const job = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(job.root);
const wanted = (job.growing ? growingRows : rows).filter(({ name }) => job.names.includes(name));

const now = () => Number(process.hrtime.bigint());
const report = (line) => writeSync(REPORT, `${JSON.stringify(line)}\n`);

/** Measures one row; a row that fails says so, and the next one follows. */
function attempt(row, measureRow) {
  report({ begin: row.name });
  try {
    report({ name: row.name, ns: measureRow() });
  } catch (error) {
    report({ name: row.name, error: String(error.message ?? error) });
  }
}

/**
 * The best of many short samples: what else the machine does makes a sample slower, never faster.
 *
 * @param {(turns: number) => number} time runs that many turns and returns the ns they took
 * @param {number} [limit] the most turns that a sample can have
 */
function best(time, limit = Infinity) {
  let turns = 1;
  const warmUntil = now() + job.warm * 1e6;
  let spent = time(turns);
  // A turn that takes this long is compiled in no time, relatively, and noise is small.
  const slow = spent > 20e6;
  while (!slow && (now() < warmUntil || (spent < job.sample * 1e6 && turns < limit))) {
    if (spent < job.sample * 1e6) turns = Math.min(turns * 2, limit);
    spent = time(turns);
  }
  let least = spent / turns;
  const until = now() + job.budget * 1e6;
  for (let samples = 0; now() < until && (samples > 0 || spent < 1e9); samples++) {
    least = Math.min(least, time(turns) / turns);
  }
  return least;
}

/** Packages are loaded by their names, as programs do it. */
function load() {
  const isAddon = job.implementation === 'floor' && job.fixture === 'require';
  return require(isAddon ? 'floor/addon' : job.implementation);
}

function guestOptions() {
  return {
    version: 'preview1',
    args: ['guest', 'one argument'],
    env: { HOME: '/', LANG: 'C' },
    preopens: { '/': job.folder },
  };
}

// --- Loops of the guest --------------------------------------------------------------------------

function measureGuest() {
  const { WASI } = load();
  const peer = job.fixture === 'peer';
  const devNull = openSync('/dev/null', 'r+');
  const pipes = peer ? [FILLED, EMPTIED, devNull] : [PIPE_IN, devNull, PIPE_OUT];
  const [stdin, stdout, stderr] = job.pipes ? pipes : [devNull, devNull, devNull];
  const options = { ...guestOptions(), stdin, stdout, stderr };
  const module = new WebAssembly.Module(readFileSync(job.wasm));
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const view = new DataView(memory.buffer);
  const instances = [];
  function add() {
    const wasi = new WASI(options);
    wasi.initialize({ exports: { memory } });
    const imports = { wasi_snapshot_preview1: wasi.wasiImport, bench: { memory } };
    const { exports } = new WebAssembly.Instance(module, imports);
    instances.push(exports);
    return wasi;
  }
  const { wasiImport } = add();
  const [loops] = instances;
  const scratch = join(job.folder, 'scratch');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  const open = opener(wasiImport, memory, view);
  const cold = job.fixture.startsWith('cold');
  // To open them would make the first calls.
  if (!cold) for (const [name, address] of Object.entries(job.descriptors)) open(name, address);
  let descriptors = 4 + Object.keys(job.descriptors).length;
  const empty = () => {
    for (const name of readdirSync(scratch)) unlinkSync(join(scratch, name));
  };

  for (const row of wanted) {
    while (instances.length < (row.instances ?? 1)) add();
    for (; descriptors < (row.descriptors ?? 0); descriptors++) open('last', job.descriptors.last);
    const run = row.instances ? inTurn(instances.slice(0, row.instances), row) : loops[row.name];
    const before = loops[`before ${row.name}`];
    const after = loops[`after ${row.name}`];
    const time = (turns) => {
      if (row.host === 'files removed') {
        for (let i = 0; i < turns; i++) writeFileSync(join(scratch, nameAt(i)), '');
      }
      before?.(row.once ? 1 : turns);
      const start = now();
      const errno = run(turns);
      const spent = now() - start;
      if (errno !== (row.errno ?? 0)) throw new Error(`errno ${errno}`);
      after?.(row.once ? 1 : turns);
      if (row.host === 'files created') empty();
      if (row.entries && view.getUint32(ENTRIES, true) < row.entries) {
        throw new Error(`${view.getUint32(ENTRIES, true)} entries`);
      }
      return spent;
    };
    const turns = row.cold ?? job.turns;
    attempt(row, () => (turns ? time(turns) / turns : best(time, row.limit) / (row.per ?? 1)));
  }
  closeSync(devNull);
}

/** The loops of several instances, one after another. */
function inTurn(instances, { name, visit }) {
  const loops = instances.map((loops) => loops[name]);
  // V8 compiles what leads from a wasm instance to a function of JavaScript once that instance has
  // called it a thousand times.
  for (const loop of loops) loop(2000);
  return (turns) => {
    let errno = 0;
    for (let turn = 0; turn < turns; turn++) {
      for (let i = 0; i < loops.length; i++) errno |= loops[i](visit);
    }
    return errno;
  };
}

/**
 * @returns a function that opens what the loops work on, and stores the descriptor where they look
 */
function opener(wasiImport, memory, view) {
  const folder = { flags: 2, rights: DIRECTORY_RIGHTS, inheriting: ALL_RIGHTS };
  const file = { path: 'file', flags: 0, rights: FILE_RIGHTS, inheriting: 0n };
  const kinds = {
    file,
    last: file,
    reading: { ...file, rights: READING },
    scratch: { path: 'scratch', ...folder },
  };
  return function open(name, address) {
    const kind = kinds[name] ?? { path: name.replace(' ', '-'), ...folder };
    const room = new Uint8Array(memory.buffer, BUFFER);
    const { written } = new TextEncoder().encodeInto(kind.path, room);
    const { flags, rights, inheriting } = kind;
    const errno = wasiImport.path_open(3, 1, BUFFER, written, flags, rights, inheriting, 0, OUT);
    if (errno !== 0) throw new Error(`${kind.path} cannot be opened: errno ${errno}`);
    view.setUint32(address, view.getUint32(OUT, true), true);
  };
}

// --- Construction --------------------------------------------------------------------------------

/** A command that does nothing: `(func (export "_start"))` and a memory of one page. */
const COMMAND = Buffer.from(
  '0061736d01000000' + // magic, version
    '01040160' +
    '0000' + // type: () -> ()
    '03020100' + // function 0 has type 0
    '0503010001' + // memory: 1 page
    '0713' +
    '02' +
    '066d656d6f7279' +
    '0200' +
    '065f7374617274' +
    '0000' + // exports: memory, _start
    '0a040102000b', // body
  'hex',
);
/**
 * Instances that one process makes for a row: `node:wasi` keeps their descriptors until a
 * collection.
 */
const INSTANCES = 400;

function measureConstruction() {
  const { WASI } = load();
  const module = new WebAssembly.Module(COMMAND);
  const make = () => new WASI({ version: 'preview1', preopens: { '/': job.folder } });
  const steps = {
    'new WASI()': make,
    'new WASI() + instantiate + start': () => {
      const wasi = make();
      wasi.start(new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport }));
    },
  };
  for (const row of wanted) {
    const step = steps[row.name];
    attempt(row, () => {
      let least = Infinity;
      const turns = 20;
      for (let made = 0; made < INSTANCES; made += turns) {
        const start = now();
        for (let i = 0; i < turns; i++) step();
        least = Math.min(least, (now() - start) / turns);
      }
      return least;
    });
  }
}

function measureRequire() {
  const start = now();
  load();
  const ns = now() - start;
  for (const row of wanted) attempt(row, () => ns);
}

/**
 * The start of a process, once; or the part of it that begins with the instantiation. The engine's
 * work for the module is the same for both hosts, so it comes before.
 */
function measureStart() {
  const module = new WebAssembly.Module(readFileSync(job.wasm));
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  for (const row of wanted) {
    attempt(row, () => {
      let start = now();
      const { WASI } = load();
      const wasi = new WASI(guestOptions());
      const imports = { wasi_snapshot_preview1: wasi.wasiImport, bench: { memory } };
      if (row.fixture === 'linked') start = now();
      const { exports } = new WebAssembly.Instance(module, imports);
      wasi.initialize({ exports: { memory } });
      const errno = exports[row.name](1);
      const spent = now() - start;
      if (errno !== 0) throw new Error(`errno ${errno}`);
      return spent;
    });
  }
}

const measures = {
  guest: measureGuest,
  peer: measureGuest,
  cold: measureGuest,
  instances: measureGuest,
  descriptors: measureGuest,
  construction: measureConstruction,
  require: measureRequire,
  linked: measureStart,
  start: measureStart,
};
measures[job.fixture.split(' ')[0]]();
