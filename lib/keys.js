'use strict';

// State lies under symbols with the descriptions that `node:wasi` uses. emnapi, the runtime under
// every WebAssembly package built with napi-rs, looks them up by description, and writes them.
const kBindingName = Symbol('kBindingName');
const kSetMemory = Symbol('kSetMemory');
const kStarted = Symbol('kStarted');
const kInstance = Symbol('kInstance');
const kHandle = Symbol('kHandle');
const kPreopens = Symbol('kPreopens');
const kSockets = Symbol('kSockets');
const kOverlays = Symbol('kOverlays');
/**
 * Whether something of the options works in this thread only: functions, and what watches calls.
 */
const kOwnThread = Symbol('kOwnThread');
const kObservation = Symbol('kObservation');
/** `wasi[kClose]()` closes files of the embedder's file systems that the guest has closed. */
const kClose = Symbol('kClose');
const kSuspension = Symbol('kSuspension');
/**
 * `wasi[kRun](entry)` calls a function that runs the guest, and says how the guest ended: see
 * `runGuest`.
 */
const kRun = Symbol('kRun');
/**
 * `wasi[kCheck]()` throws the guest's end, if the guest has ended: for imports that are made
 * elsewhere.
 */
const kCheck = Symbol('kCheck');
/** `wasi[kPeerName](fd)` says as text who is at the other end of a connection. */
const kPeerName = Symbol('kPeerName');
/** `wasi[kShare]()` gives the number under which other threads can attach to the instance. */
const kShare = Symbol('kShare');
/**
 * `WASI[kAttach](number)` makes a WASI that shares the descriptors of another thread's.
 */
const kAttach = Symbol('kAttach');
/** `WASI[kChecked](checked)` makes a WASI of options that `checkedOptions` has checked. */
const kChecked = Symbol('kChecked');
/** `wasi[kGuest]` is the state that its imports share. */
const kGuest = Symbol('kGuest');

module.exports = {
  kBindingName,
  kSetMemory,
  kStarted,
  kInstance,
  kHandle,
  kPreopens,
  kSockets,
  kOverlays,
  kOwnThread,
  kObservation,
  kClose,
  kSuspension,
  kRun,
  kCheck,
  kPeerName,
  kShare,
  kAttach,
  kChecked,
  kGuest,
};
