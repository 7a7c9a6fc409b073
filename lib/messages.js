'use strict';

// Messages between two processes of one runtime: the size of a structured clone, and the clone.

const { Buffer } = require('node:buffer');
const { deserialize, serialize } = require('node:v8');

const HEAD = 4;
/** From how many bytes on a message is not copied to be one piece. */
const LONG = 1_000_000;

/** @returns {Buffer} a message as it is written */
function encoded(message) {
  return Buffer.concat(pieces(message));
}

/** @returns {Buffer[]} what is written, one after the other: a long message is not copied */
function parts(message) {
  const [head, body] = pieces(message);
  return body.length < LONG ? [Buffer.concat([head, body])] : [head, body];
}

function pieces(message) {
  const body = serialize(message);
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(body.length);
  return [head, body];
}

/** Makes messages of what was read. */
class Inbox {
  #pieces = [];
  #size = 0;

  /**
   * @param {Buffer} piece belongs to the inbox from now on
   * @returns {unknown[]} the messages that are whole with it
   */
  add(piece) {
    this.#pieces.push(piece);
    this.#size += piece.length;
    const messages = [];
    for (let body = this.#next(); body !== undefined; body = this.#next()) {
      messages.push(deserialize(body));
    }
    return messages;
  }

  #next() {
    if (this.#size < HEAD) return undefined;
    if (this.#pieces[0].length < HEAD) this.#pieces = [Buffer.concat(this.#pieces)];
    const length = HEAD + this.#pieces[0].readUInt32LE();
    // A long message is put together once.
    if (this.#size < length) return undefined;
    const all = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [all.subarray(length)];
    this.#size -= length;
    return all.subarray(HEAD, length);
  }
}

module.exports = { encoded, Inbox, parts };
