'use strict';
// node probe.cjs <group> [<case>]: runs a group of cases in this process and prints its results,
// one JSON line per case, so that what was seen before a crash is not lost.
const groups = require('./cases.cjs');

// Some cases look at the modes of what they made.
process.umask(0o022);

const [group, only] = process.argv.slice(2);

function plain(value, depth = 0) {
  if (value === undefined) return '<undefined>';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'symbol') return String(value);
  if (typeof value === 'function') return `<function ${value.name}>`;
  if (value === null || typeof value !== 'object')
    return Object.is(value, -0)
      ? '-0'
      : typeof value === 'number' && !Number.isFinite(value)
        ? String(value)
        : value;
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  return depth > 4
    ? '<deep>'
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]));
}

const temporary = new RegExp(process.env.WASI_CONF_TMP.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g');

function thrown(error) {
  if (error === null || typeof error !== 'object')
    return { throws: `${typeof error}: ${String(error)}` };
  const own = Object.fromEntries(
    Object.entries(error)
      .filter(([key]) => !['code', 'generatedMessage'].includes(key))
      .map(([key, value]) => [key, plain(value)]),
  );
  return {
    throws: [
      error.name,
      error.code ?? null,
      String(error.message)
        .replace(temporary, '<tmp>')
        // V8 quotes the source of a function that cannot be cloned.
        .replace(/^.*(?= could not be cloned)/s, '<function>'),
      ...(Object.keys(own).length ? [own] : []),
    ],
  };
}

(async () => {
  for (const [name, run] of Object.entries(groups[group])) {
    if (only !== undefined && name !== only) continue;
    let result;
    try {
      result = { returns: plain(await run()) };
    } catch (error) {
      result = thrown(error);
    }
    require('node:fs').writeSync(3, `${JSON.stringify([name, result])}\n`);
  }
})();
