// Runs the cases of one group, in a process that may crash or hang. The parent hears on descriptor
// 3 which case begins and what came of it, one JSON object a line.

import fs from 'node:fs';
import { loadWASI } from '../support/implementation.mjs';
import { World } from './world.mjs';

const spec = JSON.parse(process.argv[2]);

function tell(message) {
  fs.writeSync(3, `${JSON.stringify(message)}\n`);
}

/** Lays an overlay over each directory that is a preopen. */
function overlaying(WASI) {
  const overlay = (preopen) => {
    if (typeof preopen === 'string') return { path: preopen, overlay: true };
    return preopen?.path === undefined ? preopen : { ...preopen, overlay: true };
  };
  return class extends WASI {
    constructor({ preopens = {}, ...options } = {}) {
      const all = Object.entries(preopens).map(([name, preopen]) => [name, overlay(preopen)]);
      super({ ...options, preopens: Object.fromEntries(all) });
    }
  };
}

const { GROUPS } = await import(`./classes/${spec.module}.mjs`);
const group = GROUPS.find(({ name }) => name === spec.group);
// An overlay has one device for all that lies below.
World.anyDevice = spec.overlay;
const loaded = await loadWASI(spec.implementation);
const context = {
  ...spec,
  WASI: spec.overlay ? overlaying(loaded) : loaded,
  /** The same without overlays. */
  plain: loaded,
  /** Says that a case lives, for those that take their time. */
  alive: () => tell({ alive: true }),
};

let index = 0;
for await (const [name, run] of group.cases(context)) {
  index += 1;
  if (index <= spec.skip || (index - 1) % spec.every !== 0) continue;
  if (spec.filter && !new RegExp(spec.filter).test(`${spec.prefix}: ${name}`)) continue;
  tell({ begin: index, name });
  try {
    const tries = await run();
    tell({ contained: true, tries });
  } catch (error) {
    tell({ contained: false, why: error instanceof Error ? error.message : String(error) });
  }
}
tell({ done: true });
process.exit(0);
