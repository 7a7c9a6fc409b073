'use strict';

// The interfaces of 0.2 that reach the network. Nothing here does: a socket is refused when it is
// made, a name when it is looked up, and a request when it is sent, each in its interface's own
// words. The option `interfaces` takes an interface that does reach something. What only holds
// values, as the headers of a request do, works.

const { trap } = require('./host.js');

const { defineProperty, freeze } = Object;

/** As jco calls it. */
const DISPOSE = Symbol.dispose ?? Symbol.for('dispose');
const ACCESS_DENIED = 'access-denied';
const REQUEST_DENIED = freeze({ tag: 'HTTP-request-denied' });

/** A class that no function makes an object of. */
function unmade(name) {
  return {
    [name]: class {
      constructor() {
        throw new TypeError(`${name} cannot be constructed`);
      }
    },
  }[name];
}

/** Gives a class methods that fail. */
function failing(Class, error, names) {
  for (const name of names) {
    const method = {
      [name]() {
        throw error;
      },
    }[name];
    defineProperty(Class.prototype, name, { value: method, writable: true, configurable: true });
  }
  return Class;
}

const SOCKET_METHODS = [
  'startBind',
  'finishBind',
  'localAddress',
  'remoteAddress',
  'receiveBufferSize',
  'setReceiveBufferSize',
  'sendBufferSize',
  'setSendBufferSize',
  'subscribe',
  'addressFamily',
];
const TCP_METHODS = [
  'startConnect',
  'finishConnect',
  'startListen',
  'finishListen',
  'accept',
  'isListening',
  'setListenBacklogSize',
  'keepAliveEnabled',
  'setKeepAliveEnabled',
  'keepAliveIdleTime',
  'setKeepAliveIdleTime',
  'keepAliveInterval',
  'setKeepAliveInterval',
  'keepAliveCount',
  'setKeepAliveCount',
  'hopLimit',
  'setHopLimit',
  'shutdown',
];
const UDP_METHODS = ['stream', 'unicastHopLimit', 'setUnicastHopLimit'];

function sockets(budget) {
  /** A component gets another handle with each call, so each counts. */
  const Network = class Network {
    #share = budget.share(this);

    [DISPOSE]() {
      this.#share.release();
    }
  };
  const deny = () => {
    throw ACCESS_DENIED;
  };
  const TcpSocket = failing(unmade('TcpSocket'), ACCESS_DENIED, [
    ...SOCKET_METHODS,
    ...TCP_METHODS,
  ]);
  const UdpSocket = failing(unmade('UdpSocket'), ACCESS_DENIED, [
    ...SOCKET_METHODS,
    ...UDP_METHODS,
  ]);
  return {
    'wasi:sockets/network': { Network, networkErrorCode: () => undefined },
    'wasi:sockets/instance-network': { instanceNetwork: () => new Network() },
    'wasi:sockets/tcp': { TcpSocket },
    'wasi:sockets/tcp-create-socket': { createTcpSocket: deny },
    'wasi:sockets/udp': {
      UdpSocket,
      IncomingDatagramStream: failing(unmade('IncomingDatagramStream'), ACCESS_DENIED, [
        'receive',
        'subscribe',
      ]),
      OutgoingDatagramStream: failing(unmade('OutgoingDatagramStream'), ACCESS_DENIED, [
        'checkSend',
        'send',
        'subscribe',
      ]),
    },
    'wasi:sockets/udp-create-socket': { createUdpSocket: deny },
    'wasi:sockets/ip-name-lookup': {
      resolveAddresses: deny,
      ResolveAddressStream: failing(unmade('ResolveAddressStream'), ACCESS_DENIED, [
        'resolveNextAddress',
        'subscribe',
      ]),
    },
  };
}

// Guests choose when these are called, also at the end of the stack. V8 ends the process if it has
// no stack left to compile a regular expression, so there is none.

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
const MOST_PORT = 65535;

/** A set of characters of ASCII: by the code of each, whether it is one of them. */
function setOf(characters) {
  const set = new Uint8Array(128);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return set;
}

const IN_NUMBER = setOf(DIGITS);
const IN_ADDRESS = setOf(`${LETTERS}${DIGITS}:.`);
/** The characters of a header's name: RFC 9110, `token`. */
const IN_TOKEN = setOf(`${LETTERS}${DIGITS}!#$%&'*+-.^_\`|~`);
/**
 * Headers that say how a message travels, or to whom, by their names in small letters. A guest that
 * could set them would contradict its request's authority, or end a message where others see no
 * end. An embedder may add some, as with the usual host.
 */
const FORBIDDEN = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
/** The characters of a scheme, of a host's name, and of user information: RFC 3986. */
const IN_SCHEME = setOf(`${LETTERS}${DIGITS}+-.`);
const IN_NAME = setOf(`${LETTERS}${DIGITS}-._~!$&'()*+,;=%`);
const IN_USER = setOf(`${LETTERS}${DIGITS}-._~!$&'()*+,;=%:`);
/** The characters of a path and a query: the URL Standard has more than RFC 3986. */
const IN_PATH = setOf(`${LETTERS}${DIGITS}-._~!$&'()*+,;=%:@/?[]{}|^"\\\``);

/** Whether a text has characters of a set only. */
function isOf(text, set) {
  for (let i = 0; i < text.length; i++) if (set[text.charCodeAt(i)] !== 1) return false;
  return true;
}

function isToken(text) {
  return typeof text === 'string' && text !== '' && isOf(text, IN_TOKEN);
}

function isScheme(text) {
  return text !== '' && LETTERS.includes(text[0]) && isOf(text, IN_SCHEME);
}

/** Whether a text may be an authority: a host, with a port or without, behind a user or none. */
function isAuthority(text) {
  const at = text.indexOf('@');
  const user = text.slice(0, at + 1);
  const host = text.slice(at + 1);
  const isAddress = host[0] === '[';
  const end = isAddress ? host.indexOf(']') + 1 : host.indexOf(':');
  const name = end < 0 ? host : host.slice(0, end);
  const port = end < 0 ? '' : host.slice(end);
  const isName = isAddress ? isOf(name.slice(1, -1), IN_ADDRESS) : isOf(name, IN_NAME);
  if (name === '' || name === '[]' || !isName || !isOf(user.slice(0, -1), IN_USER)) return false;
  const digits = port.slice(1);
  return port === '' || (port[0] === ':' && isOf(digits, IN_NUMBER) && Number(digits) <= MOST_PORT);
}

/**
 * Whether a text may be a path and a query, which stand behind an authority: with another beginning
 * they could make another host of it.
 */
function isPathWithQuery(text) {
  const isBegun = text === '' || text === '*' || text[0] === '/' || text[0] === '?';
  return isBegun && isOf(text, IN_PATH);
}

/** Whether bytes may be a header's value: RFC 9110 has no control characters there but tabs. */
function isLine(bytes) {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if ((byte < 32 && byte !== 9) || byte === 127) return false;
  }
  return true;
}

/** How many bytes all headers, requests and networks of one WASI's components take together. */
const HELD = 16 << 20;
/** What an object, or an entry of one, takes beside its bytes. */
const EACH = 256;

/** The memory of the host that a guest's headers and so on take: as much as there may be. */
class Budget {
  #left = HELD;
  /** Gives back what an object took that nobody has disposed of. */
  #collected = new FinalizationRegistry((share) => share.release());

  /** @returns {Share} that of a new object */
  share(object) {
    const share = new Share((bytes) => this.#take(bytes));
    share.take(EACH);
    this.#collected.register(object, share);
    return share;
  }

  #take(bytes) {
    if (bytes > this.#left) trap('headers, requests and networks take too much memory');
    this.#left -= bytes;
  }
}

class Share {
  #taken = 0;
  #take;

  constructor(take) {
    this.#take = take;
  }

  take(bytes) {
    this.#take(bytes);
    this.#taken += bytes;
  }

  release() {
    const taken = this.#taken;
    this.#taken = 0;
    this.#take(-taken);
  }
}

const sizeOf = ([name, value]) => EACH + 2 * name.length + value.length;
const sum = (entries) => entries.reduce((all, entry) => all + sizeOf(entry), 0);

/** `fields`: names and values in their order. A name is the same in capitals. */
function fieldsWithin(budget) {
  return class Fields {
    #entries = [];
    #isImmutable = false;
    #share = budget.share(this);

    static fromList(list) {
      const fields = new Fields();
      for (const [name, value] of list) fields.append(name, value);
      return fields;
    }

    static immutable(fields) {
      const copy = fields.clone();
      copy.#isImmutable = true;
      return copy;
    }

    #check(name, values) {
      if (!isToken(name) || !values.every(isLine)) throw { tag: 'invalid-syntax' };
      if (FORBIDDEN.has(name.toLowerCase())) throw { tag: 'forbidden' };
      if (this.#isImmutable) throw { tag: 'immutable' };
    }

    #is(name) {
      const lower = name.toLowerCase();
      return ([one]) => one.toLowerCase() === lower;
    }

    get(name) {
      return this.#entries.filter(this.#is(name)).map(([, value]) => value);
    }

    has(name) {
      return this.#entries.some(this.#is(name));
    }

    set(name, values) {
      this.#check(name, values);
      this.#remove(name);
      this.#add(values.map((value) => [name, value]));
    }

    delete(name) {
      this.#check(name, []);
      this.#remove(name);
    }

    #remove(name) {
      const is = this.#is(name);
      const removed = this.#entries.filter(is);
      this.#entries = this.#entries.filter((entry) => !is(entry));
      this.#share.take(-sum(removed));
    }

    #add(entries) {
      this.#share.take(sum(entries));
      for (const entry of entries) this.#entries.push(entry);
    }

    append(name, value) {
      this.#check(name, [value]);
      this.#add([[name, value]]);
    }

    entries() {
      return this.#entries.map(([name, value]) => [name, value]);
    }

    clone() {
      const copy = new Fields();
      copy.#add(this.entries());
      return copy;
    }

    [DISPOSE]() {
      this.#entries = [];
      this.#share.release();
    }
  };
}

/**
 * A class with values that can be set: of each, the name, the first value, and what is accepted.
 */
function holding(budget, name, values, base = class {}) {
  const shares = new WeakMap();
  const Class = {
    [name]: class extends base {
      constructor(...args) {
        super(...args);
        shares.set(this, budget.share(this));
        for (const [value, first] of values) {
          defineProperty(this, `_${value}`, { value: first, writable: true });
        }
      }

      [DISPOSE]() {
        super[DISPOSE]?.();
        shares.get(this).release();
      }
    },
  }[name];
  for (const [value, , accepts = () => true] of values) {
    const setter = `set${value[0].toUpperCase()}${value.slice(1)}`;
    defineProperty(Class.prototype, value, {
      value() {
        return this[`_${value}`];
      },
      configurable: true,
    });
    defineProperty(Class.prototype, setter, {
      value(given) {
        const share = shares.get(this);
        const more = lengthOf(given) - lengthOf(this[`_${value}`]);
        // First: what is too long is not looked at.
        share.take(more);
        if (!accepts(given)) {
          share.take(-more);
          throw undefined;
        }
        this[`_${value}`] = given;
      },
      configurable: true,
    });
  }
  return Class;
}

/** The bytes of a value that a guest sets: a string, or a variant with one. */
function lengthOf(value) {
  const text = typeof value?.val === 'string' ? value.val : value;
  return typeof text === 'string' ? 2 * text.length : 0;
}

/**
 * @param {Budget} budget
 * @param {(() => object) | undefined} newSink makes an output stream that forgets what it takes;
 *   without it, requests have no body
 */
function http(budget, newSink) {
  const Fields = fieldsWithin(budget);
  const key = Symbol('OutgoingBody');
  /** The body of what is not sent: what is written to it is forgotten. */
  class OutgoingBody {
    #share = budget.share(this);
    #hasStream = false;
    constructor(made) {
      if (made !== key) throw new TypeError('OutgoingBody cannot be constructed');
    }
    write() {
      if (this.#hasStream) throw undefined;
      this.#hasStream = true;
      return newSink();
    }
    static finish(body, trailers) {
      body[DISPOSE]();
      trailers?.[DISPOSE]();
    }
    [DISPOSE]() {
      this.#share.release();
    }
  }
  class WithHeaders {
    #headers;
    #hasBody = false;
    /** It takes the headers, which are nobody else's any more. */
    constructor(headers) {
      this.#headers = Fields.immutable(headers);
      headers[DISPOSE]();
    }
    headers() {
      return Fields.immutable(this.#headers);
    }
    [DISPOSE]() {
      this.#headers[DISPOSE]();
    }
    body() {
      if (this.#hasBody || newSink === undefined) throw undefined;
      this.#hasBody = true;
      return new OutgoingBody(key);
    }
  }
  const OutgoingRequest = holding(
    budget,
    'OutgoingRequest',
    [
      ['method', { tag: 'get' }, ({ tag, val }) => tag !== 'other' || isToken(val)],
      ['pathWithQuery', undefined, (path) => path === undefined || isPathWithQuery(path)],
      ['scheme', undefined, (scheme) => scheme?.tag !== 'other' || isScheme(scheme.val)],
      ['authority', undefined, (authority) => authority === undefined || isAuthority(authority)],
    ],
    WithHeaders,
  );
  const OutgoingResponse = holding(
    budget,
    'OutgoingResponse',
    [['statusCode', 200, (status) => status >= 100 && status <= 999]],
    WithHeaders,
  );
  const RequestOptions = holding(budget, 'RequestOptions', [
    ['connectTimeout', undefined],
    ['firstByteTimeout', undefined],
    ['betweenBytesTimeout', undefined],
  ]);
  const ResponseOutparam = unmade('ResponseOutparam');
  defineProperty(ResponseOutparam, 'set', {
    value() {
      throw new TypeError('there is no response to set');
    },
    configurable: true,
  });
  const body = (name, methods, statics) => {
    const Class = failing(unmade(name), REQUEST_DENIED, methods);
    for (const method of statics) {
      defineProperty(Class, method, {
        value() {
          throw REQUEST_DENIED;
        },
        configurable: true,
      });
    }
    return Class;
  };
  return {
    'wasi:http/types': {
      Fields,
      OutgoingRequest,
      OutgoingResponse,
      RequestOptions,
      ResponseOutparam,
      IncomingRequest: body(
        'IncomingRequest',
        ['method', 'pathWithQuery', 'scheme', 'authority', 'headers', 'consume'],
        [],
      ),
      IncomingResponse: body('IncomingResponse', ['status', 'headers', 'consume'], []),
      IncomingBody: body('IncomingBody', ['stream'], ['finish']),
      FutureTrailers: body('FutureTrailers', ['subscribe', 'get'], []),
      OutgoingBody,
      FutureIncomingResponse: body('FutureIncomingResponse', ['subscribe', 'get'], []),
      httpErrorCode: () => undefined,
    },
    'wasi:http/outgoing-handler': {
      /** It takes both, so nobody else gives back what they hold. */
      handle(request, options) {
        request?.[DISPOSE]?.();
        options?.[DISPOSE]?.();
        throw REQUEST_DENIED;
      },
    },
    'wasi:http/incoming-handler': {
      handle() {
        throw REQUEST_DENIED;
      },
    },
  };
}

/**
 * @param {(() => object) | undefined} newSink makes an output stream that forgets what it takes,
 *   for requests that nobody sends
 * @returns {Record<string, object>} the interfaces that refuse, by their names
 */
function refused(newSink) {
  const budget = new Budget();
  return { ...sockets(budget), ...http(budget, newSink) };
}

module.exports = { FORBIDDEN, refused };
