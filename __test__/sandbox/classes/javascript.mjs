export const GROUPS = [];
