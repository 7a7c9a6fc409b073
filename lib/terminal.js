'use strict';

// The streams of a guest whose standard streams are a terminal: between them and the guest stands a
// line discipline. What the guest writes to either output comes out of one, as it does on a screen.

const { Readable, Writable } = require('node:stream');
const { LineDiscipline } = require('./tty.js');

/**
 * @param {{ columns: number, rows: number, raw: boolean }} size
 * @param {Writable} [input] the guest's standard input, if it is the terminal
 * @param {Readable} [output] what the guest writes to the terminal
 * @param {() => void} interrupt ends the guest
 * @returns {{ stdin?: Writable, stdout?: Readable, resize: (columns: number, rows: number) => void
 *   }}
 */
function attachTerminal(size, input, output, interrupt) {
  const tty = new LineDiscipline(size);
  /** Goes on with the typed bytes that wait for room: on the screen, or in the guest's input. */
  let waiting;
  const goOn = () => {
    const done = waiting;
    waiting = undefined;
    done?.();
  };

  const stdout =
    output &&
    new Readable({
      read() {
        output.resume();
        goOn();
      },
      destroy(error, done) {
        output.destroy();
        goOn();
        done(error);
      },
    });
  // Nothing flows before someone reads.
  output?.pause();
  output?.on('data', (chunk) => {
    if (!stdout.push(tty.write(chunk))) output.pause();
  });
  const over = () => {
    if (!stdout.readableEnded && !stdout.destroyed) stdout.push(null);
    goOn();
  };
  let isOver = false;
  for (const event of ['end', 'close', 'error']) {
    output?.on(event, () => {
      if (!isOver) over();
      isOver = true;
    });
  }

  const stdin =
    input &&
    new Writable({
      write(chunk, _encoding, done) {
        const { toProgram, toScreen, ends, interrupts } = tty.type(chunk);
        // Bytes that Node may keep belong to this stream.
        const hasRoom =
          toScreen.length === 0 || stdout === undefined || isOver || stdout.push(toScreen);
        const isTaken = toProgram.length === 0 || !input.writable || input.write(toProgram);
        if (ends) input.end();
        if (interrupts) interrupt();
        if (interrupts || (hasRoom && isTaken)) return done();
        waiting = done;
        if (!isTaken) input.once('drain', goOn);
        return undefined;
      },
      final(done) {
        input.end();
        done();
      },
      destroy(error, done) {
        input.destroy();
        done(error);
      },
    });
  input?.on('error', goOn);
  input?.on('close', () => {
    goOn();
    stdin.destroy();
  });

  return { stdin, stdout, resize: (columns, rows) => tty.resize(columns, rows) };
}

module.exports = { attachTerminal };
