// Ruby as a REPL over a stream of messages, as a WebSocket would carry them: each message is a
// line, each answer a message. Ruby waits in `gets`, and this thread goes on.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { MessageChannel } from 'node:worker_threads';
import { RubyVM } from '@ruby/wasm-wasi';
import { WASI } from 'wasi-rs';

const require = createRequire(import.meta.url);
const EVAL = 'rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>';
const REPL = `
  $stdout.sync = true
  while (line = $stdin.gets)
    answer = begin
      eval(line, TOPLEVEL_BINDING).inspect
    rescue Exception => error
      "#{error.class}: #{error.message}"
    end
    $stdout.write("#{answer}\\n")
  end`;

/** The messages of a port, until it is closed. */
function messagesOf(port) {
  return new ReadableStream({
    start(controller) {
      port.on('message', (message) => controller.enqueue(message));
      port.on('close', () => controller.close());
    },
  });
}

/** Runs the REPL at one end of a channel until the other end is closed. */
async function serve(port) {
  const wasi = new WASI({
    suspend: true,
    // Ruby without its libraries says what it could not load.
    stderr: 'ignore',
    stdin: messagesOf(port),
    stdout: async (chunk) => port.postMessage(new TextDecoder().decode(chunk)),
  });
  const wasm = await readFile(require.resolve('@ruby/3.4-wasm-wasi/dist/ruby.wasm'));
  const module = await WebAssembly.compile(wasm);
  const { instance } = await RubyVM.instantiateModule({ module, wasip1: wasi });
  const { memory, cabi_realloc: allocate, [EVAL]: evaluate } = instance.exports;
  const code = Buffer.from(REPL);
  const at = allocate(0, 0, 1, code.length);
  Buffer.from(memory.buffer).set(code, at);
  await wasi.promising(evaluate)(at, code.length);
  wasi.close();
}

const { port1, port2 } = new MessageChannel();
const served = serve(port1);

let ticks = 0;
const timer = setInterval(() => ticks++, 5);
const answers = [];
let told;
port2.on('message', (message) => {
  answers.push(...message.split('\n').filter((line) => line !== ''));
  told?.();
});
async function ask(line) {
  const count = answers.length;
  port2.postMessage(`${line}\n`);
  while (answers.length === count) await new Promise((resolve) => (told = resolve));
  return answers.at(-1);
}
assert.equal(await ask('x = 6 * 7'), '42');
const before = ticks;
await new Promise((resolve) => setTimeout(resolve, 50));
assert.ok(ticks > before, 'Ruby waits for the next line, and this thread does not');
// Ruby's sleep returns the difference of two clock readings in whole seconds: 0, or 1 where a second
// begins while Ruby sleeps.
assert.match(await ask('[x, "é", sleep(0.05)]'), /^\[42, "é", [01]\]$/);
assert.equal(await ask('1 / 0'), 'ZeroDivisionError: divided by 0');
assert.equal(await ask('x.to_s * 2'), '"4242"');
port2.close();
await served;
clearInterval(timer);
console.log('done');
