/** Nothing: see package.json. */
export {}
