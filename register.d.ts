/**
 * `wasi` and `node:wasi` stand for wasi-rs from then on, in the whole process and in its Workers.
 * To be loaded for that effect, before the program: `node --require wasi-rs/register app.js`. It
 * has no exports.
 *
 * @module wasi-rs/register
 */
export {};
