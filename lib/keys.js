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
  kPeerName,
  kShare,
  kAttach,
  kChecked,
  kGuest,
};
