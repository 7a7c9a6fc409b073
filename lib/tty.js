'use strict';

// The line discipline of a terminal: what stands between who types and a program that reads lines.
// A pipe that says that it is a terminal has none, so it is here. It calls nothing and waits for
// nothing: each method takes bytes and returns bytes.
//
// It behaves as Linux's does by default: echo, CR to LF in, LF to CR LF out, erase (DEL or ^H), ^U,
// ^W, ^D, ^C. Unlike there, erasing goes back over the edge of the screen to the line above, which
// is what `columns` is for, and ^D in an empty line ends the input for good.

const { Buffer } = require('node:buffer');

/** How many bytes a line has at most, without its end: Linux's MAX_CANON. */
const LONGEST_LINE = 4095;
const TAB_STOP = 8;
/** How many bytes of a sequence for the screen are looked at. */
const LONGEST_SEQUENCE = 64;

const INTERRUPT = 0x03;
const END = 0x04;
const BELL = 0x07;
const BACKSPACE = 0x08;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const KILL = 0x15;
const ERASE_WORD = 0x17;
const SUSPEND = 0x1a;
const ESCAPE = 0x1b;
const QUIT = 0x1c;
const SPACE = 0x20;
const DELETE = 0x7f;

const WORD = /[\p{L}\p{N}\p{M}_]/u;
/** Characters that take no column on the screen: marks, and those that join or turn others. */
const NARROW = /[\p{Mn}\p{Me}\p{Cf}]/u;
/** Characters that take two columns: the first and the last of each range. */
const WIDE = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

/** How many places of the screen a character takes. */
function widthOf(point) {
  if (point < 0x300) return 1;
  if (WIDE.some(([first, last]) => point >= first && point <= last)) return 2;
  return NARROW.test(String.fromCodePoint(point)) ? 0 : 1;
}

const isContinuation = (byte) => (byte & 0xc0) === 0x80;
/** How many bytes follow the first one of a character; what is no UTF-8 stands alone. */
function following(byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return 1;
  if (byte >= 0xe0 && byte <= 0xef) return 2;
  return byte >= 0xf0 && byte <= 0xf4 ? 3 : 0;
}

/** Bytes that grow. */
class Bytes {
  #bytes = Buffer.allocUnsafe(64);
  #length = 0;

  push(byte) {
    if (this.#length === this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * this.#length);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = byte;
  }

  all() {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Where the cursor of the screen stands, as far as what was written there says. */
class Cursor {
  /** From 0. Where a row is full, it is `columns`: the next character stands in a new row. */
  column = 0;
  /** Counts rows, from wherever it began. */
  row = 0;
  /**
   * Whether `column` is right. A sequence that moves the cursor makes it unknown, to the next CR.
   */
  isKnown = true;
  /** The character that was last completed. */
  point = 0;

  #columns;
  #sequence = '';
  #left = 0;
  #partial = 0;

  constructor(columns) {
    this.#columns = columns;
  }

  resize(columns) {
    this.#columns = columns;
  }

  /** @param {number} byte that is written to the screen */
  feed(byte) {
    if (this.#sequence !== '') this.#escape(byte);
    else if (this.#left > 0 && isContinuation(byte)) {
      this.#partial = (this.#partial << 6) | (byte & 0x3f);
      if (--this.#left === 0) this.#character(this.#partial);
    } else {
      this.#left = following(byte);
      if (this.#left > 0) this.#partial = byte & (0x3f >> this.#left);
      else if (byte === LF) this.row++;
      else if (byte === CR) [this.column, this.isKnown] = [0, true];
      else if (byte === BACKSPACE) this.column = Math.max(0, this.#seen() - 1);
      else if (byte === TAB) this.#tab();
      else if (byte === ESCAPE) this.#sequence = '\x1b';
      else if (byte >= SPACE && byte !== DELETE) this.#character(byte < 0x80 ? byte : 0xfffd);
    }
  }

  /** Stands at a place that it was sent to. */
  moveTo({ row, column }) {
    this.row = row;
    this.column = column;
    this.isKnown = true;
  }

  /** Whether the row is full and nothing stands in the next one yet. */
  get isAtEdge() {
    return this.column >= this.#columns;
  }

  #seen() {
    return Math.min(this.column, this.#columns - 1);
  }

  #tab() {
    if (this.isAtEdge) return;
    const next = (Math.floor(this.column / TAB_STOP) + 1) * TAB_STOP;
    this.column = Math.min(next, this.#columns - 1);
  }

  #character(point) {
    this.point = point <= 0x10ffff ? point : 0xfffd;
    const width = widthOf(this.point);
    if (width > 0 && this.column + width > this.#columns) {
      this.row++;
      this.column = 0;
    }
    this.column += width;
  }

  /** Colours move nothing; of other sequences only their end is known. */
  #escape(byte) {
    const char = String.fromCharCode(byte);
    this.#sequence += char;
    const isWhole = /^\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*(\x07|\x1b\\)|[^[\]])$/.test(
      this.#sequence,
    );
    if (!isWhole && this.#sequence.length < LONGEST_SEQUENCE) return;
    if (!isWhole || !/^\x1b(\[[\d;:]*m|\].*)$/s.test(this.#sequence)) this.isKnown = false;
    this.#sequence = '';
  }
}

/**
 * A terminal's line discipline. Bytes that the user types go through `type`, bytes that the program
 * writes through `write`.
 */
class LineDiscipline {
  #isRaw;
  #columns;
  #rows;
  #cursor;
  /**
   * The line that is being typed, a cell for each character: its bytes, its code point, and where
   * it stands on the screen.
   */
  #cells = [];
  #size = 0;
  /** How many bytes the last cell lacks. */
  #lacking = 0;
  /** Whether a character that found no room is not over yet. */
  #isDropping = false;
  /**
   * Whether the program wrote since the line was begun: then nobody knows where its cells stand.
   */
  #isMoved = false;
  #hasEnded = false;

  /**
   * @param {object} size
   * @param {number} size.columns of the screen, at least 1
   * @param {number} size.rows likewise
   * @param {boolean} [size.raw] whether all bytes pass unchanged, both ways. Default: false
   */
  constructor({ columns, rows, raw = false }) {
    this.#isRaw = raw;
    this.#cursor = new Cursor(columns);
    this.resize(columns, rows);
  }

  get columns() {
    return this.#columns;
  }

  get rows() {
    return this.#rows;
  }

  resize(columns, rows) {
    this.#columns = columns;
    this.#rows = rows;
    this.#cursor.resize(columns);
    // The screen may have set its lines anew.
    this.#isMoved = this.#cells.length > 0;
  }

  /**
   * @param {Uint8Array} bytes that were typed
   * @returns {{ toProgram: Uint8Array, toScreen: Uint8Array, ends: boolean, interrupts: boolean }}
   *   `ends`: the program gets no more input after `toProgram`; `interrupts`: it shall be ended.
   *   What was typed after either is dropped.
   */
  type(bytes) {
    if (this.#isRaw) {
      return { toProgram: bytes, toScreen: bytes.subarray(0, 0), ends: false, interrupts: false };
    }
    const toProgram = new Bytes();
    const toScreen = new Bytes();
    const screen = (byte) => {
      toScreen.push(byte);
      this.#cursor.feed(byte);
    };
    const before = this.#hasEnded;
    let interrupts = false;
    for (const byte of bytes) {
      interrupts = byte === INTERRUPT || byte === QUIT;
      if (this.#hasEnded && !interrupts) continue;
      this.#one(byte, toProgram, screen);
      if (interrupts) break;
    }
    return {
      toProgram: toProgram.all(),
      toScreen: toScreen.all(),
      ends: this.#hasEnded && !before,
      interrupts,
    };
  }

  /**
   * @param {Uint8Array} bytes that the program wrote
   * @returns {Uint8Array} what the screen gets; may be `bytes` themselves
   */
  write(bytes) {
    if (this.#isRaw || bytes.length === 0) return bytes;
    if (this.#cells.length > 0) this.#isMoved = true;
    let lines = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) lines++;
    // Where the cursor stands is seen in the last line, and in the end of one that is long.
    const last = bytes.lastIndexOf(LF);
    if (last >= 0) {
      this.#cursor.feed(CR);
      this.#cursor.feed(LF);
    }
    for (let at = last + 1; at < bytes.length; at++) this.#cursor.feed(bytes[at]);
    if (lines === 0) return bytes;
    const out = Buffer.allocUnsafe(bytes.length + lines);
    let to = 0;
    let from = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
      out.set(bytes.subarray(from, at), to);
      to += at - from;
      out[to++] = CR;
      out[to++] = LF;
      from = at + 1;
    }
    out.set(bytes.subarray(from), to);
    return out;
  }

  #one(byte, toProgram, screen) {
    switch (byte) {
      case CR:
      case LF:
        this.#pass(toProgram);
        toProgram.push(LF);
        screen(CR);
        screen(LF);
        break;
      case END:
        if (this.#cells.length === 0) this.#hasEnded = true;
        else this.#pass(toProgram);
        break;
      case INTERRUPT:
      case QUIT:
      case SUSPEND:
        // There is nobody who could be given the terminal while the program is stopped, so ^Z only
        // drops the line, as the other two do.
        this.#drop();
        echoControl(byte, screen);
        break;
      case DELETE:
      case BACKSPACE:
        this.#erase(screen);
        break;
      case KILL:
        while (this.#cells.length > 0) this.#erase(screen);
        break;
      case ERASE_WORD:
        this.#eraseWord(screen);
        break;
      default:
        this.#add(byte, screen);
    }
  }

  #add(byte, screen) {
    const continues = isContinuation(byte);
    if (continues && this.#isDropping) return;
    this.#isDropping = false;
    if (continues && this.#lacking > 0) {
      this.#lacking--;
      const cell = this.#cells[this.#cells.length - 1];
      cell.bytes.push(byte);
      this.#size++;
      screen(byte);
      if (this.#lacking === 0) cell.point = this.#cursor.point;
      return;
    }
    this.#lacking = 0;
    const more = following(byte);
    if (this.#size + 1 + more > LONGEST_LINE) {
      this.#isDropping = more > 0;
      screen(BELL);
      return;
    }
    const { row, column, isKnown } = this.#cursor;
    this.#cells.push({ bytes: [byte], point: byte < 0x80 ? byte : 0xfffd, row, column, isKnown });
    this.#size++;
    this.#lacking = more;
    if (byte < SPACE && byte !== TAB) echoControl(byte, screen);
    else screen(byte);
  }

  /** Hands the line over as far as it is typed. */
  #pass(toProgram) {
    for (const { bytes } of this.#cells) for (const byte of bytes) toProgram.push(byte);
    this.#drop();
  }

  #drop() {
    this.#cells = [];
    this.#size = 0;
    this.#lacking = 0;
    this.#isDropping = false;
    this.#isMoved = false;
  }

  #eraseWord(screen) {
    const last = () => this.#cells[this.#cells.length - 1];
    const isWord = () => WORD.test(String.fromCodePoint(last().point));
    while (this.#cells.length > 0 && !isWord()) this.#erase(screen);
    while (this.#cells.length > 0 && isWord()) this.#erase(screen);
  }

  /** Takes the last character away, from the line and from the screen. */
  #erase(screen) {
    this.#isDropping = false;
    const cell = this.#cells.pop();
    if (cell === undefined) return;
    this.#size -= cell.bytes.length;
    this.#lacking = 0;
    const cursor = this.#cursor;
    const { row, column } = cursor;
    const isKnown = cell.isKnown && cursor.isKnown && !this.#isMoved;
    if (this.#cells.length === 0) this.#isMoved = false;
    // It took no place.
    if (isKnown && row === cell.row && column === cell.column) return;
    if (isKnown && (row !== cell.row || cursor.isAtEdge)) {
      // The place behind the last one of a row is the first of the next.
      const isBehind = cell.column >= this.#columns;
      const to = isBehind ? { row: cell.row + 1, column: 0 } : cell;
      const rise = row > to.row ? `\x1b[${row - to.row}A` : '';
      // The screen from there on is cleared: the cursor is at the end of the typed text.
      for (const byte of Buffer.from(`${rise}\x1b[${to.column + 1}G\x1b[J`)) screen(byte);
      cursor.moveTo(to);
      return;
    }
    const width = isKnown ? column - cell.column : widthAlone(cell);
    for (let i = 0; i < width; i++) {
      screen(BACKSPACE);
      // A tab left nothing there.
      if (cell.point === TAB) continue;
      screen(SPACE);
      screen(BACKSPACE);
    }
  }
}

function widthAlone({ point }) {
  if (point === TAB) return 1;
  return point < SPACE ? 2 : widthOf(point);
}

/** As Linux shows them: ^A for 1. */
function echoControl(byte, screen) {
  screen(0x5e);
  screen(byte + 0x40);
}

module.exports = { LineDiscipline };
