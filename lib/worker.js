'use strict';

// Where every Worker and every process of the package begins. `npm run generate` makes one text of
// this file and all that it needs (worker-source.js), as a bundle of the user's has no such files.

const { isMainThread, workerData } = require('node:worker_threads');

if (isMainThread) require('./guest-process-child.js');
else if (workerData.thread === true) require('./threads-worker.js');
else require('./guest-worker.js');
