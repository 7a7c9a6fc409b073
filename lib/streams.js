'use strict';

// Standard streams that are functions of the embedder.

const { feedInput, inputWanted, takeOutput } = require('../binding.js');
const { checkTaken, inputOf } = require('./bytes.js');
const { ask, checkRunning, invalid, isI32 } = require('./guest.js');
const { inThisRealm } = require('./realm.js');

const { assign } = Object;
/** The number of bytes that a function in the place of the standard input is asked for. */
const INPUT_SIZE = 65536;

/**
 * Puts functions in the place of standard streams. They are called outside of native code and
 * between two uses of the call frame, so they may throw, which ends the guest, and make calls of
 * their own.
 */
function attachStreams(wasiImport, guest, { stdin, stdout, stderr }) {
  if (stdin !== undefined) {
    const { fd_read: read } = wasiImport;
    assign(wasiImport, {
      fd_read(fd, iovs, iovs_len, nread) {
        if (arguments.length !== 4) return invalid(guest);
        checkRunning(guest);
        if (isI32(fd) && guest.memory !== undefined && inputWanted(guest.instance, fd)) {
          feedInput(
            guest.instance,
            fd,
            ask(guest, (size) => inputOf(stdin(size)), INPUT_SIZE),
          );
        }
        return read(fd, iovs, iovs_len, nread);
      },
    });
  }
  if (stdout !== undefined || stderr !== undefined) {
    const { fd_write: write } = wasiImport;
    assign(wasiImport, {
      fd_write(fd, iovs, iovs_len, nwritten) {
        if (arguments.length !== 4) return invalid(guest);
        const errno = write(fd, iovs, iovs_len, nwritten);
        handOut(guest, 1, stdout, 'options.stdout');
        handOut(guest, 2, stderr, 'options.stderr');
        return errno;
      },
    });
  }
}

function handOut(guest, stream, take, name) {
  const bytes = take === undefined ? null : takeOutput(guest.instance, stream);
  if (bytes !== null) ask(guest, (chunk) => checkTaken(take(chunk), name), inThisRealm(bytes));
}

module.exports = { attachStreams };
