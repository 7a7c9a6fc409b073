'use strict';

// Standard streams that do not give or take at once: functions that may be async, async iterables,
// the web's streams and Node's. A source and a sink have the same few methods, whatever is behind
// them.
//
// A source: `pull(size)` gives bytes, `null` at the end, or a promise. `bytesOf` makes bytes or
// `null` of the promise's value. `giveBack(bytes)` gets what was not read, says whether the stream
// has taken it, and lets the stream go.
// A sink: `write(bytes)` gives a promise if the stream has not taken all of it; `end()` and
// `abort(reason)` let it go, the latter also while `end()` has not settled. `letGo()` of both
// leaves the stream as it was.

const { inputOf } = require('./bytes.js');
const { nodeError, wrongValue } = require('./errors.js');
const { inputKind, outputKind } = require('./suspend-options.js');
const { setImmediate } = require('./time.js');

const ignore = () => {};
const isThenable = (value) =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof value.then === 'function';

/** The streams that guests read, and those that they write: two guests never share one. */
const sources = new WeakSet();
const sinks = new WeakSet();

function take(taken, stream, name) {
  if (taken.has(stream)) throw wrongValue(name, 'must not be in use by another guest', stream);
  taken.add(stream);
}

/** A stream was closed before its end: Node's error for it. */
function prematureClose() {
  return nodeError(Error, 'ERR_STREAM_PREMATURE_CLOSE', 'Premature close');
}

/** Takes a listener of errors away from a Node stream, once none can be on its way any more. */
function unlisten(stream, listener) {
  const off = () => stream.off('error', listener);
  // The event comes when all is closed that the stream had open.
  if (stream.destroyed && !stream.closed) stream.once('close', off);
  else if (stream.errored) setImmediate(off);
  else off();
}

/** A chunk of a stream, where no bytes do not mean the end. */
const chunkOf = (value) =>
  value === null ? new Uint8Array(0) : (inputOf(value) ?? new Uint8Array(0));

class FunctionSource {
  #give;

  constructor(give) {
    this.#give = give;
  }

  pull(size) {
    const give = this.#give;
    const given = give(size);
    return isThenable(given) ? Promise.resolve(given) : inputOf(given);
  }

  bytesOf(value) {
    return inputOf(value);
  }

  giveBack() {
    return false;
  }

  letGo() {}
}

class IterableSource {
  #iterable;
  #iterator;
  #isOver = false;

  constructor(iterable) {
    this.#iterable = iterable;
  }

  async pull() {
    if (this.#isOver) return null;
    try {
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await this.#iterator.next();
        if (done) {
          this.#isOver = true;
          return null;
        }
        const chunk = chunkOf(value);
        if (chunk.byteLength > 0) return chunk;
      }
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
  }

  bytesOf(bytes) {
    return bytes;
  }

  letGo() {
    sources.delete(this.#iterable);
  }

  giveBack() {
    this.letGo();
    if (!this.#isOver) {
      this.#isOver = true;
      // An iterable that has not been asked for anything has nothing to clean up. Nobody waits for
      // it: it may be waiting for a chunk itself.
      const end = async () => this.#iterator?.return?.();
      end().catch(ignore);
    }
    return false;
  }
}

class WebSource {
  #stream;
  #reader;
  #isOver = false;

  constructor(stream) {
    this.#stream = stream;
    this.#reader = stream.getReader();
    Promise.resolve(this.#reader.closed).catch(ignore);
  }

  async pull() {
    if (this.#isOver) return null;
    for (;;) {
      let result;
      try {
        result = await this.#reader.read();
      } catch (error) {
        this.#isOver = true;
        throw error;
      }
      if (result.done) {
        this.#isOver = true;
        return null;
      }
      const chunk = chunkOf(result.value);
      if (chunk.byteLength > 0) return chunk;
    }
  }

  bytesOf(bytes) {
    return bytes;
  }

  letGo() {
    sources.delete(this.#stream);
    this.#reader.releaseLock();
  }

  giveBack(_, reason) {
    const reader = this.#reader;
    if (!this.#isOver) {
      this.#isOver = true;
      Promise.resolve(reader.cancel(reason)).catch(ignore);
    }
    this.letGo();
    return false;
  }
}

class NodeSource {
  #stream;
  #hasFailed = false;
  #error;
  #look = ignore;
  #onReadable = () => this.#look();
  #onEnd = () => this.#look();
  #onClose = () => this.#look();
  #onError = (error) => {
    if (!this.#hasFailed) [this.#hasFailed, this.#error] = [true, error];
    this.#look();
  };

  constructor(stream) {
    this.#stream = stream;
    // A stream that fails before it is read must not end the process.
    stream.on('error', this.#onError);
  }

  pull() {
    const chunk = this.#next();
    if (chunk !== undefined) return chunk;
    return new Promise((resolve, reject) => {
      this.#look = () => {
        try {
          const chunk = this.#next();
          if (chunk === undefined) return;
          resolve(chunk);
        } catch (error) {
          reject(error);
        }
        this.#look = ignore;
      };
      if (this.#stream.listenerCount('readable', this.#onReadable) === 0) this.#listen();
      this.#look();
    });
  }

  #listen() {
    this.#stream.on('readable', this.#onReadable);
    this.#stream.on('end', this.#onEnd);
    this.#stream.on('close', this.#onClose);
  }

  /** The next answer of the stream; `undefined` if there may be one later. */
  #next() {
    const stream = this.#stream;
    if (this.#hasFailed) throw this.#error;
    for (let chunk; (chunk = stream.read()) !== null;) {
      const bytes = chunkOf(chunk);
      if (bytes.byteLength > 0) return bytes;
    }
    if (stream.readableEnded) return null;
    if (stream.errored) throw stream.errored;
    if (stream.destroyed) throw prematureClose();
    return undefined;
  }

  bytesOf(bytes) {
    return bytes;
  }

  letGo() {
    const stream = this.#stream;
    sources.delete(stream);
    this.#look = ignore;
    stream.off('readable', this.#onReadable);
    stream.off('end', this.#onEnd);
    stream.off('close', this.#onClose);
    unlisten(stream, this.#onError);
  }

  giveBack(bytes) {
    const stream = this.#stream;
    let isBack = false;
    if (bytes !== undefined && !stream.destroyed && !stream.readableEnded) {
      try {
        const encoding = stream.readableEncoding;
        const { buffer, byteOffset, byteLength } = bytes;
        const back = Buffer.from(buffer, byteOffset, byteLength);
        if (encoding) stream.unshift(back.toString(encoding), encoding);
        else stream.unshift(back);
        isBack = true;
      } catch {
        // It has given its end already.
      }
    }
    this.letGo();
    return isBack;
  }
}

class FunctionSink {
  #take;

  constructor(take) {
    this.#take = take;
  }

  write(bytes) {
    const take = this.#take;
    const taken = take(bytes);
    return isThenable(taken) ? Promise.resolve(taken) : undefined;
  }

  end() {}

  abort() {}

  letGo() {}
}

class WebSink {
  #stream;
  #writer;
  #ended;
  #isReleased = false;

  constructor(stream) {
    this.#stream = stream;
    this.#writer = stream.getWriter();
    Promise.resolve(this.#writer.closed).catch(ignore);
    Promise.resolve(this.#writer.ready).catch(ignore);
  }

  async write(bytes) {
    await this.#writer.ready;
    await this.#writer.write(bytes);
  }

  end() {
    return (this.#ended ??= this.#release(() => this.#writer.close()));
  }

  abort(reason) {
    if (this.#ended === undefined) {
      this.#ended = this.#release(() => this.#writer.abort(reason)).catch(ignore);
    } else if (!this.#isReleased) {
      Promise.resolve(this.#writer.abort(reason)).catch(ignore);
    }
  }

  async #release(act) {
    try {
      await act();
    } finally {
      this.letGo();
    }
  }

  letGo() {
    sinks.delete(this.#stream);
    this.#isReleased = true;
    this.#writer.releaseLock();
  }
}

class NodeSink {
  #stream;
  #ended;
  #hasFailed = false;
  #error;
  /** Told of a failure: a stream that fails calls back for what it has, but not for what comes. */
  #failed = ignore;
  #onError = (error) => {
    if (!this.#hasFailed) [this.#hasFailed, this.#error] = [true, error];
    this.#failed(this.#error);
  };
  #onClose = () => {
    if (!this.#stream.writableFinished) this.#onError(prematureClose());
  };

  constructor(stream) {
    this.#stream = stream;
    stream.on('error', this.#onError);
    stream.on('close', this.#onClose);
  }

  write(bytes) {
    return this.#asked((done) => this.#stream.write(bytes, done));
  }

  #asked(act) {
    return new Promise((resolve, reject) => {
      if (this.#hasFailed) return reject(this.#error);
      this.#failed = reject;
      act((error) => {
        if (error) {
          // The event has the error itself, and comes later; this is the same, as a rule.
          if (!this.#hasFailed) [this.#hasFailed, this.#error] = [true, error];
          reject(this.#error);
        } else {
          resolve();
        }
      });
    });
  }

  end() {
    return (this.#ended ??= this.#finish().finally(() => this.letGo()));
  }

  async #finish() {
    const stream = this.#stream;
    // A socket whose peer has ended ends by itself, unless it was made half open.
    if (stream.writableFinished && !this.#hasFailed) return;
    await this.#asked((done) => stream.end(done));
  }

  abort(reason) {
    const stream = this.#stream;
    if (this.#ended !== undefined && (stream.writableFinished || stream.destroyed)) return;
    this.#ended ??= Promise.resolve();
    stream.destroy(reason instanceof Error ? reason : undefined);
    this.letGo();
  }

  letGo() {
    sinks.delete(this.#stream);
    this.#failed = ignore;
    setImmediate(() => {
      this.#stream.off('close', this.#onClose);
      unlisten(this.#stream, this.#onError);
    });
  }
}

const SOURCES = { __proto__: null, web: WebSource, node: NodeSource, iterable: IterableSource };
const SINKS = { __proto__: null, web: WebSink, node: NodeSink };

/**
 * Takes the streams of a guest.
 *
 * @param {{ stdin?: unknown, stdout?: unknown, stderr?: unknown }} streams that `isStream` accepts
 * @returns {{ source?: object, sinks: object[] }} the sinks by the number of the stream
 */
function takeStreams({ stdin, stdout, stderr }) {
  const made = [];
  const keep = (stream) => {
    made.push(stream);
    return stream;
  };
  try {
    let source;
    if (typeof stdin === 'function') {
      source = new FunctionSource(stdin);
    } else if (stdin !== undefined) {
      take(sources, stdin, 'options.stdin');
      source = keep(new SOURCES[inputKind(stdin)](stdin));
    }
    const sinkOf = (stream, name) => {
      if (stream === undefined) return undefined;
      if (typeof stream === 'function') return new FunctionSink(stream);
      take(sinks, stream, name);
      return keep(new SINKS[outputKind(stream)](stream));
    };
    const output = sinkOf(stdout, 'options.stdout');
    // Both may go to one stream of this guest.
    const isOne = stderr !== undefined && stderr === stdout && output !== undefined;
    return { source, sinks: [, output, isOne ? output : sinkOf(stderr, 'options.stderr')] };
  } catch (error) {
    for (const stream of made) stream.letGo();
    throw error;
  }
}

module.exports = { takeStreams };
