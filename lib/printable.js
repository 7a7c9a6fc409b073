'use strict';

/** Text that a file or a caller chose, without what a terminal would obey. */
function printable(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

module.exports = { printable };
