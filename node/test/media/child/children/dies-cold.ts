/** A child for the tests of the pool that dies before it is ready. */
process.exit(7)
