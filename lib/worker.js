'use strict';

// Where every Worker of the package begins. `npm run generate` makes one text of this file and all
// that it needs (worker-source.js), as a bundle of the user's has no such files.

if (require('node:worker_threads').workerData.thread === true) require('./threads-worker.js');
else require('./guest-worker.js');
