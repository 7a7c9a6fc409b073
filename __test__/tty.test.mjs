// The line discipline of a terminal, against the kernel's own and against a screen.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import test from 'node:test';

const { LineDiscipline } = createRequire(import.meta.url)('../lib/tty.js');

const size = { columns: 80, rows: 24 };

/** The guest's input, as text, from bytes that are typed in pieces. */
function typed(pieces, options = size) {
  const tty = new LineDiscipline(options);
  const result = { program: [], screen: [], ends: false, interrupts: false };
  for (const piece of [pieces].flat()) {
    const { toProgram, toScreen, ends, interrupts } = tty.type(Buffer.from(piece));
    result.program.push(Buffer.from(toProgram));
    result.screen.push(Buffer.from(toScreen));
    result.ends ||= ends;
    result.interrupts ||= interrupts;
  }
  return {
    ...result,
    program: Buffer.concat(result.program).toString(),
    screen: Buffer.concat(result.screen).toString(),
  };
}

test('a line is echoed and handed over when it ends', () => {
  const tty = new LineDiscipline(size);
  const first = tty.type(Buffer.from('ab'));
  assert.deepEqual([String(first.toProgram), String(first.toScreen)], ['', 'ab']);
  const rest = tty.type(Buffer.from('c\rd'));
  assert.deepEqual([String(rest.toProgram), String(rest.toScreen)], ['abc\n', 'c\r\nd']);
  assert.deepEqual([rest.ends, rest.interrupts], [false, false]);
  assert.equal(typed('x\ny\r').program, 'x\ny\n');
});

test('what is written gets CR before each LF', () => {
  const tty = new LineDiscipline(size);
  for (const [text, shown] of [
    ['', ''],
    ['a', 'a'],
    ['a\nb\n\n', 'a\r\nb\r\n\r\n'],
    ['\r\n', '\r\r\n'],
    ['\x1b[31mä\n', '\x1b[31mä\r\n'],
  ]) {
    assert.equal(Buffer.from(tty.write(Buffer.from(text))).toString(), shown);
  }
});

test('erase, ^U and ^W take whole characters, however they were cut', () => {
  const program = (...pieces) => typed(pieces).program;
  assert.equal(program('abc\x7f\x08d\r'), 'ad\n');
  assert.equal(program('\x7f\x7fa\r'), 'a\n');
  assert.equal(program('aé€😀\x7f\x7f\x7fb\r'), 'ab\n');
  const euro = Buffer.from('€');
  assert.equal(program('a', euro.subarray(0, 1), euro.subarray(1), '\x7fb\r'), 'ab\n');
  assert.equal(program('a', euro.subarray(0, 2), '\x7fb\r'), 'ab\n');
  assert.equal(program('one two\x15x\r'), 'x\n');
  assert.equal(program('one twö \x17x\r'), 'one x\n');
  assert.equal(program('one.two\x17\x17x\r'), 'x\n');
  assert.equal(program('a\rb\x15\x7f\r'), 'a\n\n');
  // Output that was handed over cannot be taken back.
  assert.equal(program('ab\x04\x7f\x7fc\r'), 'abc\n');
});

test('^D hands over what there is, and ends the input in an empty line', () => {
  assert.deepEqual(typed('ab\x04'), {
    program: 'ab',
    screen: 'ab',
    ends: false,
    interrupts: false,
  });
  assert.deepEqual(typed('a\r\x04b\r'), {
    program: 'a\n',
    screen: 'a\r\n',
    ends: true,
    interrupts: false,
  });
  // It is said once.
  const tty = new LineDiscipline(size);
  assert.equal(tty.type(Buffer.from('\x04')).ends, true);
  const after = tty.type(Buffer.from('x\x04'));
  assert.deepEqual([after.ends, after.toProgram.length, after.toScreen.length], [false, 0, 0]);
  assert.equal(tty.type(Buffer.from('x\x03')).interrupts, true);
});

test('^C and ^\\ interrupt, and ^Z drops the line', () => {
  assert.deepEqual(typed('a\rb\x03c\r'), {
    program: 'a\n',
    screen: 'a\r\nb^C',
    ends: false,
    interrupts: true,
  });
  assert.equal(typed('\x1c').interrupts, true);
  assert.equal(typed('ab\x1ac\r').program, 'c\n');
});

test('raw passes everything as it is', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const tty = new LineDiscipline({ ...size, raw: true });
  const { toProgram, toScreen, ends, interrupts } = tty.type(all);
  assert.deepEqual([Buffer.from(toProgram), toScreen.length], [all, 0]);
  assert.deepEqual([ends, interrupts], [false, false]);
  assert.deepEqual(Buffer.from(tty.write(all)), all);
});

test('a line that is too long rings and goes on with its end; nothing is kept without bound', () => {
  const { program, screen } = typed(['x'.repeat(10_000), '€', '\r']);
  assert.equal(program, `${'x'.repeat(4095)}\n`);
  assert.equal(screen.split('\x07').length - 1, 10_000 - 4095 + 1);
  const cut = typed(['x'.repeat(4093), '€', 'yz', '\r']).program;
  assert.equal(cut, `${'x'.repeat(4093)}yz\n`);
});

test('a paste of erased characters takes time in proportion to its length', () => {
  const tty = new LineDiscipline({ columns: 20, rows: 5 });
  tty.type(Buffer.from('x'.repeat(4000)));
  const start = performance.now();
  tty.type(Buffer.from('y\x7f'.repeat(200_000)));
  assert.ok(performance.now() - start < 10_000);
});

// --- The kernel's own ----------------------------------------------------------------------------

const KERNEL = `
import base64, json, os, pty, select, sys, termios
def drained(fd):
    out = b''
    while select.select([fd], [], [], 0.05)[0]: out += os.read(fd, 65536)
    return out
results = []
for case in json.load(sys.stdin):
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[0] |= 0x4000 # IUTF8
    mode[3] &= ~termios.ISIG
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    program = screen = b''
    for way, text in case:
        data = base64.b64decode(text)
        if way == 'write': os.write(slave, data)
        else: os.write(master, data)
        screen += drained(master)
    program += drained(slave)
    results.append([base64.b64encode(one).decode() for one in (program, screen)])
    os.close(master); os.close(slave)
json.dump(results, sys.stdout)
`;

/** A generator of numbers that is the same each time: mulberry32. */
function random(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const noKernel =
  (process.platform !== 'linux' ||
    spawnSync('python3', ['-c', 'import pty, termios']).status !== 0) &&
  'no Python with pseudo-terminals here';

test('it does what the terminal of Linux does', { skip: noKernel }, () => {
  const next = random(17);
  const keys = ['a', 'B', '_', ' ', ' ', '.', 'é', 'ж', '7', '\x7f', '\x7f', '\x15', '\x17', '\x01', '\r', '\n', '\t']; // prettier-ignore
  const cases = Array.from({ length: 60 }, () => [
    ['write', ['', '> ', 'a\nprompt: ', 'x\n'][next(4)]],
    ['type', `${Array.from({ length: 1 + next(24) }, () => keys[next(keys.length)]).join('')}`],
    // The kernel keeps a line until it is ended.
    ['type', '\r'],
  ]);
  const input = cases.map((one) => one.map(([way, text]) => [way, btoa(toBinary(text))]));
  const { stdout, stderr, status } = spawnSync('python3', ['-c', KERNEL], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  JSON.parse(stdout).forEach(([program, screen], i) => {
    const tty = new LineDiscipline({ columns: 1000, rows: 24 });
    const seen = { program: '', screen: '' };
    for (const [way, text] of cases[i]) {
      if (way === 'write') seen.screen += toBinary(tty.write(Buffer.from(text)));
      else {
        const { toProgram, toScreen } = tty.type(Buffer.from(text));
        seen.program += toBinary(toProgram);
        seen.screen += toBinary(toScreen);
      }
    }
    const shown = JSON.stringify(cases[i]);
    assert.equal(seen.program, atob(program), shown);
    assert.equal(seen.screen, atob(screen), shown);
  });
});

const toBinary = (bytes) => Buffer.from(bytes).toString('latin1');

// --- A screen ------------------------------------------------------------------------------------

/** A screen as xterm is one: what stands where, and where the cursor is. */
class Screen {
  constructor(columns) {
    this.columns = columns;
    this.rows = [[]];
    this.row = 0;
    this.column = 0;
    this.isFull = false;
  }

  show(text) {
    for (const [piece] of text.matchAll(/\x1b\[(\d*)([A-Z])|[^]/gu)) this.one(piece);
  }

  one(piece) {
    if (piece.startsWith('\x1b')) {
      const count = Number(piece.slice(2, -1) || (piece.endsWith('J') ? 0 : 1));
      this.isFull = false;
      if (piece.endsWith('A')) this.row -= count;
      else if (piece.endsWith('G')) this.column = count - 1;
      else if (piece.endsWith('J')) {
        this.rows.length = this.row + 1;
        this.rows[this.row].length = Math.min(this.rows[this.row].length, this.column);
      } else assert.fail(piece);
      assert.ok(this.row >= 0 && this.column >= 0 && this.column < this.columns);
    } else if (piece === '\r') [this.column, this.isFull] = [0, false];
    else if (piece === '\n') this.down();
    else if (piece === '\b') [this.column, this.isFull] = [Math.max(0, this.column - 1), false];
    else {
      const width = /[あ一😀]/u.test(piece) ? 2 : 1;
      if (this.isFull || this.column + width > this.columns) {
        this.down();
        this.column = 0;
      }
      this.isFull = false;
      for (let i = 0; i < width; i++) this.rows[this.row][this.column + i] = i === 0 ? piece : '';
      this.column += width;
      if (this.column === this.columns) [this.column, this.isFull] = [this.columns - 1, true];
    }
  }

  down() {
    this.row++;
    this.rows[this.row] ??= [];
  }

  text() {
    return this.rows.map((row) => Array.from(row, (one) => one ?? ' ').join('').trimEnd()).join('\n').trimEnd(); // prettier-ignore
  }
}

test('after any erasing the screen shows what is left, also over the edge of a row', () => {
  const next = random(18);
  const keys = ['a', 'b', 'ü', '一', '😀', ' ', 'c', 'd', '\x7f', '\x7f', '\x7f', '\x17'];
  for (let round = 0; round < 3000; round++) {
    const columns = 3 + next(14);
    const prompt = ['', '> ', '\x1b[1;32mok\x1b[0m ', 'a long prompt, ', 'x\n$ '][next(5)];
    const tty = new LineDiscipline({ columns, rows: 24 });
    const screen = new Screen(columns);
    screen.show(String(tty.write(Buffer.from(prompt))).replace(/\x1b\[[\d;]*m/g, ''));
    const input = Array.from({ length: next(60) }, () => keys[next(keys.length)]).join('');
    const { toScreen } = tty.type(Buffer.from(input));
    screen.show(String(toScreen));
    const { toProgram } = tty.type(Buffer.from('\r'));

    const expected = new Screen(columns);
    const line = String(toProgram).slice(0, -1);
    expected.show(`${prompt.replace(/\x1b\[[\d;]*m/g, '').replace(/\n/g, '\r\n')}${line}`);
    const shown = JSON.stringify({ columns, prompt, input, line });
    assert.equal(screen.text(), expected.text(), shown);
  }
});

test('output in the middle of a line, and another width, do no harm to the screen', () => {
  const tty = new LineDiscipline({ columns: 10, rows: 5 });
  tty.type(Buffer.from('0123456789abc'));
  tty.write(Buffer.from('\nmore'));
  // Where the line stands nobody knows any more: it erases as Linux does.
  assert.equal(String(tty.type(Buffer.from('\x7f')).toScreen), '\b \b');
  tty.type(Buffer.from('\r0123456789a'));
  tty.resize(20, 5);
  assert.equal(String(tty.type(Buffer.from('\x7f')).toScreen), '\b \b');
  tty.type(Buffer.from('\r0123456789a'));
  assert.equal(String(tty.type(Buffer.from('\x7f')).toScreen), '\b \b');
  assert.deepEqual([tty.columns, tty.rows], [20, 5]);
});
