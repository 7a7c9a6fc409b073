'use strict';

// The standard streams of a guest that suspends, where they are JavaScript's: what is asked of them,
// and their ends.

const { suspension: native, takeOutput } = require('../binding.js');
const { takeStreams } = require('./async-streams.js');
const { inThisRealm } = require('./realm.js');

const { feedStdin, isStreamOpen, takeUnread } = native;

/** The number of bytes that a function in the place of the standard input is asked for. */
const INPUT_SIZE = 65536;

class StandardStreams {
  #instance;
  #source;
  #sinks = [];
  #guest;
  /** The promise of what the standard input gives next. */
  #pulling;
  /** The error that the standard input has thrown while nobody waited for it. */
  #inputFailure;
  /** The first error that the ends of streams have thrown before the guest's own end. */
  #outputFailure;
  #unread;
  #isOver = false;
  /** The promise that the streams have taken their end. */
  #ended;

  /**
   * @param {number} instance
   * @param {object | undefined} streams those of JavaScript, as `takeStreams` takes them
   * @param {object} guest `ask(function, argument)` calls the embedder; `stop(error)` ends the guest
   *   in its call, `fail(error)` from outside; `isReading()` says whether a call waits for the
   *   standard input, and `wake()` lets such calls go on
   */
  constructor(instance, streams, guest) {
    this.#instance = instance;
    this.#guest = guest;
    if (streams !== undefined)
      ({ source: this.#source, sinks: this.#sinks } = takeStreams(streams));
  }

  get hasSource() {
    return this.#source !== undefined;
  }

  get hasSinks() {
    return this.#sinks.some((sink) => sink !== undefined);
  }

  /** Asks the standard input for more. True if it has given it, or its end, at once. */
  pull() {
    if (this.#pulling !== undefined || this.#source === undefined) return false;
    const guest = this.#guest;
    const failure = this.#inputFailure;
    this.#inputFailure = undefined;
    if (failure !== undefined) guest.stop(failure.error);
    const source = this.#source;
    const given = guest.ask((size) => source.pull(size), INPUT_SIZE);
    // Not by its class: programs replace the global `Promise`.
    if (typeof given?.then !== 'function') {
      feedStdin(this.#instance, given);
      return true;
    }
    const failed = (error) => {
      this.#pulling = undefined;
      if (this.#isOver) return;
      if (guest.isReading()) guest.fail(error);
      else this.#inputFailure = { error };
    };
    this.#pulling = given.then((value) => {
      this.#pulling = undefined;
      let bytes;
      try {
        bytes = source.bytesOf(value);
      } catch (error) {
        failed(error);
        return;
      }
      if (this.#isOver) {
        this.#giveBack(bytes ?? undefined);
        return;
      }
      feedStdin(this.#instance, bytes);
      guest.wake();
    }, failed);
    return false;
  }

  /**
   * Hands out what a write to a stream (1 or 2) has left.
   *
   * @returns {Promise<void> | undefined} that the stream has taken it, unless it has
   */
  handOut(stream) {
    const sink = this.#sinks[stream];
    const bytes = sink === undefined ? null : takeOutput(this.#instance, stream);
    if (bytes === null) return undefined;
    return this.#guest.ask((chunk) => sink.write(chunk), inThisRealm(bytes));
  }

  /** Keeps what a stream has thrown: the end tells of it. */
  noteFailure(error) {
    this.#outputFailure ??= { error };
  }

  /** Ends the streams that no descriptor of the guest leads to any more. */
  endClosed() {
    if (this.#isOver) return;
    const instance = this.#instance;
    for (let stream = 1; stream < this.#sinks.length; stream++) {
      const sink = this.#sinks[stream];
      const isUsed = (other) => this.#sinks[other] === sink && isStreamOpen(instance, other);
      if (sink === undefined || isUsed(1) || isUsed(2)) continue;
      Promise.resolve(sink.end()).catch((error) => this.noteFailure(error));
    }
    if (this.#source !== undefined && !isStreamOpen(instance, 0)) this.#giveBack();
  }

  /** Gives back what the guest has not read, and lets the standard input go. */
  #giveBack(more, reason) {
    const source = this.#source;
    const parts = [this.#unread, takeUnread(this.#instance) ?? undefined, more];
    const given = parts.filter((part) => part !== undefined);
    const rest = given.length > 0 ? inThisRealm(Buffer.concat(given)) : undefined;
    this.#unread = rest;
    if (source === undefined) return;
    if (source.giveBack(rest, reason)) this.#unread = undefined;
    if (this.#pulling === undefined) this.#source = undefined;
  }

  /** @returns {Uint8Array | undefined} what the guest has not read and the stream has not taken */
  get unread() {
    return this.#unread;
  }

  /**
   * Ends the guest's streams.
   *
   * @param {{ error: unknown } | undefined} failure why the guest has ended, if it failed
   * @returns {Promise<void>} that they have taken it; the same promise at each call
   */
  end(failure) {
    this.#ended ??= this.#end(failure);
    return this.#ended;
  }

  async #end(failure) {
    this.#isOver = true;
    this.#giveBack(undefined, failure?.error);
    if (failure !== undefined) {
      this.abort(failure.error);
      return;
    }
    const ended = await Promise.allSettled(this.#allSinks().map(async (sink) => sink.end()));
    const rejected = ended.find(({ status }) => status === 'rejected');
    if (this.#outputFailure !== undefined) throw this.#outputFailure.error;
    if (rejected !== undefined) throw rejected.reason;
  }

  /** Lets the outputs go that have not taken their end. */
  abort(reason) {
    for (const sink of this.#allSinks()) sink.abort(reason);
  }

  #allSinks() {
    return [...new Set(this.#sinks.filter((sink) => sink !== undefined))];
  }

  /** Lets the streams go as they were: there is no guest. */
  letGo() {
    for (const stream of new Set([this.#source, ...this.#sinks])) stream?.letGo();
  }
}

module.exports = { StandardStreams };
