// A process that ends while a guest waits on a Worker.

import { Worker } from 'node:worker_threads';

const [worker, data] = process.argv.slice(2);
const waits = new Worker(worker, { workerData: JSON.parse(data) });
waits.once('message', () => setTimeout(() => process.exit(7), 200));
