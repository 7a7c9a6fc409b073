export const differences = {};
export function applies() { return true; }
