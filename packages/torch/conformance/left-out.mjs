/** Specs that are not run, by a part of their name, each with its reason. */
export const leftOut = [];
