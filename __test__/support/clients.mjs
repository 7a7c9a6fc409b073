// Clients of an HTTP server, in a process of their own: `node clients.mjs JSON`, where JSON has
// `port` and `host`, or `path` of a Unix socket; `requests` and `connections`; and `isClosing`, if
// the server ends each connection after its answer. What becomes of it is printed as JSON: how many
// answers came, what was wrong with the others, and how many milliseconds it took.
//
// It reads no more of HTTP than it needs: a client that does all of it is slower than the servers.
import net from 'node:net';

const { requests, connections, isClosing, ...where } = JSON.parse(process.argv[2]);

let begun = 0;
let answers = 0;
const wrong = [];

/** The body of an answer, once all of it is there. */
function bodyOf(text) {
  const at = text.indexOf('\r\n\r\n');
  if (at < 0) return undefined;
  const size = Number(/content-length: (\d+)/i.exec(text.slice(0, at))?.[1] ?? NaN);
  return text.length >= at + 4 + size ? text.slice(at + 4) : undefined;
}

const isRight = (body, path) => (isClosing ? /^\d+ from C\n$/.test(body) : body === path);

/** One connection after another, with one request after another. */
function client(done) {
  let socket;
  let path;
  let text;

  function ended(why) {
    if (path === undefined) return;
    wrong.push(`${path}: ${why}`);
    path = undefined;
    socket.destroy();
    socket = undefined;
    next();
  }

  function open() {
    const own = net.connect({ ...where, noDelay: true });
    socket = own;
    own.setEncoding('latin1');
    own.on('data', (chunk) => {
      if (own === socket && path !== undefined) read(chunk);
    });
    own.on('error', ({ code }) => own === socket && ended(code));
    own.on('close', () => own === socket && ended('closed'));
  }

  function next() {
    if (begun >= requests) {
      socket?.destroy();
      done();
      return;
    }
    path = `/${begun++}`;
    text = '';
    if (socket === undefined) open();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }

  function read(chunk) {
    text += chunk;
    const body = bodyOf(text);
    if (body === undefined) return;
    if (isRight(body, path)) answers++;
    else wrong.push(`${path}: ${body}`);
    path = undefined;
    if (isClosing) {
      socket.destroy();
      socket = undefined;
    }
    next();
  }

  next();
}

const start = performance.now();
await Promise.all(Array.from({ length: connections }, () => new Promise(client)));
const milliseconds = performance.now() - start;
console.log(
  JSON.stringify({ answers, wrong: wrong.slice(0, 20), lost: wrong.length, milliseconds }),
);
