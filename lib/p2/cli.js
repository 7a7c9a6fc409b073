'use strict';

// `wasi-rs/p2/cli`: the interfaces of `wasi:cli` as jco's generated imports name them.

const { appendEnv, interfaceOf, setArgs, setCwd, setEnv, unsupported } = require('./default.js');

const environment = interfaceOf('wasi:cli/environment');
const exit = interfaceOf('wasi:cli/exit');
const stdin = interfaceOf('wasi:cli/stdin');
const stdout = interfaceOf('wasi:cli/stdout');
const stderr = interfaceOf('wasi:cli/stderr');
const terminalInput = interfaceOf('wasi:cli/terminal-input');
const terminalOutput = interfaceOf('wasi:cli/terminal-output');
const terminalStdin = interfaceOf('wasi:cli/terminal-stdin');
const terminalStdout = interfaceOf('wasi:cli/terminal-stdout');
const terminalStderr = interfaceOf('wasi:cli/terminal-stderr');

const STREAM = "configure({ stdin, stdout, stderr }) of 'wasi-rs/p2' says what the streams are";
const _setStdin = unsupported('_setStdin', STREAM);
const _setStdout = unsupported('_setStdout', STREAM);
const _setStderr = unsupported('_setStderr', STREAM);
const _setTerminalStdin = unsupported('_setTerminalStdin', STREAM);
const _setTerminalStdout = unsupported('_setTerminalStdout', STREAM);
const _setTerminalStderr = unsupported('_setTerminalStderr', STREAM);

module.exports = {
  environment,
  exit,
  stdin,
  stdout,
  stderr,
  terminalInput,
  terminalOutput,
  terminalStdin,
  terminalStdout,
  terminalStderr,
  _appendEnv: appendEnv,
  _setEnv: setEnv,
  _setArgs: setArgs,
  _setCwd: setCwd,
  _setStdin,
  _setStdout,
  _setStderr,
  _setTerminalStdin,
  _setTerminalStdout,
  _setTerminalStderr,
};
