'use strict';

// Components that wait without holding their thread, in both forms of imports:
//
// - By the canonical ABI, a function that can wait is one of WebAssembly (see lib/trampolines.js),
//   which suspends the component. Nothing of jco's is needed but that it calls the export by
//   `WebAssembly.promising`.
// - Over values, such a function gives a promise where it has to wait. jco waits for it where it was
//   told so (`--async-wasi-imports`). Where it was not, its code takes the promise for a result, and
//   the component goes on: one that was started here, and makes another call before the event loop
//   had its turn, ends.
//
// A call that waits keeps what Rust knows of it, and is made again when its wait ends.

const { preview2, suspension: native, inputWanted } = require('../../binding.js');
const { endedBy, stoppedBy } = require('../ends.js');
const {
  INSTANCE,
  NAMED_MEMORY,
  OUTCOME,
  RESUME,
  WAITS_FOR,
  WOULD_WAIT,
  u32,
} = require('../frame.js');
const { unlessAborted, whenAborted } = require('../signals.js');
const { StandardStreams } = require('../standard-streams.js');
const { now } = require('../time.js');
const { WAITS, trampoline } = require('../trampolines.js');
const { Wait, begin, cancel } = require('../waits.js');
const { ask, exceed, hide, refresh, settle, trap } = require('./host.js');
const { goOn } = require('./lowering.js');

const { dropWait } = native;
const { Suspending } = WebAssembly;
const { assign, getOwnPropertyDescriptor } = Object;

/** How many words the arguments of a call take. */
const WORDS = 20;
/** The conditions that a call waits for, as bits in the frame's `WAITS_FOR`. */
const HOST = 1;
const INPUT = 2;
const OUTPUT = 4;
/** The standard streams that are written, as bits. */
const STDOUT = 1 << 1;
const STDERR = 1 << 2;
/** How many memories are kept before it is looked which are still there. */
const SOME = 64;
/** The key of a resource's number in its object: see values.js. */
const REP = Symbol.for('cabiRep');
/** How many bytes one call of a guest moves through the scratch memory: see values.js. */
const PIECE = 1 << 20;

const ignore = () => {};
/** Whether a value is a promise, of whichever class: programs replace the global `Promise`. */
const isThenable = (value) => typeof value?.then === 'function';

/** A call that waits. */
class Call extends Wait {
  /** The conditions that it waits for, as bits. */
  kinds = 0;
  /** The call's progress in Rust, as the frame's `resume`. */
  resume;
  /** Makes it again. */
  again;
  /** The error that has ended the component meanwhile. */
  failure;
  /** By the canonical ABI: which stack of a component it stands on. */
  lane;
  /** Over values: its promise. */
  promise;
  resolve;
  reject;
}

class Suspension {
  #host;
  #streams;
  /** The calls that wait. */
  #waiting = new Set();
  /** A call that has said that it waits, before the component is suspended. */
  #parked;
  /** By memory and by table of handles: the stack of the component that has it. */
  #lanes = new WeakMap();
  /** Calls over values whose wait began in this turn of the event loop. */
  #begun = [];
  /** The memories of the components. */
  #bindings = new Set();
  /** With how many of them it is looked which are still there. */
  #most = SOME;
  /** The components that run, and how many calls run. */
  #components = new Set();
  #live = 0;
  /** Whether the WASI is closed. */
  #isClosed = false;
  /** Told when the components are ended: jco's code may wait for ever then. */
  #ends = new Set();
  /** Why the components have ended, if that was from outside of their calls. */
  #failure;
  /** Streams that have not taken what was written, as bits. */
  #busy = 0;

  /**
   * @param {import('./host.js').Host} host
   * @param {object | undefined} streams those of JavaScript
   */
  constructor(host, streams) {
    this.#host = host;
    this.#streams = new StandardStreams(host.instance, streams, {
      ask: (embedders, argument) => ask(host, embedders, argument),
      stop: (error) => this.stop(error),
      fail: (error) => this.#endBy(stoppedBy(error), error),
      isReading: () => [...this.#waiting].some(({ kinds }) => (kinds & INPUT) !== 0),
      wake: () => this.#wakeAll(INPUT),
    });
  }

  /** Notes a memory of a component. */
  note(binding) {
    if (this.#bindings.size >= this.#most) {
      this.#forgetCollected();
      this.#most = 2 * this.#bindings.size + SOME;
    }
    this.#bindings.add(new WeakRef(binding));
  }

  #forgetCollected() {
    for (const reference of this.#bindings) {
      if (reference.deref() === undefined) this.#bindings.delete(reference);
    }
  }

  // --- Calls -------------------------------------------------------------------------------------

  #newCall(again) {
    const call = new Call();
    call.kinds = u32[WAITS_FOR];
    call.resume = [u32[RESUME], u32[RESUME + 1]];
    call.again = again;
    return call;
  }

  /** Begins the wait of the call that was just made. */
  #begin(call) {
    this.#waiting.add(call);
    const { deadline, instance } = this.#host;
    if ((call.kinds & HOST) === 0 && deadline === Infinity) return;
    begin(call, instance, deadline === Infinity ? Infinity : Math.max(deadline - now(), 0) + 1);
  }

  /** The wait of a call ends. @throws {unknown} what has ended the component meanwhile */
  #end(call) {
    const host = this.#host;
    this.#waiting.delete(call);
    cancel(call);
    if (call.lane !== undefined) call.lane.isWaiting = false;
    const end = call.failure ?? host.end;
    if (end !== undefined) throw end;
    if (host.deadline !== Infinity && now() > host.deadline) {
      exceed(host, 'timeoutMs', 'The guest has run for as long as it may');
    }
  }

  #wakeAll(kind) {
    for (const call of [...this.#waiting]) if ((call.kinds & kind) !== 0) call.wake();
  }

  /** Ends the components from outside of their calls. The first end counts. */
  #endBy(end, error) {
    const host = this.#host;
    if (host.end !== undefined) return;
    host.end = end;
    this.#failure = { error };
    this.#forgetCollected();
    for (const reference of this.#bindings) {
      const binding = reference.deref();
      if (binding !== undefined) hide(binding);
    }
    for (const call of [...this.#waiting]) {
      call.failure = end;
      call.wake();
    }
    for (const tell of this.#ends) tell();
  }

  /**
   * A call that waits has failed, or one that might have waited. A promise of such a call that is
   * rejected with what is no result makes jco's code wait for ever. Of several components, nobody
   * knows whose it was.
   */
  #failed(error) {
    if (this.#host.end !== undefined) for (const tell of this.#ends) tell();
    else if (this.#live === 1 && !isResult(error)) this.#endBy(error, error);
  }

  /** Ends the components by what a function of the embedder threw. */
  stop(error) {
    this.#endBy(stoppedBy(error), error);
    throw this.#host.end;
  }

  #refuse() {
    dropWait(this.#host.instance);
    throw busy();
  }

  // --- By the canonical ABI ----------------------------------------------------------------------

  /**
   * The stack of a component, which only one call at a time may wait on. It is known by the memory
   * and the tables of handles that a function is given; functions without a memory have tables in
   * common with others.
   */
  lane(memory, tables) {
    const lane = { parent: undefined, isWaiting: false };
    for (const key of [memory, ...(tables ?? [])]) {
      if (key === undefined) continue;
      const known = this.#lanes.get(key);
      if (known === undefined) this.#lanes.set(key, lane);
      else if (rootOf(known) !== rootOf(lane)) rootOf(lane).parent = rootOf(known);
    }
    return lane;
  }

  /** The function that a core module imports, for one that gives `WAITS` where it would wait. */
  trampoline(parameters, lane, plain) {
    let waiting;
    const release = () => {
      const call = waiting ?? this.#parked;
      waiting = undefined;
      this.#parked = undefined;
      return call;
    };
    return trampoline(parameters, plain, {
      wait: new Suspending(() => {
        const call = release();
        waiting = call;
        return new Promise((resolve) => {
          call.wake = resolve;
          this.#begin(call);
        });
      }),
      failed: () => {
        const call = release();
        if (call !== undefined) {
          this.#waiting.delete(call);
          cancel(call);
          call.lane.isWaiting = false;
          dropWait(this.#host.instance);
        }
        throw this.#host.end ?? wouldWait();
      },
      resumed: () => {
        const call = release();
        this.#end(call);
        return call.again(call.resume);
      },
    });
  }

  /** Keeps a call that would have to wait. @returns {number} `WAITS` */
  park(lane, again) {
    const host = this.#host;
    if (host.end !== undefined) throw host.end;
    const root = rootOf(lane);
    if (root.isWaiting || this.#parked !== undefined) this.#refuse();
    root.isWaiting = true;
    this.#parked = this.#newCall(again);
    this.#parked.lane = root;
    return WAITS;
  }

  /**
   * Completes a call whose outcome is not 0.
   *
   * @param {(outcome: number, ret: number) => number} done what is to be done when it is complete
   */
  settle(lane, binding, native, done, ret) {
    const outcome = settle(binding, native);
    if (outcome !== WOULD_WAIT) return done(outcome, ret);
    // The frame belongs to whoever calls next.
    const words = u32.slice(0, WORDS);
    const again = (resume) => {
      if (binding.memory !== undefined && binding.view[0] === undefined) refresh(binding);
      u32.set(words);
      u32[INSTANCE] = this.#host.instance;
      u32[NAMED_MEMORY] = binding.index;
      goOn(resume);
      native();
      const outcome = u32[OUTCOME] === 0 ? 0 : settle(binding, native);
      return outcome === WOULD_WAIT ? this.park(lane, again) : done(outcome, ret);
    };
    return this.park(lane, again);
  }

  // --- Over values -------------------------------------------------------------------------------

  /**
   * Waits for what the call would wait for that was just made.
   *
   * @param {(call: Call) => unknown} again makes it again
   * @param {Call} [earlier] the same call, if it has waited before
   * @returns {unknown} its promise, or what it gives if it need not wait after all
   */
  wait(again, earlier) {
    if (this.#host.asking > 0) this.#refuse();
    const call = earlier ?? promised(new Call());
    const { kinds, resume } = this.#newCall();
    assign(call, { kinds, resume, again });
    if ((kinds & INPUT) !== 0 && this.#streams.pull()) return again(call);
    return this.#keep(call);
  }

  #keep(call) {
    if (this.#begun.length === 0) queueMicrotask(() => this.#forget());
    this.#begun.push(call);
    call.wake = () => this.#goOn(call);
    this.#begin(call);
    return call.promise;
  }

  #goOn(call) {
    if (!this.#waiting.has(call)) return;
    let value;
    try {
      this.#end(call);
      value = call.again(call);
    } catch (error) {
      call.reject(error);
      this.#failed(error);
      return;
    }
    if (value !== call.promise) call.resolve(value);
  }

  /** A function that may wait, and whose failures are told. */
  #waits(act) {
    return (self, args) => {
      try {
        return this.given(act(self, args));
      } catch (error) {
        this.#failed(error);
        throw error;
      }
    };
  }

  /** The result of a function for a component, or for another caller. */
  given(value) {
    // Of several, another one may be the next to go on.
    const isAlone = this.#live === 1 && this.#waiting.size === this.#begun.length;
    if (isAlone && isThenable(value) && isCalledByGuest()) {
      this.#host.unclaimed = this.#begun;
    }
    return value;
  }

  /** A component has not waited for a promise, and goes on. */
  cannotWait() {
    // Nobody waits for what they give.
    for (const call of this.#host.unclaimed) {
      this.#waiting.delete(call);
      cancel(call);
    }
    this.#forget();
    const error = wouldWait();
    this.#endBy(error, error);
    throw this.#host.end;
  }

  #forget() {
    this.#begun = [];
    this.#host.unclaimed = undefined;
  }

  /** Calls that take more than one native call, or the embedder's streams. */
  around(native, once) {
    const handOut = (act) => (self, args) => {
      let value;
      try {
        value = act(self, args);
      } finally {
        if (!isThenable(value)) this.#handOut();
      }
      return isThenable(value) ? finallyDo(value, () => this.#handOut()) : value;
    };
    /** The same, and waits until the streams have taken it. */
    const flush = (act) => (self, args) =>
      afterwards(handOut(act)(self, args), () => this.#untilTaken());
    switch (native) {
      case 'descriptor_write':
        return (self, [buffer, offset]) => once(self, [buffer.subarray(0, PIECE), offset]);
      case 'output_write':
        return handOut((self, [contents]) => {
          if (contents.length > PIECE) trap('a write is longer than what was permitted');
          return once(self, [contents]);
        });
      case 'write_zeroes':
      case 'flush':
        return handOut(once);
      case 'blocking_write_and_flush':
        return this.#waits((self, [contents]) => {
          const piece = flush((self, [at]) => once(self, [contents.subarray(at, at + PIECE)]));
          const from = (at) =>
            afterwards(piece(self, [at]), () =>
              at + PIECE < contents.length ? from(at + PIECE) : undefined,
            );
          return from(0);
        });
      case 'blocking_flush':
      case 'blocking_write_zeroes_and_flush':
        return this.#waits(flush(once));
      case 'splice':
        return handOut((self, args) => {
          this.#ask(args[0]);
          return once(self, args);
        });
      case 'blocking_splice':
        return this.#waits(handOut(once));
      case 'input_read':
      case 'skip':
        return (self, args) => {
          this.#ask(self);
          return once(self, args);
        };
      case 'get_stdin':
        return (self, args) => {
          const stream = once(self, args);
          this.#host.inputs?.add(stream[REP]);
          return stream;
        };
      case 'ready':
        // A stream that nobody asks gives nothing.
        return (self, args) => once(self, args) || (this.#ask() && once(self, args));
      case 'open_at':
      case 'block':
      case 'blocking_read':
      case 'blocking_skip':
      case 'poll_list':
        return this.#waits(once);
      default:
        return once;
    }
  }

  // --- Streams -----------------------------------------------------------------------------------

  /**
   * Asks the standard input for more, if a read of it would find nothing.
   *
   * @param {object} [stream] if only one is read
   * @returns {boolean} whether it has given it
   */
  #ask(stream) {
    const { inputs, instance } = this.#host;
    if (inputs === undefined || inputs.size === 0 || !this.#streams.hasSource) return false;
    if (stream !== undefined && !inputs.has(stream[REP])) return false;
    return inputWanted(instance, 0) && this.#streams.pull();
  }

  #setBusy(streams) {
    this.#busy = streams;
    preview2.setBusy(this.#host.instance, streams);
  }

  /** Gives what was written to the streams that have taken what they had. */
  #handOut() {
    for (const bit of [STDOUT, STDERR]) {
      if ((this.#busy & bit) !== 0) continue;
      const taken = this.#streams.handOut(bit === STDOUT ? 1 : 2);
      if (taken === undefined) continue;
      this.#setBusy(this.#busy | bit);
      taken.then(
        () => this.#taken(bit),
        (error) => this.#notTaken(bit, error),
      );
    }
  }

  #taken(bit) {
    this.#setBusy(this.#busy & ~bit);
    try {
      this.#handOut();
    } catch {
      // It has ended the components, and those that wait learn of it.
      return;
    }
    this.#wakeAll(OUTPUT);
  }

  #notTaken(bit, error) {
    this.#setBusy(this.#busy & ~bit);
    if (this.#live > 0 || this.#waiting.size > 0) this.#endBy(stoppedBy(error), error);
    else this.#streams.noteFailure(error);
  }

  /** @returns {Promise<void> | undefined} that the streams have taken all, unless they have */
  #untilTaken() {
    if (this.#busy === 0) return undefined;
    const call = promised(new Call());
    call.kinds = OUTPUT;
    call.again = () => (this.#busy === 0 ? undefined : this.#keep(call));
    return this.#keep(call);
  }

  /** @returns {Uint8Array | undefined} what was not read and the stream has not taken back */
  get unread() {
    return this.#streams.unread;
  }

  async #endStreams(failure) {
    if (failure === undefined) await this.#untilTaken();
    await this.#streams.end(failure);
  }

  /** @returns {boolean} whether a component runs */
  get isRunning() {
    return this.#live > 0;
  }

  /** Lets the streams go as they were: there is no component. */
  letGo() {
    this.#streams.letGo();
  }

  /** @returns {{ error: unknown } | undefined} why the components were ended, if they were */
  #failureOf() {
    const { end } = this.#host;
    return end === undefined ? undefined : (this.#failure ?? { error: end });
  }

  /**
   * Waits for what a component gives, or for its end.
   *
   * @param {unknown} result
   * @param {() => { error: unknown } | undefined} leave is called when it has given it
   * @returns {Promise<{ value?: unknown, thrown?: { error: unknown } }>} what it threw, unless that
   *   is why it was ended
   * @throws {unknown} why it was ended
   */
  async #outcome(result, leave) {
    const outcome = { value: undefined, thrown: undefined };
    const settled = Promise.resolve(result).then(
      (value) => (outcome.value = value),
      (error) => (outcome.thrown = { error }),
    );
    let failure;
    let tell;
    const ended = new Promise((resolve) => (tell = resolve));
    this.#ends.add(tell);
    try {
      if (this.#failureOf() === undefined) await Promise.race([settled, ended]);
      failure = this.#failureOf();
    } finally {
      this.#ends.delete(tell);
    }
    if (failure === undefined) failure = leave();
    else settled.then(leave);
    if (failure !== undefined) throw failure.error;
    return outcome;
  }

  // --- Runs --------------------------------------------------------------------------------------

  /**
   * A call of a component begins.
   *
   * @param {object} [component]
   * @param {AbortSignal} [signal]
   * @returns {() => { error: unknown } | undefined} to be called at its end: why the component was
   *   ended, if it was
   */
  #enter(component, signal) {
    const host = this.#host;
    if (host.end !== undefined) throw this.#failureOf().error;
    // Whoever ran before has returned.
    this.#forget();
    if (component !== undefined && this.#components.has(component)) throw busy();
    const onAbort = () => this.#endBy(stoppedBy(signal.reason), signal.reason);
    // First: a signal that takes no listener throws.
    const ignoreSignal = signal === undefined ? ignore : whenAborted(signal, onAbort);
    this.#components.add(component);
    this.#live++;
    return () => {
      ignoreSignal();
      this.#components.delete(component);
      const failure = this.#failureOf();
      if (--this.#live === 0 && this.#failure !== undefined) {
        host.end = undefined;
        this.#failure = undefined;
      }
      return failure;
    };
  }

  /**
   * Calls a component's `run`.
   *
   * @param {object} component
   * @param {() => unknown} run
   * @param {(error: unknown) => number} codeOf the exit code of what it throws, or throws that
   * @param {AbortSignal} [signal]
   * @returns {number | Promise<number>} the exit code; a promise where `run` gives one
   */
  start(component, run, codeOf, signal) {
    const leave = this.#enter(component, signal);
    const codeOfRun = (thrown) => (thrown === undefined ? 0 : codeOf(thrown.error));
    const follow = async (result) => {
      let code;
      try {
        code = codeOfRun((await this.#outcome(result, leave)).thrown);
      } catch (error) {
        await this.#endStreams({ error });
        throw error;
      }
      const letGo = () => this.#streams.abort(signal.reason);
      await unlessAborted(this.#endStreams(), signal, letGo);
      return code;
    };
    let thrown;
    try {
      const result = run();
      if (isThenable(result)) return follow(result);
      if (this.#host.unclaimed !== undefined) this.cannotWait();
    } catch (error) {
      thrown = { error };
    }
    try {
      const failure = leave();
      if (failure !== undefined) throw failure.error;
      const code = codeOfRun(thrown);
      this.#endStreams().catch(ignore);
      return code;
    } catch (error) {
      this.#endStreams({ error }).catch(ignore);
      throw error;
    }
  }

  /**
   * @param {Function} fn an export
   * @returns {(...args: unknown[]) => Promise<unknown>}
   */
  promising(fn) {
    return async (...args) => {
      const leave = this.#enter();
      // An error that it throws at once counts as a rejection of its promise.
      const result = (async () => fn(...args))();
      try {
        const { value, thrown } = await this.#outcome(result, leave);
        if (thrown !== undefined) throw thrown.error;
        this.#endIfClosed();
        return value;
      } catch (error) {
        this.#endIfClosed({ error });
        throw error;
      }
    };
  }

  /** The WASI is closed: components that wait end. */
  close() {
    this.#isClosed = true;
    const error = endedBy('ERR_WASI_CLOSED', 'The instance was closed while the guest waited');
    if (this.#waiting.size === 0) return this.#endIfClosed();
    this.#endBy(error, error);
    // Now: jco's code may never return from the call that waits.
    this.#endStreams(this.#failureOf()).catch(ignore);
    return undefined;
  }

  /** Ends the streams of a WASI that is closed, once no call of a component goes on. */
  #endIfClosed(failure) {
    if (this.#isClosed && this.#live === 0) this.#endStreams(failure).catch(ignore);
  }
}

function rootOf(lane) {
  let root = lane;
  while (root.parent !== undefined) root = root.parent;
  return root;
}

function promised(call) {
  call.promise = new Promise((resolve, reject) => assign(call, { resolve, reject }));
  return call;
}

/** Does something with a value, now or when it is there. */
function afterwards(value, act) {
  return isThenable(value) ? value.then(act) : act(value);
}

/** Does something at the end of a promise, whichever it is. */
function finallyDo(promise, act) {
  return promise.then(
    (value) => {
      act();
      return value;
    },
    (error) => {
      act();
      throw error;
    },
  );
}

/** Whether an error is a result of an interface: an `error-code`, or a `stream-error`. */
function isResult(error) {
  return typeof error === 'string' || typeof error?.tag === 'string';
}

/** How many calls there may be between a guest and here. */
const FRAMES = 50;

/** Whether code of WebAssembly is among the callers: JavaScript may wait for a promise later. */
function isCalledByGuest() {
  const limit = getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  const isOurs = limit !== undefined && limit.writable === true;
  if (isOurs) Error.stackTraceLimit = FRAMES;
  try {
    // No regular expression: at the end of a guest's stack V8 would end the process.
    const { stack } = new Error();
    return stack.includes('wasm-function[') || stack.includes('wasm://');
  } finally {
    if (isOurs) Error.stackTraceLimit = limit.value;
  }
}

/** A component has to wait where it cannot. */
function wouldWait() {
  return endedBy(
    'ERR_WASI_WOULD_WAIT',
    'The component has to wait, and cannot be suspended here: its exports must be asynchronous, and over values also the imports that wait (jco transpile --async-mode jspi --async-wasi-exports --async-wasi-imports)',
  );
}

/** One call of a component waits already, and a second one would have to. */
function busy() {
  return endedBy(
    'ERR_WASI_BUSY',
    'Another call of this component waits: until it has returned, no second one can wait, as both would use one stack in the memory',
  );
}

module.exports = { Suspension };
