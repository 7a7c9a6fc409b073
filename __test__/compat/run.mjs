// Runs one of the programs and ends: pools of Workers would keep the process.
import { writeSync } from 'node:fs';

await import(`./programs/${process.argv[2]}.mjs`);
writeSync(3, 'done\n');
process.exit(0);
