'use strict';

/** Text that a file or a caller chose, without what a terminal would obey. */
function printable(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** The same of a text of several lines, such as a stack, which has names that a program chose. */
function printableLines(text) {
  return String(text).split('\n').map(printable).join('\n');
}

module.exports = { printable, printableLines };
