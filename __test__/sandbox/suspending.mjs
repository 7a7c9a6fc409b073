// The package with `suspend: true` for every guest, for the adversarial suite. The suite's guests
// call their imports from JavaScript, so what would have to wait is `ERR_WASI_WOULD_WAIT`.
import { createRequire } from 'node:module';

const { WASI: Base } = createRequire(import.meta.url)('../../index.js');

export class WASI extends Base {
  constructor(options = {}) {
    const suspends = typeof options === 'object' && options !== null && !Array.isArray(options);
    super(suspends ? Object.create(options, { suspend: { value: true } }) : options);
  }
}
