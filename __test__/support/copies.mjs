// The package once more in one process, as where a test runner loads modules anew.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * Calls `act` with another copy of the package, which shares the addon with this one. Parts that
 * are loaded after `act` has returned are those of this copy.
 *
 * @template T
 * @param {(copy: typeof import('../../index.js')) => T} act
 * @returns {T}
 */
export function withOtherCopy(act) {
  const own = { ...require.cache };
  const forget = () => {
    const paths = Object.keys(require.cache).filter((path) => !path.endsWith('.node'));
    for (const path of paths) delete require.cache[path];
  };
  forget();
  try {
    return act(require('../../index.js'));
  } finally {
    forget();
    Object.assign(require.cache, own);
  }
}
