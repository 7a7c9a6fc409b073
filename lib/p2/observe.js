'use strict';

// Observers of a component's calls: budgets, traces and statistics, as lib/observe.js has them for
// preview1. A function is named by its interface and its name there:
// `wasi:filesystem/types#[method]descriptor.open-at`.

const { preview2 } = require('../../binding.js');
const { reporter } = require('../observe.js');
const { hrtime, now } = require('../time.js');

const { defineProperty, entries, fromEntries, getOwnPropertyDescriptors, getPrototypeOf } = Object;
/** The key of an object's rep: see values.js. */
const REP = Symbol.for('cabiRep');

/**
 * @param {import('./host.js').Host} host
 * @param {object} observers `hostCalls`, `timeoutMs`, `trace`, `stats`
 * @param {{ exceed: Function }} ends
 * @returns {{ begin: () => void,
 *   watch: (interface: string, name: string, call: Function) => Function,
 *   watchAll: (interfaces: Record<string, object>) => Record<string, object>,
 *   stats: () => object | undefined }} `begin`: the guest's time begins here
 */
function observer(host, { hostCalls, timeoutMs, trace, stats }, { exceed }) {
  const report = reporter(trace);
  const isTimed = stats === true || report !== undefined;
  const parameters = report && parametersByName();
  const table = { __proto__: null };
  const suspends = host.suspension !== undefined;
  let left = hostCalls ?? Infinity;
  let deadline;

  function begin() {
    if (timeoutMs !== undefined) host.deadline = deadline = now() + timeoutMs;
  }

  /** Time runs from the first call of an export that the embedder calls himself. */
  function check() {
    if (host.end !== undefined) throw host.end;
    if (--left < 0) exceed(host, 'hostCalls', `The guest has made its ${hostCalls} calls`);
    if (timeoutMs === undefined) return;
    if (deadline === undefined) begin();
    if (now() > deadline) {
      exceed(host, 'timeoutMs', `The guest has run for its ${timeoutMs} ms`);
    }
  }

  function watch(interfaceName, functionName, call) {
    const name = `${interfaceName}#${functionName}`;
    const entry = suspends ? { calls: 0, ns: 0, waitedNs: 0 } : { calls: 0, ns: 0 };
    return {
      [call.name](...args) {
        check();
        if (!isTimed) return call.apply(this, args);
        const start = hrtime.bigint();
        const since = (time) => Number(hrtime.bigint() - time);
        const tell = (errno, ns, waitedNs) => {
          entry.calls++;
          entry.ns += ns;
          if (suspends) entry.waitedNs += waitedNs;
          table[name] = entry;
          if (report === undefined) return;
          const event = { name, args: named(parameters.get(name) ?? [], args), errno, ns };
          if (suspends) event.waitedNs = waitedNs;
          report(event);
        };
        let value;
        try {
          value = call.apply(this, args);
        } catch (error) {
          tell(wordOf(error), since(start), 0);
          throw error;
        }
        const ns = since(start);
        if (!suspends || typeof value?.then !== 'function') {
          tell('success', ns, 0);
          return value;
        }
        // It waits.
        const then = hrtime.bigint();
        value.then(
          () => tell('success', ns, since(then)),
          (error) => tell(wordOf(error), ns, since(then)),
        );
        return value;
      },
    }[call.name];
  }

  let isWithin = false;

  /** Calls of these functions among one another are not watched. None of them waits. */
  function watchOutermost(interfaceName, functionName, call) {
    const watched = watch(interfaceName, functionName, call);
    return {
      [call.name](...args) {
        if (isWithin) return call.apply(this, args);
        isWithin = true;
        try {
          return watched.apply(this, args);
        } finally {
          isWithin = false;
        }
      },
    }[call.name];
  }

  /** Watches the methods of a class and its constructor. */
  function watchClass(name, Class) {
    for (const { place, member, call, full } of methodsOf(Class)) {
      defineProperty(place, member, { value: watchOutermost(name, full, call) });
    }
    const construct = watchOutermost(name, constructorOf(Class), (...all) =>
      Reflect.construct(...all),
    );
    return new Proxy(Class, { construct });
  }

  /**
   * @param {Record<string, object>} interfaces those that are of JavaScript alone, as `refused`
   *   gives them
   * @returns {Record<string, object>} the same, watched
   */
  function watchAll(interfaces) {
    const watched = { __proto__: null };
    for (const [name, members] of entries(interfaces)) {
      const pairs = entries(members).map(([member, value]) => [
        member,
        isClass(value) ? watchClass(name, value) : watchOutermost(name, kebab(member), value),
      ]);
      watched[name] = fromEntries(pairs);
    }
    return watched;
  }

  return {
    begin,
    watch,
    watchAll,
    stats: () =>
      stats === true
        ? fromEntries(entries(table).map(([name, entry]) => [name, { ...entry }]))
        : undefined,
  };
}

/** Whether a member of an interface is a resource: their names begin with a capital. */
function isClass({ name }) {
  return name[0] !== name[0].toLowerCase();
}

/** The interface's name of what makes an object of a class. */
function constructorOf({ name }) {
  return `[constructor]${kebab(name)}`;
}

/**
 * @returns {{ place: object, member: string, call: Function, full: string }[]} the functions of a
 *   class: where to put another, and its name in the interface
 */
function methodsOf(Class) {
  const found = [];
  const add = (kind, from, place) => {
    for (const [member, { value: call }] of entries(getOwnPropertyDescriptors(from))) {
      if (typeof call !== 'function' || member === 'constructor') continue;
      if (from !== place && Object.hasOwn(place, member)) continue;
      found.push({ place, member, call, full: `[${kind}]${kebab(Class.name)}.${kebab(member)}` });
    }
  };
  add('static', Class, Class);
  // Two classes may have methods in common, under names of their own.
  const { prototype } = Class;
  for (let from = prototype; from !== Object.prototype; from = getPrototypeOf(from)) {
    add('method', from, prototype);
  }
  return found;
}

/**
 * @param {Record<string, object>} interfaces as `watchAll` takes them
 * @returns {[string, string][]} the interface and the name there of each function
 */
function namesIn(interfaces) {
  return entries(interfaces).flatMap(([from, members]) =>
    entries(members).flatMap(([member, value]) => {
      if (!isClass(value)) return [[from, kebab(member)]];
      const methods = methodsOf(value).map(({ full }) => [from, full]);
      return [[from, constructorOf(value)], ...methods];
    }),
  );
}

/** From a name of JavaScript's to the interface's. */
function kebab(name) {
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return words.startsWith('-') ? words.slice(1) : words;
}

/**
 * The interface's word for how a call ended, and `'error'` where it has none; undefined where the
 * guest ended.
 */
function wordOf(error) {
  if (error === undefined) return 'error';
  if (typeof error === 'string') return error;
  return typeof error?.tag === 'string' ? error.tag : undefined;
}

/** The names of each function's parameters, without the object of a method. */
function parametersByName() {
  return new Map(
    preview2.functions.map(({ interface: from, name, parameters }) => {
      const names = parameters.map(([parameter]) => camel(parameter));
      return [`${from}#${name}`, name.startsWith('[method]') ? names.slice(1) : names];
    }),
  );
}

function camel(name) {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

function named(names, args) {
  return fromEntries(names.map((name, index) => [name, shown(args[index])]));
}

/** A value as a person reads it: flags by name, a list of bytes by its length. */
function shown(value) {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== 'object' || value === null) return value;
  if (REP in value) return 'object';
  const flags = entries(value);
  if (flags.every(([, isSet]) => typeof isSet === 'boolean')) {
    return flags.filter(([, isSet]) => isSet).map(([flag]) => flag);
  }
  return value.tag ?? 'object';
}

module.exports = { namesIn, observer };
